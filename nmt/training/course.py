"""The course of a run: where it stands in updates, epochs and minutes, and what is due there."""

import math
from collections.abc import Callable

from nmt.training.run import Moment, Run, Span


class Course:
    """What the length of a run and of its epochs say about a moment of it."""

    def __init__(self, count: Callable[[int], int], *, accumulate: int, stop_after: Span) -> None:
        """`count` gives the batches of an epoch, `accumulate` of them an update."""
        self.count, self.accumulate, self.stop_after = count, accumulate, stop_after
        self.counted = (-1, 0)  # an epoch, and how many batches it has

    def batches_in(self, epoch: int) -> int:
        """How many batches an epoch has; counted once."""
        if self.counted[0] != epoch:
            self.counted = (epoch, self.count(epoch))
        return self.counted[1]

    def moment(self, run: Run) -> Moment:
        """Where a run stands."""
        share = run.position / self.batches_in(run.epoch) if run.position else 0.0
        return Moment(run.update, run.epoch + share, run.seconds / 60)

    def due(self, span: Span | None, before: Moment, run: Run) -> bool:
        """Whether a span has ended since `before`."""
        return span is not None and self.moment(run).spans(span) > before.spans(span)

    def finished(self, run: Run) -> bool:
        """Whether a run has its full length."""
        return self.moment(run).spans(self.stop_after) >= 1

    def last_update(self, run: Run) -> int:
        """The last update, as far as can be told: epochs differ a little in batches, updates in time."""
        stop, now = self.stop_after, self.moment(run)
        if stop.unit == "u":
            return math.ceil(stop.count)
        if stop.unit == "m":
            in_span = run.update / now.minutes if now.minutes else 0.0
        else:
            in_span = math.ceil(self.batches_in(run.epoch) / self.accumulate)
        return max(run.update, run.update + round((stop.count - now.gone(stop)) * in_span))
