"""The state of a run, as every checkpoint contains it, and the clock of its intervals."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Annotated

from annotated_types import Ge, Le

from nmt.errors import is_out_of_memory
from nmt.evaluation.metrics import METRICS
from nmt.model.decoder import DecoderState
from nmt.settings import Duration
from nmt.training import snapshot
from nmt.training.checkpoint import METADATA, Checkpoint, Metadata, Tensors
from nmt.training.ema import EvaluationWeights
from nmt.training.loss import LossTotals
from nmt.training.schedules import Schedule
from nmt.training.update import Learner
from nmt.untrusted_files import RefusedFile, check_values

Counter = Annotated[int, Ge(0), Le(1 << 53)]


def list_metric_directions() -> dict[str, bool]:
    """Return for each metric of validations whether higher is better."""
    scores = {name: metric.higher_is_better for name, metric in METRICS.items()}
    return scores | {"loss": False, "free_loss": False, "accuracy": True}


@dataclass(frozen=True)
class TrainingPosition:
    """A position in training: updates, epochs (with the fraction of the current one), minutes."""

    updates: float
    epochs: float
    minutes: float

    def elapsed(self, interval: Duration) -> float:
        """Return how much has elapsed, in the unit of an interval."""
        return {"u": self.updates, "e": self.epochs, "m": self.minutes}[interval.unit]

    def completed(self, interval: Duration) -> int:
        """Count completed intervals; the small addend compensates for rounding."""
        return math.floor(self.elapsed(interval) / interval.count + 1e-9) if interval.count else 1


@dataclass
class BestScore:
    """The best score of a metric so far, and the number of validations since."""

    metric: str
    score: float | None = None
    update: int | None = None
    since: Counter = 0

    def record(self, score: float, update: int, *, loss_improved: bool = False) -> bool:
        """Record a validation; return True if it is the best. NaN is never the best.

        As long as the metric is at its floor, `loss_improved` decides: for a metric that says nothing yet.
        """
        if self.is_at_floor and METRICS[self.metric].is_at_floor(score):
            return self._count(score, update, loss_improved)
        better = operator.gt if list_metric_directions()[self.metric] else operator.lt
        improved = not math.isnan(score) and (self.score is None or better(score, self.score))
        return self._count(score, update, improved)

    @property
    def is_at_floor(self) -> bool:
        """True while no translations have been better than empty ones, by this metric."""
        return self.metric in METRICS and (self.score is None or METRICS[self.metric].is_at_floor(self.score))

    def __str__(self) -> str:
        metric = f"the loss (for {self.metric}, which is at its floor)" if self.is_at_floor else self.metric
        return f"{metric} has not improved in {self.since} validations"

    def _count(self, score: float, update: int, improved: bool) -> bool:
        if improved:
            self.score, self.update, self.since = score, update, 0
        else:
            self.since += 1
        return improved


@dataclass
class GuardState:
    """The running mean of the loss, and counts of the guards' actions."""

    skipped: Counter = 0  # updates whose loss or gradient was not finite
    in_a_row: Counter = 0  # the latest of them
    split: Counter = 0  # updates whose batches were split because they did not fit into memory
    rolled_back: Counter = 0
    mean: float = 0.0  # running mean of the loss per word
    counted: Counter = 0  # updates in it
    good: int | None = None  # the update whose checkpoint a roll-back returns to

    def record_update(self, totals: LossTotals, window: int) -> None:
        """Record an update in the mean, a moving average over about `window` updates."""
        self.in_a_row = 0
        self.counted = min(self.counted + 1, window)
        self.mean += (totals.means()["loss"] - self.mean) / self.counted


@dataclass
class RunState:
    """Counters and scores of a run; all of it is in every checkpoint."""

    best: BestScore
    update: Counter = 0  # completed updates
    epoch: Counter = 0  # completed epochs
    position: Counter = 0  # batches of the current epoch that are done
    tokens: Counter = 0  # target words trained on
    seconds: float = 0.0  # of training, without validations and checkpoints
    window: LossTotals = field(default_factory=LossTotals)  # since the last line of the log
    others: dict[str, BestScore] = field(default_factory=dict)  # the metrics that do not choose the best
    guarded: GuardState = field(default_factory=GuardState)

    def advance(self, batches: int, epoch_length: int) -> None:
        """Count batches as done; after the last one of an epoch the next epoch begins."""
        self.position += batches
        if self.position >= epoch_length:
            self.epoch, self.position = self.epoch + 1, 0

    def record_validation(self, scores: Mapping[str, float], update: int) -> bool:
        """Record the scores of a validation; return True if it is the best by the chosen metric.

        While that is at its floor, the loss chooses.
        """
        improved: dict[str, bool] = {}
        for metric in dict.fromkeys(["loss", *list_metric_directions()]):
            if metric not in scores:
                continue
            if metric == self.best.metric:
                best = self.best
            else:
                best = self.others.setdefault(metric, BestScore(metric))
            by_loss = improved.get("loss", False)
            improved[metric] = best.record(scores[metric], update, loss_improved=by_loss)
        return improved[self.best.metric]

    def describe_floor(self, patience: Mapping[str, int]) -> str:
        """Describe the metrics that should decide, but for which the loss still does; empty if none."""
        deciding = [self.best, *(best for best in self.others.values() if best.metric in patience)]
        names = " and ".join(best.metric for best in deciding if best.is_at_floor)
        return names and (
            f"{names} at the floor, the score of empty translations: while this is so, the loss decides on "
            "the best checkpoint and on stopping"
        )

    def stale_metrics(self, patience: Mapping[str, int], stop_when: str) -> str:
        """Describe the metrics that have not improved for `patience` validations, if training should stop.

        This depends on `stop_when`: `any` of the metrics in `patience`, or `all`.
        """
        order = [*list_metric_directions()]
        stale = [
            best
            for best in (self.best, *sorted(self.others.values(), key=lambda best: order.index(best.metric)))
            if best.metric in patience and best.since >= patience[best.metric]
        ]
        if stop_when == "all" and len(stale) < len(patience):
            return ""
        return ", ".join(map(str, stale))


