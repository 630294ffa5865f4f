"""The state of a run besides weights, moments and generators, and the clock of its intervals."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from nmt.evaluation.metrics import METRICS
from nmt.model.decoder import DecoderState
from nmt.training import snapshot
from nmt.training.checkpoint import Checkpoint, Metadata, Tensors
from nmt.training.ema import EvaluationWeights
from nmt.training.loss import LossTotals
from nmt.training.schedules import Schedule
from nmt.training.snapshot import gather_state, scatter_state
from nmt.training.update import Learner


def metric_directions() -> dict[str, bool]:
    """Return, for each metric that validations compare, if a higher value is better."""
    scores = {name: metric.higher_is_better for name, metric in METRICS.items()}
    return scores | {"loss": False, "free_loss": False, "accuracy": True}


class Interval(Protocol):
    """A stretch of training: so many epochs (`e`), updates (`u`) or minutes of learning (`m`)."""

    @property
    def count(self) -> float: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class TrainingPosition:
    """A moment of training: updates made, epochs with the share of the one under way, minutes of learning."""

    updates: float
    epochs: float
    minutes: float

    def gone(self, span: Interval) -> float:
        """How much has passed, in the unit of a span."""
        return {"u": self.updates, "e": self.epochs, "m": self.minutes}[span.unit]

    def spans(self, span: Interval) -> int:
        """How many whole spans have passed; the hair added keeps 0.1 epochs, three times, from being 0.2."""
        return math.floor(self.gone(span) / span.count + 1e-9) if span.count else 1


@dataclass
class BestScore:
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
class GuardState:
    """What the guards remember, and what they have done so far."""

    skipped: int = 0  # updates whose loss or gradient was no finite number
    in_a_row: int = 0  # of them, the latest
    split: int = 0  # updates whose batches did not fit the memory whole
    rolled_back: int = 0
    mean: float = 0.0  # running mean of the loss of a word
    counted: int = 0  # updates in it
    good: int | None = None  # the update whose checkpoint a roll-back goes to

    def learnt(self, totals: LossTotals, window: int) -> None:
        """Count an update that was made; the mean forgets those more than about `window` updates ago."""
        self.in_a_row = 0
        self.counted = min(self.counted + 1, window)
        self.mean += (totals.means()["loss"] - self.mean) / self.counted


@dataclass
class RunState:
    """Where a run stands. All of it is in every checkpoint, and a run needs nothing more to go on."""

    best: BestScore
    update: int = 0  # updates made
    epoch: int = 0  # epochs finished
    position: int = 0  # batches of the present epoch that are learnt
    tokens: int = 0  # target words learnt
    seconds: float = 0.0  # spent learning, validation and checkpoints aside
    window: LossTotals = field(default_factory=LossTotals)  # since the last line of the log
    others: dict[str, BestScore] = field(
        default_factory=dict
    )  # like `best`, of the metrics that do not decide
    guarded: GuardState = field(default_factory=GuardState)

    def advance(self, batches: int, of: int) -> None:
        """Count batches as learnt; after the last of the epoch's, the next epoch begins."""
        self.position += batches
        if self.position >= of:
            self.epoch, self.position = self.epoch + 1, 0

    def observe(self, scores: Mapping[str, float], update: int) -> bool:
        """Take note of a validation: is it the best by the metric that decides?"""
        for metric in metric_directions():
            if metric in scores and metric != self.best.metric:
                self.others.setdefault(metric, BestScore(metric)).observe(scores[metric], update)
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

    def facts(self) -> Metadata:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Metadata) -> "RunState":
        """What `facts` gave."""
        parts = {
            "best": BestScore(**facts["best"]),
            "window": LossTotals(**facts["window"]),
            "others": {metric: BestScore(**best) for metric, best in facts.get("others", {}).items()},
            "guarded": GuardState(**facts.get("guarded", {})),  # none in older checkpoints
        }
        return cls(**{**facts, **parts})


class RunClock:
    """What the length of a run and of its epochs say about a moment of it."""

    def __init__(self, count: Callable[[int], int], *, accumulate: int, stop_after: Interval) -> None:
        """`count` gives the batches of an epoch, `accumulate` of them an update."""
        self.count, self.accumulate, self.stop_after = count, accumulate, stop_after
        self.counted = (-1, 0)  # an epoch, and how many batches it has

    def batches_in(self, epoch: int) -> int:
        """How many batches an epoch has; counted once."""
        if self.counted[0] != epoch:
            self.counted = (epoch, self.count(epoch))
        return self.counted[1]

    def moment(self, run: RunState) -> TrainingPosition:
        """Where a run stands."""
        share = run.position / self.batches_in(run.epoch) if run.position else 0.0
        return TrainingPosition(run.update, run.epoch + share, run.seconds / 60)

    def due(self, span: Interval | None, before: TrainingPosition, run: RunState) -> bool:
        """Whether a span has ended since `before`."""
        return span is not None and self.moment(run).spans(span) > before.spans(span)

    def finished(self, run: RunState) -> bool:
        """Whether a run has its full length."""
        return self.moment(run).spans(self.stop_after) >= 1

    def last_update(self, run: RunState) -> int:
        """The last update, as far as can be told: epochs differ a little in batches, updates in time."""
        stop, now = self.stop_after, self.moment(run)
        if stop.unit == "u":
            return math.ceil(stop.count)
        if stop.unit == "m":
            in_span = run.update / now.minutes if now.minutes else 0.0
        else:
            in_span = math.ceil(self.batches_in(run.epoch) / self.accumulate)
        return max(run.update, run.update + round((stop.count - now.gone(stop)) * in_span))


@dataclass
class TrainingState:
    """Weights, moments, the schedule's memory, the books, and the generators of every process."""

    learner: Learner
    weights: EvaluationWeights
    schedule: Schedule
    run: RunState
    carried: DecoderState | None = None  # from the batch before, where the next one continues it

    def capture(self) -> tuple[Tensors, Tensors, Metadata]:
        """The weights that are kept, the trainer's tensors, plain facts; all processes take part."""
        learner, (model, trainer) = self.learner, self.weights.capture()
        own = snapshot.generator_tensors() | snapshot.carried_tensors(self.carried)
        trainer |= snapshot.optimiser_tensors(learner.model, learner.optimiser)
        trainer |= gather_state(learner.processes, own)
        facts = {
            "run": self.run.facts(),
            "schedule": self.schedule.state_dict(),
            "scaler": learner.precision.scaler.state_dict(),
            "processes": learner.processes.count,
        }
        return model, trainer, facts

    def restore(self, saved: Checkpoint) -> None:
        """Put everything back to where `capture` saw it."""
        self.restore_weights(saved)
        own = scatter_state(self.learner.processes, saved.trainer)
        snapshot.load_generator_tensors(own)
        self.carried = snapshot.carried_state(self.learner.model, own)
        self.schedule.load_state_dict(saved.facts["schedule"])
        self.learner.precision.scaler.load_state_dict(saved.facts.get("scaler", {}))
        self.run = RunState.from_facts(saved.facts["run"])

    def restore_weights(self, saved: Checkpoint, *, moments: bool = True) -> None:
        """Put back the weights alone, with the optimiser's moments or with none."""
        self.weights.restore(saved.model, saved.trainer)
        kept = saved.trainer if moments else {}
        snapshot.load_optimiser_tensors(self.learner.model, self.learner.optimiser, kept)
