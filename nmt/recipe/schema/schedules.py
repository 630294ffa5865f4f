"""What moves while a run lasts: the learning rate, and how often the truth is read."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from nmt.recipe.fields import Choice, Conflict, Duration, Section, Share, Steady, Stretch


class LearningRate(Section):
    """The learning rate over the updates."""

    peak: float = Field(
        1e-3,
        gt=0.0,
        description="Highest learning rate; `noam`: what decoder.hidden^-0.5 * warmup^-0.5 is "
        "multiplied by to give it.",
    )
    schedule: Annotated[str, Choice("nmt.training.schedules", "SCHEDULES")] = Field(
        "constant",
        description="What happens after the warm-up. `plateau` looks at the metric of validation; `cosine` "
        "and `one-cycle` end where `span` says.",
    )
    warmup: int = Field(
        0, ge=0, description="Updates of warm-up, linear; `one-cycle`: a cosine, 0 for 30% of the span."
    )
    span: Stretch | None = Field(
        None, description="`cosine`, `one-cycle`: where the rate reaches `floor`; null: stop_after."
    )
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="`plateau` only: the rate is multiplied by this."
    )
    patience: int = Field(
        0, ge=0, description="`plateau` only: validations without improvement that are forgiven."
    )
    rollback: Literal["none", "weights", "weights-and-moments"] = Field(
        "none",
        description="`plateau` only: with each cut go back to the weights that were judged best, with the "
        "optimiser's moments of that time, or with none.",
    )
    floor: float = Field(0.0, ge=0.0, description="The rate never falls below this.")

    @property
    def ends(self) -> bool:
        """Whether the schedule has an end, which is `span`."""
        return self.schedule in ("cosine", "one-cycle")

    def conflicts(self) -> Iterator[Conflict]:
        if self.rollback != "none" and self.schedule != "plateau":
            yield "rollback", f"{self.schedule} has no cuts to go back with: it is for plateau"
        if self.schedule == "noam" and not self.warmup:
            yield "warmup", "noam is made by its warm-up: give it a few thousand updates"
        elif self.schedule != "noam" and self.floor > self.peak:
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
    warmup: Steady = Field(
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
