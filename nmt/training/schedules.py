"""Schedules of the learning rate, with a linear warm-up."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from nmt.errors import UsageError
from nmt.settings import Conflict, CountOrZero, Fraction, Interval, OneOf, Positive, Settings, Weight

_log = logging.getLogger(__name__)

ScheduleState = dict[str, int | float]


@dataclass(frozen=True, kw_only=True)
class LearningRateSettings(Settings):
    """The learning rate over the updates."""

    peak: Positive = 1e-3
    """Highest learning rate; for `noam` the factor of decoder.hidden^-0.5 * warmup^-0.5."""
    schedule: Annotated[str, OneOf(lambda: SCHEDULES)] = "constant"
    """The learning rate after the warm-up. `plateau` depends on the validation metric; `cosine` and
    `one-cycle` end after `span`."""
    warmup: CountOrZero = 0
    """Updates of warm-up, linear; `one-cycle`: a cosine, 0 for 30% of the span."""
    span: Interval | None = None
    """`cosine`, `one-cycle`: where the rate reaches `floor`; null: stop_after."""
    factor: Fraction = 0.5
    """`plateau` only: the rate is multiplied by this."""
    patience: CountOrZero = 0
    """`plateau` only: validations without improvement before the rate is cut."""
    rollback: Literal["none", "weights", "weights-and-moments"] = "none"
    """`plateau` only: with each cut return to the weights of the best validation, with the optimiser's
    moments of that time, or with moments of zero."""
    floor: Weight = 0.0
    """Lower limit of the rate after the warm-up."""

    @property
    def has_end(self) -> bool:
        """True if the schedule ends after `span`."""
        return SCHEDULES[self.schedule].has_end

    def conflicts(self) -> Iterator[Conflict]:
        if self.rollback != "none" and self.schedule != "plateau":
            yield "rollback", f"{self.schedule} never reduces the rate: rollback needs plateau"
        if self.schedule == "noam" and not self.warmup:
            yield "warmup", "noam needs a warm-up: give it a few thousand updates"
        elif self.schedule != "noam" and self.floor > self.peak:
            yield "floor", f"{self.floor:g} is above the peak, {self.peak:g}"


class Schedule:
    """A warm-up to `peak`, then `peak * share(update)`, but at least `floor`.

    Updates are counted from 1. The floor does not apply to the warm-up.
    """

    has_end: ClassVar[bool] = False  # true if it ends after `span`

    def __init__(self, settings: LearningRateSettings, *, span: float, size: int) -> None:
        """Take the settings, their `span` in updates, and the decoder's hidden size H as `size`.

        Raises UsageError if the floor is above the peak.
        """
        self.settings, self.span, self.size = settings, span, size
        self.peak, self.warmup, self.floor = settings.peak, settings.warmup, settings.floor
        self.prepare()
        if self.floor > self.peak:
            raise UsageError(f"the learning rate's floor {self.floor:g} is above its peak {self.peak:g}")

    def prepare(self) -> None:
        """Change the peak or the warm-up before the first update, if the schedule redefines them."""

    def rate(self, update: int) -> float:
        """Return the learning rate of an update."""
        if update < self.warmup:
            return self.peak * self.rise(update)
        return max(self.floor, self.peak * self.share(update))

    def rise(self, update: int) -> float:
        """Return the share of the peak at an update of the warm-up: linear."""
        return update / self.warmup

    def share(self, update: int) -> float:
        """Return the share of the peak at an update after the warm-up."""
        raise NotImplementedError

    def observe(self, improved: bool) -> bool:
        """Record a validation, and return True if it reduced the rate."""
        return False

    def state_dict(self) -> ScheduleState:
        """Return the state to save, as plain values."""
        return {}

    def load_state_dict(self, state: ScheduleState) -> None:
        """Restore what `state_dict` returned."""


class ConstantSchedule(Schedule):
    """The peak at every update."""

    def share(self, update: int) -> float:
        return 1.0


class InverseSquareRootSchedule(Schedule):
    """Proportional to the inverse square root of the update (Vaswani et al., 2017, eq. 3)."""

    def share(self, update: int) -> float:
        return math.sqrt(max(self.warmup, 1) / update)


class NoamSchedule(InverseSquareRootSchedule):
    """peak · H^-½ · min(u^-½, u · warmup^-1½) at update u (Vaswani et al., 2017, eq. 3).

    That is `inverse-sqrt` with a peak of peak · H^-½ · warmup^-½.
    """

    def prepare(self) -> None:
        self.peak /= math.sqrt(self.size * self.warmup)


class CosineSchedule(Schedule):
    """Half a cosine from the peak to the floor (Loshchilov & Hutter, 2017, without restarts).

    A warm-up that is not shorter than the span, as of a run that is shortened for a trial, is fitted to it.
    """

    has_end = True
    RISING = 0.1  # share of the span for a warm-up that does not fit

    def prepare(self) -> None:
        if self.span > self.warmup:
            return
        fitted = int(self.RISING * self.span)
        _log.warning(
            f"training.learning_rate.warmup: the run has {self.span:g} updates, so its warm-up has {fitted} "
            f"instead of {self.warmup}; for another length add training.learning_rate.warmup=N"
        )
        self.warmup = fitted

    def share(self, update: int) -> float:
        elapsed = min(1.0, (update - self.warmup) / (self.span - self.warmup))
        end = self.floor / self.peak
        return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * elapsed))


class OneCycleSchedule(CosineSchedule):
    """Half a cosine up from a 25th of the peak, half a cosine down (Smith & Topin, 2018).

    Without `warmup` it rises for 30% of the span. The optimiser's momentum is not changed.
    """

    START, RISING = 1 / 25, 0.3

    def prepare(self) -> None:
        super().prepare()
        self.warmup = self.warmup or min(max(1, round(self.RISING * self.span)), int(self.span) - 1)

    def rise(self, update: int) -> float:
        elapsed = (update - 1) / (self.warmup - 1)
        return self.START + (1 - self.START) * 0.5 * (1 - math.cos(math.pi * elapsed))


class PlateauSchedule(Schedule):
    """Multiplied by `factor` after more than `patience` consecutive validations without improvement."""

    cuts = 0
    waited = 0

    def share(self, update: int) -> float:
        return self.settings.factor**self.cuts

    def observe(self, improved: bool) -> bool:
        self.waited = 0 if improved else self.waited + 1
        cut = self.waited > self.settings.patience
        if cut:
            self.cuts, self.waited = self.cuts + 1, 0
        return cut

    def state_dict(self) -> ScheduleState:
        return {"cuts": self.cuts, "waited": self.waited}

    def load_state_dict(self, state: ScheduleState) -> None:
        self.cuts, self.waited = int(state.get("cuts", 0)), int(state.get("waited", 0))  # of another schedule


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": ConstantSchedule,
    "inverse-sqrt": InverseSquareRootSchedule,
    "noam": NoamSchedule,
    "cosine": CosineSchedule,
    "one-cycle": OneCycleSchedule,
    "plateau": PlateauSchedule,
}
