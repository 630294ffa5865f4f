"""Validation: the loss under teacher forcing, and scores of free-running translations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from torch import nn

from nmt.data.batches import Batch
from nmt.evaluation.metrics import METRICS
from nmt.model.translator import TranslationModel
from nmt.settings import Conflict, Count, CountOrZero, Duration, Interval, OneOf, Settings
from nmt.training.distributed import SINGLE_PROCESS, Processes
from nmt.training.loss import LossTotals
from nmt.training.objectives.likelihood import Likelihood, forced_loss
from nmt.training.update import to_device


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
    """Training stops when any of the metrics with a patience has exhausted it, or all have."""
    samples: CountOrZero = 3
    """Outputs printed at each validation."""
    gates: bool = False
    """Write the gates' statistics on a few validation sentences into metrics.jsonl at each validation, as
    `nmt inspect gates` measures them."""

    @property
    def deciding_metric(self) -> str:
        """The metric that decides on the best checkpoint."""
        return "loss"

    @property
    def patience_by_metric(self) -> dict[str, int]:
        """The number of validations without improvement before training stops, by metric."""
        patience = dict[str, int](self.stop_on.items())
        if self.patience is not None:
            patience[self.deciding_metric] = self.patience
        return patience

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        if self.patience is not None and self.deciding_metric in self.stop_on:
            yield "stop_on", f"the patience for {self.deciding_metric} is given twice, also as `patience`"


AnyMetric = Annotated[str, OneOf(lambda: [*METRICS, "loss", "accuracy"])]


@dataclass(frozen=True, kw_only=True)
class TranslationValidationSettings(ValidationSettings):
    """Validation during training, and early stopping."""

    metric: Annotated[str, OneOf(lambda: [*METRICS, "loss"])] = "bleu"
    """Metric that decides on the best checkpoint, early stopping and plateaus: a score of free-running greedy
    decoding, or the loss."""
    stop_on: dict[AnyMetric, Count] = field(default_factory=dict)  # type: ignore[assignment]
    """Patience by further metrics: `{loss: 5, chrf: 8}`."""

    @property
    def deciding_metric(self) -> str:
        """See `ValidationSettings.deciding_metric`."""
        return self.metric

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        yield from super().conflicts()
        scores = [name for name in self.stop_on if name not in ("loss", "accuracy")]
        if self.metric == "loss" and scores:
            yield "stop_on", f"{scores[0]} is not measured: metric: loss translates nothing"


class SampleTranslation(NamedTuple):
    """A validation pair and its translation."""

    src: str
    ref: str
    hyp: str


class GeneratedText(NamedTuple):
    """A text sampled from a language model."""

    text: str


class ValidationResult(NamedTuple):
    """The result of a validation: scores by metric (`loss` always), perplexity, and some outputs."""

    scores: dict[str, float]
    samples: Sequence[SampleTranslation | GeneratedText]
    gates: Mapping[str, float] = {}  # their statistics, if requested


class ValidationTexts(NamedTuple):
    """The validation pairs as text."""

    src: Sequence[str]
    ref: Sequence[str]


class TranslationValidator:
    """Evaluate a model on the validation pairs.

    `batches` returns all of them once; `translate` translates lines by free-running search; `score` compares
    the translations of `texts` with the references. Without `translate` only the losses are computed.
    Translations are written to `directory`, one file per validation. Several processes share the work.
    """

    def __init__(
        self,
        batches: Callable[[], Iterable[Batch]],
        texts: ValidationTexts,
        *,
        translate: Callable[[Sequence[str]], list[str]] | None,
        score: Callable[[list[str]], dict[str, float]],
        directory: Path,
        samples: int,
        processes: Processes = SINGLE_PROCESS,
    ) -> None:
        self.batches, self.texts, self.translate, self.score = batches, texts, translate, score
        self.directory, self.samples, self.processes = directory, samples, processes

    def __call__(self, model: TranslationModel, name: str) -> ValidationResult:
        """Validate; the mode of the model and the random generators are restored."""
        with evaluation_mode(model):
            scores = teacher_forced_totals(model, self.batches(), self.processes).means()
            scores["free_loss"] = free_running_totals(model, self.batches(), self.processes).means()["loss"]
            if self.translate is None:
                return ValidationResult(scores, [])
            hyps = self.processes.map_shared(self.texts.src, self.translate)
        if self.processes.is_first:
            self._write(name, hyps)
        scores |= self.score(hyps)
        return ValidationResult(scores, self._samples(hyps))

    def _write(self, name: str, hyps: list[str]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{hyp}\n" for hyp in hyps)
        (self.directory / f"{name}.hyp").write_text(text, encoding="utf-8", newline="\n")

    def _samples(self, hyps: list[str]) -> list[SampleTranslation]:
        """Return translations spread evenly over the set, of the same pairs at every validation."""
        count = min(self.samples, len(hyps))
        indices = [i * len(hyps) // count for i in range(count)]
        return [SampleTranslation(self.texts.src[i], self.texts.ref[i], hyps[i]) for i in indices]


def teacher_forced_totals(
    model: TranslationModel, batches: Iterable[Batch], processes: Processes = SINGLE_PROCESS
) -> LossTotals:
    """Sum the loss of all target words under teacher forcing."""
    totals, carried = LossTotals(), None
    device = next(model.parameters()).device
    for batch in processes.local_batches(batches):
        loss, carried = forced_loss(model, to_device(batch, device), label_smoothing=0.0, carried=carried)
        totals.add(LossTotals.from_loss(loss))
    return totals.sum_over(processes)


def free_running_totals(
    model: TranslationModel, batches: Iterable[Batch], processes: Processes = SINGLE_PROCESS
) -> LossTotals:
    """Sum the loss of all target words if the model reads its own most probable words."""
    totals, likelihood = LossTotals(), Likelihood(label_smoothing=0.0, sample=False)
    device = next(model.parameters()).device
    for batch in processes.local_batches(batches):
        batch = to_device(batch, device)
        nowhere = torch.zeros_like(batch.tgt[:, :-1], dtype=torch.bool)
        totals.add(LossTotals.from_loss(likelihood(model, batch, teacher_forced=nowhere, carried=None).loss))
    return totals.sum_over(processes)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients, and restore mode and random generators at the end."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        model.train(was_training)
