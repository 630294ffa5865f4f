"""What a training run remembers besides weights, moments and generators, and what its spans mean."""

import math
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import Protocol

from nmt.training.checkpoint import Facts
from nmt.training.loss import Loss
from nmt.training.objective import perplexity
from nmt.training.processes import Processes

HIGHER_IS_BETTER = {"bleu": True, "chrf": True, "loss": False}


class Span(Protocol):
    """A stretch of training: so many epochs (`e`) or updates (`u`)."""

    @property
    def count(self) -> float: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class Moment:
    """A moment of training: updates made, and epochs with the share of the one under way."""

    updates: float
    epochs: float

    def spans(self, span: Span) -> int:
        """How many whole spans have passed; the hair added keeps 0.1 epochs, three times, from being 0.2."""
        gone = self.epochs if span.unit == "e" else self.updates
        return math.floor(gone / span.count + 1e-9) if span.count else 1


@dataclass
class Totals:
    """Sums of losses over words."""

    loss: float = 0.0
    nll: float = 0.0
    tokens: int = 0
    correct: int = 0

    @classmethod
    def of(cls, loss: Loss) -> "Totals":
        """The sums of a batch as numbers."""
        return cls(loss.smoothed.item(), loss.nll.item(), loss.tokens, int(loss.correct.item()))

    def add(self, other: "Totals") -> None:
        """Count the words of `other` too."""
        self.loss += other.loss
        self.nll += other.nll
        self.tokens += other.tokens
        self.correct += other.correct

    def of_all(self, processes: Processes) -> "Totals":
        """The sums over the words of all processes."""
        sums = zip(fields(self), astuple(self), processes.sum(astuple(self)), strict=True)
        return Totals(**{of.name: type(mine)(total) for of, mine, total in sums})

    def means(self) -> dict[str, float]:
        """Loss, perplexity and accuracy of a word."""
        words = max(self.tokens, 1)
        return {
            "loss": self.loss / words,
            "perplexity": perplexity(self.nll / words),
            "accuracy": self.correct / words,
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
        return score > other if HIGHER_IS_BETTER[self.metric] else score < other


@dataclass
class Run:
    """Where a run stands. All of it is in every checkpoint, and a run needs nothing more to go on."""

    best: Best
    update: int = 0  # updates made
    epoch: int = 0  # epochs finished
    position: int = 0  # batches of the present epoch that are learnt
    tokens: int = 0  # target words learnt
    seconds: float = 0.0  # spent learning, validation and checkpoints aside; only shown
    window: Totals = field(default_factory=Totals)  # since the last line of the log

    def advance(self, batches: int, of: int) -> None:
        """Count batches as learnt; after the last of the epoch's, the next epoch begins."""
        self.position += batches
        if self.position >= of:
            self.epoch, self.position = self.epoch + 1, 0

    def facts(self) -> Facts:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Facts) -> "Run":
        """What `facts` gave."""
        return cls(**{**facts, "best": Best(**facts["best"]), "window": Totals(**facts["window"])})
