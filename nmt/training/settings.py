"""Settings of a training run and its validations."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le

from nmt.data.batches import BatchSettings
from nmt.evaluation.metrics import METRICS
from nmt.settings import (
    Conflict,
    Count,
    CountOrZero,
    Duration,
    Fraction,
    Interval,
    OneOf,
    Probability,
    Settings,
    TimedInterval,
)
from nmt.training.guards import Guards
from nmt.training.hardware import HardwareSettings
from nmt.training.objectives.likelihood import AttentionLossSettings, LikelihoodSettings
from nmt.training.objectives.noise import SwitchOutSettings
from nmt.training.objectives.risk import RiskSettings
from nmt.training.optimisers import OptimiserSettings
from nmt.training.schedules import LearningRateSettings
from nmt.training.teacher_forcing import TeacherForcingSettings
from nmt.training.update import UpdateSettings


@dataclass(frozen=True, kw_only=True)
class ValidationSettings(Settings):
    """Validation during training, and early stopping."""

    every: Interval = Duration(1, "e")
    """Interval between validations; a checkpoint is written at each."""
    patience: Count | None = None
    """Validations without improvement of the deciding metric before training stops; null: never."""
    stop_on: dict[Literal["loss", "accuracy"], Count] = field(default_factory=dict)
    """Patience by further metrics: `{accuracy: 5}`."""
    stop_when: Literal["any", "all"] = "any"
    """Training stops when any, or all, of the metrics with a patience have exhausted it."""
    samples: Annotated[int, Ge(0), Le(1000)] = 0
    """Outputs printed at each validation; all of a translator are in `validation/` of the run."""
    gates: bool = False
    """Write the gates' statistics on a few validation sentences into metrics.jsonl at each validation, as
    `nmt inspect gates` measures them."""

    metric = "loss"  # decides on the best checkpoint; a setting in translation only

    @property
    def deciding_metric(self) -> str:
        """The metric that decides on the best checkpoint."""
        return "chrf" if self.metric == "auto" else self.metric

    @property
    def patience_by_metric(self) -> dict[str, int]:
        """The number of validations without improvement before training stops, by metric."""
        patience = dict[str, int](self.stop_on.items())
        if self.patience is not None:
            patience[self.deciding_metric] = self.patience
        return patience

    def conflicts(self) -> Iterator[Conflict]:
        if self.patience is not None and self.metric in self.stop_on:
            yield "stop_on", f"the patience for {self.metric} is given twice, also as `patience`"


AnyMetric = Annotated[str, OneOf(lambda: [*METRICS, "loss", "accuracy"])]


@dataclass(frozen=True, kw_only=True)
class TranslationValidationSettings(ValidationSettings):
    """Validation during training, and early stopping."""

    metric: Annotated[str, OneOf(lambda: ["auto", *METRICS, "loss"])] = "auto"
    """Metric that decides on the best checkpoint, early stopping and plateaus: a score of free-running greedy
    decoding, or the loss. `auto` is chrf; a run of version 0.1 keeps its bleu. While the metric is at its
    floor, as BLEU is at 0, the loss decides."""
    stop_on: dict[AnyMetric, Count] = field(default_factory=dict)  # type: ignore[assignment]
    """Patience by further metrics: `{loss: 5, chrf: 8}`."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        scores = [name for name in self.stop_on if name not in ("loss", "accuracy")]
        if self.metric == "loss" and scores:
            yield "stop_on", f"{scores[0]} is not measured: metric: loss translates nothing"


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(LikelihoodSettings, UpdateSettings, OptimiserSettings, HardwareSettings):
    """The training run."""

    start_from: str | None = None
    """A run or model directory to start from, found like `data.root`: its vocabularies, and every weight that
    has the name and shape of one here (fine-tuning, growing layer by layer). null: fresh weights."""
    freeze: list[str] = field(default_factory=list)
    """Parameters that are not trained, by name, by the part that contains them, or by pattern:
    `[encoder.embedding, decoder.stack.*.bias]`."""
    learning_rate: LearningRateSettings = LearningRateSettings()
    ema: Fraction | None = None
    """Decay of an exponential moving average of the weights, such as 0.999: the average, not the trained
    weights, is validated, kept and used; null: none."""
    batch: BatchSettings = BatchSettings()
    accumulate: Count = 1
    """Batches whose gradients make one update."""
    stop_after: TimedInterval = Duration(20, "e")
    """Length of the run; `90m` is 90 minutes of training."""
    checkpoint_every: TimedInterval | None = None
    """Interval between checkpoints, in addition to those at validations; null: none."""
    keep: Count = 4
    """Latest checkpoints kept, in addition to the best."""
    average: CountOrZero = 4
    """Latest of the kept checkpoints whose mean `nmt run` validates when the run is complete; it is used
    instead of the best checkpoint if it is better by the deciding metric. 0 or 1: none."""
    guards: Guards = Guards()
    teacher_forcing: TeacherForcingSettings = TeacherForcingSettings()
    recompute: CountOrZero = 0
    """Decoders with the attention in their loop (input_feeding, conditional, teacher forcing below 1):
    positions between two states that are kept; the backward pass recomputes the rest, for less memory and
    more time. 0 keeps everything."""
    validation: ValidationSettings = ValidationSettings()

    def conflicts(self) -> Iterator[Conflict]:
        rate = self.learning_rate
        end = rate.span or self.stop_after
        if rate.has_end and end.unit == "m":
            yield (
                "learning_rate.span",
                f"{rate.schedule} cannot end with the run, after {end}: give epochs or updates",
            )