def read_run_state(saved: Checkpoint) -> RunState:
    """Return the counters and scores of a checkpoint; DataError if it has none."""
    return check_values(saved.metadata.get("run"), RunState, saved.directory / METADATA)


def read_process_count(saved: Checkpoint) -> int:
    """Return the number of processes that wrote a checkpoint; DataError if it is not an integer."""
    return check_values(saved.metadata.get("processes", 1), int, saved.directory / METADATA)


class RunClock:
    """Conversion between batches, updates, epochs and the length of a run."""

    def __init__(self, count: Callable[[int], int], *, accumulate: int, stop_after: Duration) -> None:
        """Take a function `count` from an epoch to its batches; an update uses `accumulate` batches."""
        self.batches_in = lru_cache(maxsize=1)(count)
        self.accumulate, self.stop_after = accumulate, stop_after

    def position(self, run: RunState) -> TrainingPosition:
        """Return the current position of a run."""
        fraction = run.position / self.batches_in(run.epoch) if run.position else 0.0
        return TrainingPosition(run.update, run.epoch + fraction, run.seconds / 60)

    def is_due(self, interval: Duration | None, before: TrainingPosition, run: RunState) -> bool:
        """Return True if an interval has ended since `before`."""
        return interval is not None and self.position(run).completed(interval) > before.completed(interval)

    def is_finished(self, run: RunState) -> bool:
        """Return True if a run has reached its full length."""
        return self.position(run).completed(self.stop_after) >= 1

    def estimate_last_update(self, run: RunState) -> int:
        """Estimate the last update of a run; epochs vary in batches, and updates in time."""
        stop, now = self.stop_after, self.position(run)
        if stop.unit == "u":
            return math.ceil(stop.count)
        if stop.unit == "m":
            updates_per_unit = run.update / now.minutes if now.minutes else 0.0
        else:
            updates_per_unit = math.ceil(self.batches_in(run.epoch) / self.accumulate)
        return max(run.update, run.update + round((stop.count - now.elapsed(stop)) * updates_per_unit))


@dataclass
class TrainingState:
    """Everything that changes during training: weights, moments, schedule, counters, random generators."""

    learner: Learner
    weights: EvaluationWeights
    schedule: Schedule
    run: RunState
    carried: DecoderState | None = None  # from the previous batch, if the next one continues it

    def capture(self) -> tuple[Tensors, Tensors, Metadata]:
        """Return the weights to keep, the trainer's tensors, and metadata; all processes must call this."""
        learner, (model, trainer) = self.learner, self.weights.capture()
        own = snapshot.collect_generator_tensors() | snapshot.collect_carried_tensors(self.carried)
        trainer |= snapshot.collect_optimiser_tensors(learner.model, learner.optimiser)
        trainer |= snapshot.gather_state(learner.processes, own)
        metadata = {
            "run": asdict(self.run),
            "schedule": self.schedule.state_dict(),
            "scaler": learner.precision.scaler.state_dict(),
            "processes": learner.processes.count,
        }
        return model, trainer, metadata

    def restore(self, saved: Checkpoint) -> None:
        """Restore everything that `capture` returned; DataError if it is not of this recipe."""
        try:
            self._restore(saved)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            advice = "delete this checkpoint to resume from the one before"
            raise RefusedFile(
                saved.directory, f"its state is not that of a run of this recipe ({reason})", advice
            ) from error

    def _restore(self, saved: Checkpoint) -> None:
        self.restore_weights(saved)
        own = snapshot.scatter_state(self.learner.processes, saved.trainer)
        snapshot.load_generator_tensors(own)
        self.carried = snapshot.restore_carried_state(self.learner.model, own)
        self.schedule.load_state_dict(saved.metadata["schedule"])
        self.learner.precision.scaler.load_state_dict(saved.metadata.get("scaler", {}))
        run = read_run_state(saved)
        if run.best.metric != self.run.best.metric or not {*run.others} <= {*list_metric_directions()}:
            raise ValueError("its metrics are not those of the recipe")
        self.run = run

    def restore_weights(self, saved: Checkpoint, *, moments: bool = True) -> None:
        """Restore the weights alone, with the optimiser's moments or with none."""
        self.weights.restore(saved.model, saved.trainer)
        tensors = saved.trainer if moments else {}
        snapshot.load_optimiser_tensors(self.learner.model, self.learner.optimiser, tensors)
