"""The learning rate over the updates: a linear warm-up, then a schedule."""

import math
from dataclasses import dataclass, field

from nmt.errors import UsageError

Memory = dict[str, int | float]


@dataclass(kw_only=True)
class Schedule:
    """A warm-up to `peak`, then `peak * share(update)`, but never under `floor`.

    Updates are counted from 1. The warm-up ignores the floor: it rises. All schedules take the same keywords.
    """

    peak: float
    warmup: int
    floor: float
    span: float  # in updates: where `cosine` and `one-cycle` have reached the floor
    factor: float  # `plateau`
    patience: int  # `plateau`
    size: int  # H of the decoder: `noam`

    def __post_init__(self) -> None:
        if self.floor > self.peak:
            raise UsageError(f"the learning rate's floor {self.floor:g} is above its peak {self.peak:g}")

    def rate(self, update: int) -> float:
        """The learning rate of an update."""
        if update < self.warmup:
            return self.peak * self.rise(update)
        return max(self.floor, self.peak * self.share(update))

    def rise(self, update: int) -> float:
        """Share of the peak at an update of the warm-up: a straight line."""
        return update / self.warmup

    def share(self, update: int) -> float:
        """Share of the peak at an update after the warm-up."""
        raise NotImplementedError

    def observe(self, improved: bool) -> bool:
        """Take note of a validation: has the rate been cut because of it?"""
        return False

    def state_dict(self) -> Memory:
        """What it remembers, in plain values."""
        return {}

    def load_state_dict(self, memory: Memory) -> None:
        """Remember what `state_dict` gave."""


class ConstantSchedule(Schedule):
    """The peak, always."""

    def share(self, update: int) -> float:
        return 1.0


class InverseSquareRootSchedule(Schedule):
    """Falls with one over the square root of the update (Vaswani et al., 2017, eq. 3)."""

    def share(self, update: int) -> float:
        return math.sqrt(max(self.warmup, 1) / update)


class NoamSchedule(InverseSquareRootSchedule):
    """peak · H^-½ · min(u^-½, u · warmup^-1½) at update u (Vaswani et al., 2017, eq. 3).

    That is `inverse-sqrt` with a peak of peak · H^-½ · warmup^-½.
    """

    def __post_init__(self) -> None:
        if not self.warmup:
            raise UsageError("the noam schedule is made by its warm-up: give it one")
        self.peak /= math.sqrt(self.size * self.warmup)
        super().__post_init__()


class CosineSchedule(Schedule):
    """Half a cosine from the peak to the floor (Loshchilov & Hutter, 2017, without restarts)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.span <= self.warmup:
            raise UsageError(
                f"the schedule ends at update {self.span:g}, within its warm-up of {self.warmup}"
            )

    def share(self, update: int) -> float:
        gone = min(1.0, (update - self.warmup) / (self.span - self.warmup))
        end = self.floor / self.peak
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * gone))


class OneCycleSchedule(CosineSchedule):
    """Half a cosine up from a 25th of the peak, half a cosine down (Smith & Topin, 2018).

    Without a warm-up of its own it rises for 30% of the span. The decay of the moments stays as it is.
    """

    START, RISING = 1 / 25, 0.3

    def __post_init__(self) -> None:
        self.warmup = self.warmup or max(1, round(self.RISING * self.span))
        super().__post_init__()

    def rise(self, update: int) -> float:
        gone = (update - 1) / (self.warmup - 1)
        return self.START + (1 - self.START) * 0.5 * (1 - math.cos(math.pi * gone))


@dataclass(kw_only=True)
class PlateauSchedule(Schedule):
    """Multiplied by `factor` after more than `patience` validations in a row without improvement."""

    cuts: int = field(default=0, init=False)
    waited: int = field(default=0, init=False)

    def share(self, update: int) -> float:
        return self.factor**self.cuts

    def observe(self, improved: bool) -> bool:
        self.waited = 0 if improved else self.waited + 1
        cut = self.waited > self.patience
        if cut:
            self.cuts, self.waited = self.cuts + 1, 0
        return cut

    def state_dict(self) -> Memory:
        return {"cuts": self.cuts, "waited": self.waited}

    def load_state_dict(self, memory: Memory) -> None:
        self.cuts, self.waited = int(memory["cuts"]), int(memory["waited"])


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": ConstantSchedule,
    "inverse-sqrt": InverseSquareRootSchedule,
    "noam": NoamSchedule,
    "cosine": CosineSchedule,
    "one-cycle": OneCycleSchedule,
    "plateau": PlateauSchedule,
}