@dataclass(frozen=True, kw_only=True)
class LanguageModelTrainingSettings(TrainingSettings):
    """The training run."""

    chunk: Count | None = None
    """Positions read at a time. The text is split into `batch.size` streams that are read in parallel, chunk
    after chunk; the state is carried over, gradients are not (truncated backpropagation; Williams & Peng,
    1990). null: line by line, each from a state of zeros."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.chunk is not None and self.batch.by == "tokens":
            yield "batch.by", "with training.chunk, batch.size counts streams: remove it"
        if self.chunk is not None and self.r_drop:
            yield "r_drop", "with training.chunk, one state is carried over, which two passes cannot share"


@dataclass(frozen=True, kw_only=True)
class TranslationTrainingSettings(AttentionLossSettings, TrainingSettings):
    """The training run."""

    objective: Literal["likelihood", "minimum-risk", "reinforce"] = "likelihood"
    """Likelihood of the target; expected risk of translations (Shen et al., 2016); or the risk of single
    samples (Ranzato et al., 2016). The last two are for a trained model: `start_from`."""
    label_smoothing: Probability = 0.1
    """Share of the target's probability spread over the vocabulary (Szegedy et al., 2016)."""
    switchout: SwitchOutSettings = SwitchOutSettings()
    risk: RiskSettings = RiskSettings()
    validation: TranslationValidationSettings = TranslationValidationSettings()

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        risk = self.risk
        if self.objective == "reinforce" and risk.baseline == "others" and risk.samples == 1:
            yield "risk.samples", "a single sample has no others: use more, or risk.baseline greedy"
        if self.objective == "minimum-risk" and not risk.reference and risk.samples == 1:
            yield "risk.samples", "a single translation cannot be compared: use more"
        if self.objective == "likelihood" or risk.likelihood:
            return
        if self.objective == "reinforce" and self.guards.spike is not None:
            yield "guards.spike", "the loss of reinforce is near 0, so spikes cannot be detected"
        for name in ("r_drop", "guided_alignment", "coverage"):
            if getattr(self, name):
                yield name, "is a part of the likelihood, whose weight is 0: set risk.likelihood"
        if self.switchout != SwitchOutSettings():
            yield "switchout", "is a part of the likelihood, whose weight is 0: set risk.likelihood"
