"""The state of a run besides weights, moments and generators, and the clock of its intervals."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from nmt.evaluation.metrics import METRICS
from nmt.training.checkpoint import Facts
from nmt.training.distributed import Processes
from nmt.training.loss import Loss
from nmt.training.objectives.likelihood import perplexity


def metric_directions() -> dict[str, bool]:
    """Return, for each metric that validations compare, if a higher value is better."""
    scores = {name: metric.higher_is_better for name, metric in METRICS.items()}
    return scores | {"loss": False, "free_loss": False, "accuracy": True}


class Span(Protocol):
    """A stretch of training: so many epochs (`e`), updates (`u`) or minutes of learning (`m`)."""

    @property
    def count(self) -> float: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class Moment:
    """A moment of training: updates made, epochs with the share of the one under way, minutes of learning."""

    updates: float
    epochs: float
    minutes: float

    def gone(self, span: Span) -> float:
        """How much has passed, in the unit of a span."""
        return {"u": self.updates, "e": self.epochs, "m": self.minutes}[span.unit]

    def spans(self, span: Span) -> int:
        """How many whole spans have passed; the hair added keeps 0.1 epochs, three times, from being 0.2."""
        return math.floor(self.gone(span) / span.count + 1e-9) if span.count else 1


@dataclass
class Totals:
    """Sums of losses over words."""

    loss: float = 0.0
    nll: float = 0.0
    tokens: int = 0
    correct: int = 0
    terms: dict[str, list[float]] = field(default_factory=dict)  # sum and number of values, by name

    @classmethod
    def of(cls, loss: Loss) -> "Totals":
        """The sums of a batch as numbers."""
        terms = {name: [term.total.item(), term.values] for name, term in loss.terms.items()}
        return cls(loss.smoothed.item(), loss.nll.item(), loss.tokens, int(loss.correct.item()), terms)

    def add(self, other: "Totals") -> None:
        """Count the words of `other` too."""
        self.loss += other.loss
        self.nll += other.nll
        self.tokens += other.tokens
        self.correct += other.correct
        for name, (total, count) in other.terms.items():
            before = self.terms.get(name, [0.0, 0])
            self.terms[name] = [before[0] + total, before[1] + count]

    def of_all(self, processes: Processes) -> "Totals":
        """The sums over the words of all processes."""
        if processes.count == 1:
            return self
        whole = Totals()
        for theirs in processes.gather(json.dumps(asdict(self)).encode()):
            whole.add(Totals(**json.loads(theirs)))
        return whole

    def means(self) -> dict[str, float]:
        """Loss, perplexity and accuracy of a word, and the mean of each term."""
        words = max(self.tokens, 1)
        return {
            "loss": self.loss / words,
            "perplexity": perplexity(self.nll / words),
            "accuracy": self.correct / words,
            **{name: total / max(count, 1) for name, (total, count) in self.terms.items()},
        }


@dataclass
class Best:
    """The best validation so far, in the direction of its metric, and how many have passed since."""

    metric: str
    score: float | None = None
    update: int | None = None
    since: int = 0

    def observe(self, score: float, update: int) -> bool:
        """Take note of a validation: is it the best? NaN never is."""
        improved = not math.isnan(score) and (self.score is None or self._beats(score, self.score))
        if improved:
            self.score, self.update, self.since = score, update, 0
        else:
            self.since += 1
        return improved

    def _beats(self, score: float, other: float) -> bool:
        return score > other if metric_directions()[self.metric] else score < other


@dataclass
class Guarded:
    """What the guards remember, and what they have done so far."""

    skipped: int = 0  # updates whose loss or gradient was no finite number
    in_a_row: int = 0  # of them, the latest
    split: int = 0  # updates whose batches did not fit the memory whole
    rolled_back: int = 0
    mean: float = 0.0  # running mean of the loss of a word
    counted: int = 0  # updates in it
    good: int | None = None  # the update whose checkpoint a roll-back goes to

    def learnt(self, totals: Totals, window: int) -> None:
        """Count an update that was made; the mean forgets those more than about `window` updates ago."""
        self.in_a_row = 0
        self.counted = min(self.counted + 1, window)
        self.mean += (totals.means()["loss"] - self.mean) / self.counted


@dataclass
class Run:
    """Where a run stands. All of it is in every checkpoint, and a run needs nothing more to go on."""

    best: Best
    update: int = 0  # updates made
    epoch: int = 0  # epochs finished
    position: int = 0  # batches of the present epoch that are learnt
    tokens: int = 0  # target words learnt
    seconds: float = 0.0  # spent learning, validation and checkpoints aside
    window: Totals = field(default_factory=Totals)  # since the last line of the log
    others: dict[str, Best] = field(default_factory=dict)  # like `best`, of the metrics that do not decide
    guarded: Guarded = field(default_factory=Guarded)

    def advance(self, batches: int, of: int) -> None:
        """Count batches as learnt; after the last of the epoch's, the next epoch begins."""
        self.position += batches
        if self.position >= of:
            self.epoch, self.position = self.epoch + 1, 0

    def observe(self, scores: Mapping[str, float], update: int) -> bool:
        """Take note of a validation: is it the best by the metric that decides?"""
        for metric in metric_directions():
            if metric in scores and metric != self.best.metric:
                self.others.setdefault(metric, Best(metric)).observe(scores[metric], update)
        return self.best.observe(scores[self.best.metric], update)

    def stale(self, patience: Mapping[str, int], stop_when: str) -> str:
        """Which metrics have not got better for so many validations, if training should stop by them.

        It should when `any` of those in `patience` has not, or `all` have not.
        """
        stale = [
            best
            for best in (self.best, *self.others.values())
            if best.metric in patience and best.since >= patience[best.metric]
        ]
        if stop_when == "all" and len(stale) < len(patience):
            return ""
        return ", ".join(f"no better {best.metric} in {best.since} validations" for best in stale)

    def facts(self) -> Facts:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Facts) -> "Run":
        """What `facts` gave."""
        parts = {
            "best": Best(**facts["best"]),
            "window": Totals(**facts["window"]),
            "others": {metric: Best(**best) for metric, best in facts.get("others", {}).items()},
            "guarded": Guarded(**facts.get("guarded", {})),  # none in older checkpoints
        }
        return cls(**{**facts, **parts})


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
