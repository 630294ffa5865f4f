"""The learning rate over the updates: a linear warm-up, then a schedule."""

import math
from dataclasses import dataclass, field

from nmt.errors import UsageError

Memory = dict[str, int | float]


@dataclass(kw_only=True)
class Schedule:
    """Linear warm-up to `peak`, then `peak * share(update)`, but never under `floor`.

    Updates are counted from 1. The warm-up ignores the floor: it rises. All schedules take the same keywords.
    """

    peak: float
    warmup: int
    floor: float
    span: float  # in updates: where `cosine` has reached the floor
    factor: float  # `plateau`
    patience: int  # `plateau`

    def __post_init__(self) -> None:
        if self.floor > self.peak:
            raise UsageError(f"the learning rate's floor {self.floor:g} is above its peak {self.peak:g}")

    def rate(self, update: int) -> float:
        """The learning rate of an update."""
        if update < self.warmup:
            return self.peak * update / self.warmup
        return max(self.floor, self.peak * self.share(update))

    def share(self, update: int) -> float:
        """Share of the peak at an update after the warm-up."""
        raise NotImplementedError

    def observe(self, improved: bool) -> None:
        """Take note of a validation."""

    def state_dict(self) -> Memory:
        """What it remembers, in plain values."""
        return {}

    def load_state_dict(self, memory: Memory) -> None:
        """Remember what `state_dict` gave."""


class Constant(Schedule):
    """The peak, always."""

    def share(self, update: int) -> float:
        return 1.0


class InverseSquareRoot(Schedule):
    """Falls with one over the square root of the update (Vaswani et al., 2017, eq. 3)."""

    def share(self, update: int) -> float:
        return math.sqrt(max(self.warmup, 1) / update)


class Cosine(Schedule):
    """Half a cosine from the peak to the floor (Loshchilov & Hutter, 2017, without restarts)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.span <= self.warmup:
            raise UsageError(
                f"the cosine schedule ends at update {self.span:g}, within its warm-up of {self.warmup}"
            )

    def share(self, update: int) -> float:
        gone = min(1.0, (update - self.warmup) / (self.span - self.warmup))
        end = self.floor / self.peak
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * gone))


@dataclass(kw_only=True)
class Plateau(Schedule):
    """Multiplied by `factor` after more than `patience` validations in a row without improvement."""

    cuts: int = field(default=0, init=False)
    waited: int = field(default=0, init=False)

    def share(self, update: int) -> float:
        return self.factor**self.cuts

    def observe(self, improved: bool) -> None:
        self.waited = 0 if improved else self.waited + 1
        if self.waited > self.patience:
            self.cuts, self.waited = self.cuts + 1, 0

    def state_dict(self) -> Memory:
        return {"cuts": self.cuts, "waited": self.waited}

    def load_state_dict(self, memory: Memory) -> None:
        self.cuts, self.waited = int(memory["cuts"]), int(memory["waited"])


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "inverse-sqrt": InverseSquareRoot,
    "cosine": Cosine,
    "plateau": Plateau,
}
