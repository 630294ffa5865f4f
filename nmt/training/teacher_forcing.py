"""Teacher forcing: the ratio of true previous words that the decoder reads, and its schedules."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from nmt.settings import Conflict, Duration, Interval, IntervalOrZero, OneOf, Settings, Share


@dataclass(frozen=True, kw_only=True)
class TeacherForcingSettings(Settings):
    """The share of true previous words that the decoder reads (Williams & Zipser, 1989; Bengio et al.,
    2015)."""

    schedule: Annotated[str, OneOf(lambda: FORCINGS)] = "always"
    """Change of the ratio from `start` to `end`."""
    start: Share = 1.0
    """Initial ratio: the probability of the true word (`fixed` keeps it)."""
    end: Share = 0.0
    """Lower limit of the ratio."""
    warmup: IntervalOrZero = Duration(0, "u")
    """Time before the schedule starts, at ratio `start`."""
    span: Interval = Duration(10, "e")
    """linear: until `end` is reached; exponential: until 1/e remains; inverse-sigmoid: until it is
    halfway."""
    per: Literal["token", "sentence"] = "token"
    """Draw for each position, or once for each sentence."""
    feedback: Literal["argmax", "sample"] = "argmax"
    """The model's own word: the most probable, or one drawn from its distribution."""

    def conflicts(self) -> Iterator[Conflict]:
        if self.schedule not in ("always", "fixed") and self.end > self.start:
            yield "end", f"{self.end:g} is above start, {self.start:g}, and the ratio only falls"


class TeacherForcing:
    """A ratio for every update, and positions sampled with it (scheduled sampling; Bengio et al., 2015)."""

    def __init__(self, settings: TeacherForcingSettings, *, warmup: float, span: float) -> None:
        """Take the settings, and their `warmup` and `span` in updates."""
        self.settings, self.warmup, self.span = settings, warmup, span

    def ratio(self, update: int) -> float:
        """Return the probability of the true word in an update, counted from 1."""
        elapsed = update - 1 - self.warmup
        if elapsed <= 0:
            return self.settings.start
        start, end = self.settings.start, self.settings.end
        return end + (start - end) * (self.remaining(elapsed) if self.span > 0 else 0.0)

    def remaining(self, elapsed: float) -> float:
        """Return the share of the distance from `end` to `start` that remains after `elapsed` updates."""
        raise NotImplementedError

    def draw(self, ratio: float, tgt_in: Tensor) -> Tensor | None:
        """Draw the positions of tgt_in [B, T] that are teacher-forced: bool [B, T]; None for all.

        Drawn with torch's generator of the CPU, so that the result does not depend on the device.
        """
        if ratio >= 1.0:
            return None
        rows, positions = tgt_in.shape
        drawn = torch.rand(rows, positions if self.settings.per == "token" else 1) < ratio
        return drawn.expand(rows, positions).to(tgt_in.device)


class AlwaysForcing(TeacherForcing):
    """The true word at every position (Williams & Zipser, 1989)."""

    def ratio(self, update: int) -> float:
        return 1.0


class FixedForcing(TeacherForcing):
    """The ratio `start` throughout."""

    def ratio(self, update: int) -> float:
        return self.settings.start


class LinearForcing(TeacherForcing):
    """A straight line that reaches `end` after `span`."""

    def remaining(self, elapsed: float) -> float:
        return max(0.0, 1.0 - elapsed / self.span)


class ExponentialForcing(TeacherForcing):
    """exp(-i / span): after `span` 1/e of the distance remains."""

    def remaining(self, elapsed: float) -> float:
        return math.exp(-elapsed / self.span)


class InverseSigmoidForcing(TeacherForcing):
    """k / (k + exp(i / k)), with the k for which it is halfway at `span`; starts at k / (k + 1)."""

    def remaining(self, elapsed: float) -> float:
        k = self.span + math.e
        for _ in range(50):  # Newton's method from above: k ln k = span
            k -= (k * math.log(k) - self.span) / (math.log(k) + 1)
        return k / (k + math.exp(min(elapsed / k, 700.0)))


FORCINGS: dict[str, type[TeacherForcing]] = {
    "always": AlwaysForcing,
    "fixed": FixedForcing,
    "linear": LinearForcing,
    "exponential": ExponentialForcing,
    "inverse-sigmoid": InverseSigmoidForcing,
}
