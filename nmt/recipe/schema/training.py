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
    Share,
    Stretch,
)


class Batch(Section):
    """How many pairs make one batch."""

    by: Literal["sentences", "tokens"] = Field(
        "sentences", description="What `size` counts; tokens are counted padded, on the longer side."
    )
    size: Count = Field(64, description="Sentences, or tokens, in a batch.")


class LearningRate(Section):
    """The learning rate over the updates."""

    peak: float = Field(1e-3, gt=0.0, description="Highest learning rate.")
    schedule: Annotated[str, Choice("nmt.training.schedules", "SCHEDULES")] = Field(
        "constant", description="What happens after the warm-up."
    )
    warmup: int = Field(0, ge=0, description="Updates of linear warm-up.")
    span: Stretch | None = Field(
        None, description="`cosine` only: where the rate reaches `floor`; null: stop_after."
    )
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="`plateau` only: the rate is multiplied by this."
    )
    patience: int = Field(
        0, ge=0, description="`plateau` only: validations without improvement that are forgiven."
    )
    floor: float = Field(0.0, ge=0.0, description="The rate never falls below this.")

    def conflicts(self) -> Iterator[Conflict]:
        if self.floor > self.peak:
            yield "floor", f"{self.floor:g} is above the peak, {self.peak:g}"


class TeacherForcing(Section):
    """How often the decoder sees the true previous word (Williams & Zipser, 1989; Bengio et al., 2015)."""

    schedule: Annotated[str, Choice("nmt.training.teacher_forcing", "FORCINGS")] = Field(
        "always", description="How the ratio moves from `start` to `end`."
    )
    start: Share = Field(
        1.0, description="Ratio at first: the probability of the true word (`fixed` keeps it)."
    )
    end: Share = Field(0.0, description="Ratio the schedule falls towards and never under.")
    warmup: Duration = Field(
        Duration(0, "u"), description="Stretch before the schedule starts, at ratio `start`."
    )
    span: Stretch = Field(
        Duration(10, "e"),
        description="linear: where `end` is reached; exponential: where the fall is to 1/e; "
        "inverse-sigmoid: where it is half-way.",
    )
    per: Literal["token", "sentence"] = Field(
        "token", description="Draw for each position, or once for each sentence."
    )
    feedback: Literal["argmax", "sample"] = Field(
        "argmax", description="The model's own word: its best one, or one drawn from its distribution."
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.schedule not in ("always", "fixed") and self.end > self.start:
            yield "end", f"{self.end:g} is above start, {self.start:g}, and the ratio only falls"


class Judging(Section):
    """What is measured during training, and when it stops."""

    every: Stretch = Field(
        Duration(1, "e"), description="Stretch between validations; a checkpoint is written at each."
    )
    patience: Count | None = Field(
        None, description="Validations without improvement before training stops; null: never."
    )
    samples: int = Field(3, ge=0, description="Outputs printed at each validation.")


class Validation(Judging):
    """What is measured during training, and when it stops."""

    metric: Literal["bleu", "chrf", "loss"] = Field(
        "bleu",
        description="What decides on the best checkpoint, early stopping and plateaus: a score of"
        " free-running greedy decoding, or the loss.",
    )


class TextValidation(Judging):
    """What is measured during training, and when it stops; the loss decides."""


Smoothing = Annotated[
    Probability,
    Field(description="Share of the target's probability spread over the vocabulary (Szegedy et al., 2016)."),
]


class Learning(Section):
    """The training run."""

    optimiser: Annotated[str, Choice("nmt.training.optimisers", "OPTIMISERS")] = Field(
        "adam", description="Update rule."
    )
    learning_rate: LearningRate = LearningRate()
    betas: tuple[Probability, Probability] = Field(
        (0.9, 0.999), strict=False, description="Adam, AdamW: decay of the two moments."
    )
    momentum: Probability = Field(0.0, description="SGD: momentum.")
    weight_decay: float = Field(0.0, ge=0.0, description="L2 penalty (decoupled for adamw).")
    clip_norm: float | None = Field(
        1.0, gt=0.0, description="Largest norm of the gradient; null for no clipping."
    )
    batch: Batch = Batch()
    accumulate: Count = Field(1, description="Batches whose gradients make one update.")
    stop_after: Stretch = Field(Duration(20, "e"), description="Length of the run.")
    checkpoint_every: Stretch | None = Field(
        None, description="Stretch between checkpoints besides those at validations; null: none."
    )
    keep: Count = Field(2, description="Latest checkpoints kept, besides the best.")
    teacher_forcing: TeacherForcing = TeacherForcing()
    recompute: int = Field(
        0,
        ge=0,
        description="Decoders with the attention in their loop (input_feeding, conditional, own words): "
        "positions between two states that are kept; the backward pass computes the rest again, for less "
        "memory and more time. 0 keeps everything.",
    )
    threads: Count | None = Field(None, description="CPU threads of a process; null: torch's choice.")
    device: DeviceName = Field(
        "auto",
        description="Where it is computed: on the CPU, on a GPU (of several processes each has its own), on "
        "GPU N; `auto`: on a GPU where torch finds one.",
    )
    precision: Annotated[str, Choice("nmt.training.precision", "TYPES")] = Field(
        "float32",
        description="What the model computes in while it learns, where the hardware can; weights, optimiser "
        "and loss stay float32.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        rate = self.learning_rate
        end = rate.span or self.stop_after
        if rate.schedule == "cosine" and end.unit == "u" and end.count <= rate.warmup:
            yield "learning_rate.warmup", f"{rate.warmup} updates: the cosine ends within them, at {end}"


class Training(Learning):
    """The training run."""

    label_smoothing: Smoothing = 0.1
    validation: Validation = Validation()


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
