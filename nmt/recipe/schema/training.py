"""How it is trained: batches, rates, forcing, validation."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from nmt.recipe.fields import (
    Choice,
    Conflict,
    Count,
    DeviceName,
    Duration,
    Probability,
    Section,
    Stretch,
    TimedStretch,
)
from nmt.recipe.schema.objective import Minimised, Weight
from nmt.recipe.schema.schedules import LearningRate, TeacherForcing


class Batch(Section):
    """How many pairs make one batch."""

    by: Literal["sentences", "tokens"] = Field(
        "sentences", description="What `size` counts; tokens are counted padded, on the longer side."
    )
    size: Count = Field(64, description="Sentences, or tokens, in a batch.")


class Guards(Section):
    """What is done when an update goes wrong."""

    skip: int = Field(
        10,
        ge=0,
        description="Updates in a row that are left out because their loss or gradient is no finite number; "
        "one more ends the run, and its batch is kept in `RUN/bad-batch`.",
    )
    spike: float | None = Field(
        None,
        gt=1.0,
        description="A loss over this many times its running mean is a spike: the update is left out, and "
        "weights and moments go back to the last checkpoint; null: never.",
    )
    window: Count = Field(
        100, description="Updates that the running mean goes over; before so many no loss is a spike."
    )
    rollbacks: int = Field(
        3, ge=0, description="Spikes of a run that are gone back from; one more ends it, as with `skip`."
    )


class Judging(Section):
    """What is measured during training, and when it stops."""

    every: Stretch = Field(
        Duration(1, "e"), description="Stretch between validations; a checkpoint is written at each."
    )
    patience: Count | None = Field(
        None,
        description="Validations without improvement, by the metric that decides, before training stops; "
        "null: never.",
    )
    stop_on: dict[Literal["loss", "accuracy"], Count] = Field(
        {}, description="The same by other metrics, whatever they decide: `{accuracy: 5}`."
    )
    stop_when: Literal["any", "all"] = Field(
        "any", description="Training stops when any of the metrics with a patience has lost it, or all have."
    )
    samples: int = Field(3, ge=0, description="Outputs printed at each validation.")
    gates: bool = Field(
        False,
        description="Whether each validation writes what the gates do on a few validation sentences, as `nmt "
        "inspect gates` measures it, into metrics.jsonl.",
    )

    def deciding(self) -> str:
        """The metric that decides on the best checkpoint."""
        return "loss"

    def patience_by_metric(self) -> dict[str, int]:
        """How many validations without improvement are borne, by metric."""
        patience = dict[str, int](self.stop_on.items())
        if self.patience is not None:
            patience[self.deciding()] = self.patience
        return patience

    def conflicts(self) -> Iterator[Conflict]:
        if self.patience is not None and self.deciding() in self.stop_on:
            yield "stop_on", f"the patience with {self.deciding()} is given twice, as `patience` too"


AnyMetric = Annotated[str, Choice("nmt.evaluation.metrics", "METRICS", ("loss", "accuracy"))]


class Validation(Judging):
    """What is measured during training, and when it stops."""

    metric: Annotated[str, Choice("nmt.evaluation.metrics", "METRICS", ("loss",))] = Field(
        "bleu",
        description="What decides on the best checkpoint, early stopping and plateaus: a score of"
        " free-running greedy decoding, or the loss.",
    )
    stop_on: dict[AnyMetric, Count] = Field(  # type: ignore[assignment]
        {}, description="The same by other metrics, whatever they decide: `{loss: 5, chrf: 8}`."
    )

    def deciding(self) -> str:
        return self.metric

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        scores = [name for name in self.stop_on if name not in ("loss", "accuracy")]
        if self.metric == "loss" and scores:
            yield "stop_on", f"no {scores[0]} is measured, since with metric: loss nothing is translated"


class TextValidation(Judging):
    """What is measured during training, and when it stops; the loss decides."""


Smoothing = Annotated[
    Probability,
    Field(description="Share of the target's probability spread over the vocabulary (Szegedy et al., 2016)."),
]


class Learning(Section):
    """The training run."""

    start_from: str | None = Field(
        None,
        description="A run or model directory to start from, found like `data.root`: its vocabularies, and "
        "every weight that has a place of its name and shape here (fine-tuning, growing layer by layer). "
        "null: fresh weights.",
    )
    optimiser: Annotated[str, Choice("nmt.training.optimisers", "OPTIMISERS")] = Field(
        "adam",
        description="Update rule; muon turns matrices by Muon, and embeddings, the output layer and "
        "vectors by AdamW.",
    )
    learning_rate: LearningRate = LearningRate()
    betas: tuple[Probability, Probability] = Field(
        (0.9, 0.999),
        strict=False,
        description="adam, adamw, nadam: decay of the two moments; muon: of its momentum, and "
        "of those of the AdamW beside it.",
    )
    momentum: Probability = Field(0.0, description="sgd: momentum.")
    weight_decay: float = Field(
        0.0,
        ge=0.0,
        description="Decay of matrices, vectors aside: decoupled for adamw, adafactor and muon, else "
        "an L2 penalty.",
    )
    clip_norm: float | None = Field(
        1.0, gt=0.0, description="Largest norm of the gradient; null for no clipping."
    )
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None,
        description="Decay of an exponential moving average of the weights, such as 0.999: it, and not the "
        "weights that learn, is validated, kept and used; null: none.",
    )
    batch: Batch = Batch()
    accumulate: Count = Field(1, description="Batches whose gradients make one update.")
    stop_after: TimedStretch = Field(
        Duration(20, "e"), description="Length of the run; `90m` is 90 minutes of learning."
    )
    checkpoint_every: TimedStretch | None = Field(
        None, description="Stretch between checkpoints besides those at validations; null: none."
    )
    keep: Count = Field(2, description="Latest checkpoints kept, besides the best.")
    guards: Guards = Guards()
    teacher_forcing: TeacherForcing = TeacherForcing()
    recompute: int = Field(
        0,
        ge=0,
        description="Decoders with the attention in their loop (input_feeding, conditional, own words): "
        "positions between two states that are kept; the backward pass computes the rest again, for less "
        "memory and more time. 0 keeps everything.",
    )
    r_drop: Weight = Field(
        0.0,
        description="Alpha of R-Drop (Liang et al., 2021): a batch is read twice, with dropout of its own "
        "each time, and both must say the same.",
    )
    weight_noise: Weight = Field(
        0.0,
        description="Standard deviation of the noise added to each weight for a batch (Graves, 2011).",
    )
    threads: Count | None = Field(None, description="CPU threads of a process; null: torch's choice.")
    device: DeviceName = Field(
        "auto",
        description="Where it is computed: on the CPU, on a GPU (of several processes each has its own), on "
        "GPU N; `auto`: on a GPU where torch finds one.",
    )
    precision: Annotated[str, Choice("nmt.training.hardware", "TYPES")] = Field(
        "float32",
        description="What the model computes in while it learns, where the hardware can; weights, optimiser "
        "and loss stay float32.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        rate = self.learning_rate
        end = rate.span or self.stop_after
        if rate.ends and end.unit == "m":
            yield (
                "learning_rate.span",
                f"the {rate.schedule} cannot end with the run, after {end}: give epochs or updates",
            )
        if rate.ends and end.unit == "u" and end.count <= rate.warmup:
            yield (
                "learning_rate.warmup",
                f"{rate.warmup} updates: the {rate.schedule} ends within them, at {end}",
            )


class Training(Minimised, Learning):
    """The training run."""

    label_smoothing: Smoothing = 0.1
    validation: Validation = Validation()

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.objective == "likelihood" or self.risk.likelihood:
            return
        if self.objective == "reinforce" and self.guards.spike is not None:
            yield "guards.spike", "the loss of reinforce lies around 0, and so is no measure of a spike"
        for name in ("r_drop", "guided_alignment", "coverage", "switchout"):
            if getattr(self, name) != type(self).model_fields[name].default:
                yield name, "is a part of the likelihood, which counts for nothing: set risk.likelihood"


class TextTraining(Learning):
    """The training run."""

    label_smoothing: Smoothing = 0.0
    chunk: Count | None = Field(
        None,
        description="Positions read at a time. The text is cut into `batch.size` streams that are read side "
        "by side, chunk after chunk, the state carried over, gradients cut off between chunks (truncated "
        "back-propagation; Williams & Peng, 1990). null: line by line, each from a state of zeros.",
    )
    validation: TextValidation = TextValidation()

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.chunk is not None and self.batch.by == "tokens":
            yield "batch.by", "with training.chunk batch.size counts streams: leave it out"
        if self.chunk is not None and self.r_drop:
            yield "r_drop", "with training.chunk one state is carried over, which two passes cannot share"
