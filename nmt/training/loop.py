"""The training loop."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.training import checkpoint, guards
from nmt.training.checkpoint import CheckpointSaver, Metadata, checkpoint_name
from nmt.training.console import Progress, StepReport
from nmt.training.ema import EvaluationWeights
from nmt.training.guards import DivergenceError, SignalCatcher
from nmt.training.logging import Event, MetricsLog
from nmt.training.loss import LossTotals
from nmt.training.run_state import BestScore, RunClock, RunState, TrainingState, read_process_count
from nmt.training.schedules import Schedule
from nmt.training.settings import TrainingSettings
from nmt.training.teacher_forcing import AlwaysForcing
from nmt.training.update import BadUpdate, Learner, UpdateResult
from nmt.training.validation import ValidateFunction


class EpochBatches(Protocol):
    """The training batches, which depend only on the epoch, so that a run can be resumed anywhere."""

    def count(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Return the batches of an epoch from index `start` on."""

    def corpus_lines(self, batch: Batch) -> list[tuple[str, int]]:
        """Return the origin of each row of a batch: corpus (its name, if there are several) and line."""


class StopReason(NamedTuple):
    """The reason to stop a run, and the exit code of the process: 0, or 128 + signal."""

    reason: str
    exit_code: int


class TrainingResult(NamedTuple):
    """The result of a run."""

    stop: StopReason
    update: int
    best: BestScore
    seconds: float  # of training since the run was started


@dataclass(kw_only=True)
class Trainer:
    """The training loop: updates, validations, checkpoints; the mutable part is `state`."""

    learner: Learner
    epochs: EpochBatches
    validator: ValidateFunction
    schedule: Schedule
    settings: TrainingSettings
    checkpoints: Path
    metrics: MetricsLog
    progress: Progress
    origin: Metadata = field(default_factory=dict)
    """What the weights belong to; every checkpoint contains it."""
    log_every: int = 50  # updates between lines of the log

    def __post_init__(self) -> None:
        settings, self.processes = self.settings, self.learner.processes
        weights = EvaluationWeights(self.learner.model, settings.ema)
        run = RunState(BestScore(settings.validation.deciding_metric))
        self.state = TrainingState(self.learner, weights, self.schedule, run)
        self.clock = RunClock(
            self.epochs.count, accumulate=settings.accumulate, stop_after=settings.stop_after
        )
        self.saver = CheckpointSaver(self.checkpoints, settings.keep, self.metrics.sync)

    @property
    def run(self) -> RunState:
        """The counters and scores of the run."""
        return self.state.run

    def train(self) -> TrainingResult:
        """Start, or resume from the latest complete checkpoint, and train until there is a reason to stop."""
        with self.progress.live(), SignalCatcher() as signals:
            self.resume()
            with self.metrics.open(self.run.update), self.saver:
                stop = self.train_until_stopped(signals)
            self.progress.note(f"stopped after update {self.run.update}: {stop.reason}")
        return TrainingResult(stop, self.run.update, self.run.best, self.run.seconds)

    def train_until_stopped(self, signals: SignalCatcher) -> StopReason:
        """Run updates, with validations and checkpoints when they are due."""
        self.learner.model.train()
        groups = self.batch_groups()
        stop, every = self.stop_reason(signals), self.settings.checkpoint_every
        while stop is None:
            before = self.clock.position(self.run)
            report = self.make_update(next(groups))
            validates = self.clock.is_due(
                self.settings.validation.every, before, self.run
            ) or self.clock.is_finished(self.run)
            scores = self.validate(report) if validates else None
            stop = self.stop_reason(signals)
            saves = self.clock.is_due(every, before, self.run)
            if validates or (saves and every is not None and every.unit != "m"):  # minutes vary between runs
                self.run.guarded.good = self.run.update
            if validates or saves or stop:
                self.save(scores)
            self.saver.check()
        return stop

    def batch_groups(self) -> Iterator[list[Batch]]:
        """Yield the batches of each update from the current position on, epoch after epoch."""
        while True:
            epoch = self.run.epoch
            batches = self.epochs.batches(epoch, self.run.position)
            while self.run.epoch == epoch:
                group = list(islice(batches, self.settings.accumulate))
                if not group:
                    raise DataError(
                        f"epoch {epoch + 1} ended after {self.run.position} batches, but "
                        f"{self.clock.batches_in(epoch)} were expected; is the training data empty?"
                    )
                yield group

    def make_update(self, group: list[Batch]) -> StepReport:
        """Run and record one update."""
        run, started = self.run, time.perf_counter()
        rate, ratio = self.schedule.rate(run.update + 1), self.learner.forcing.ratio(run.update + 1)
        limit = self.settings.guards.limit(run.guarded)
        result = self.learner.update(group, rate=rate, ratio=ratio, carried=self.state.carried, limit=limit)
        self.learner.optimiser.zero_grad()  # validation and checkpoints use the memory
        seconds = self.processes.maximum(time.perf_counter() - started)
        run.update += 1
        if result.bad_update is None:
            self.record_update(result)
        else:
            self.skip_update(group, result.bad_update)
        run.advance(len(group), self.clock.batches_in(run.epoch))
        run.seconds += seconds
        if result.bad_update or result.parts > 1:
            event, message = guards.describe_anomaly(result, run, self.clock.position(run).epochs)
            self.progress.note(message)
            self.metrics.write(event)
        report = self.report(result, rate, ratio, seconds)
        self.progress.show_update(report)
        if run.update % self.log_every == 0 and run.window.tokens:
            self.log(report, result.norm, ratio)
        return report

    def record_update(self, result: UpdateResult) -> None:
        """Count an update, and update the moving average of the weights."""
        run = self.run
        self.state.weights.update(run.update)
        self.state.carried = result.carried
        run.tokens += result.totals.tokens
        run.window.add(result.totals)
        run.guarded.record_update(result.totals, self.settings.guards.window)
        run.guarded.split += result.parts > 1

    def skip_update(self, group: list[Batch], bad_update: BadUpdate) -> None:
        """Keep the weights, or roll them back after a loss spike; abort the run after too many."""
        self.state.carried = None
        if self.settings.guards.count(self.run.guarded, bad_update):
            state, reason = self.run.guarded, f"{bad_update.reason} at update {self.run.update}, "
            if bad_update.is_spike:
                reason += f"after {state.rolled_back - 1} roll-backs"
            else:
                reason += f"in {state.in_a_row} updates in a row"
            self.processes.run_on_first(lambda: self.abort(group, reason))
        if bad_update.is_spike and not self.restore_weights(checkpoint_name(self.run.guarded.good or 0)):
            self.run.guarded.good = None

    def restore_weights(self, name: str, *, moments: bool = True) -> bool:
        """Restore weights from a checkpoint, optionally with its moments; return False if it does not exist.

        Counters and data are not rolled back. Waits for checkpoints being written.
        """

        def exists() -> bool:
            self.saver.wait()
            return checkpoint.follow_link(self.checkpoints / name).is_dir()

        found = self.processes.run_on_first(exists)
        if found:
            directory = checkpoint.follow_link(self.checkpoints / name)
            self.state.restore_weights(checkpoint.read(directory), moments=moments)
        return found

    def abort(self, group: list[Batch], reason: str) -> NoReturn:
        """Save the batches that failed, and raise DivergenceError."""
        kept = self.checkpoints.parent / "bad-batch"
        lines = [self.epochs.corpus_lines(batch) for batch in group]
        guards.save_bad_batch(kept, group, lines, self.run, reason)
        self.saver.wait()
        saved = checkpoint.list_checkpoints(self.checkpoints)
        raise DivergenceError(
            f"{reason}. The batches of this update are saved in {kept}; "
            f"the last good checkpoint is {saved[-1] if saved else 'none yet'}. {guards.ADVICE}"
        )

    def report(self, result: UpdateResult, rate: float, ratio: float, seconds: float) -> StepReport:
        """Summarize an update for the console, with means since the last line of the log."""
        means = self.run.window.means()
        return StepReport(
            update=self.run.update,
            last_update=self.clock.estimate_last_update(self.run),
            epochs=self.clock.position(self.run).epochs,
            loss=means["loss"],
            perplexity=means["perplexity"],
            rate=rate,
            forcing_ratio=None if isinstance(self.learner.forcing, AlwaysForcing) else ratio,
            words=result.totals.tokens,
            seconds=seconds,
        )

    def log(self, report: StepReport, norm: float, ratio: float) -> None:
        """Log the means of the updates since the last line of the log."""
        self.progress.log_update(report)
        event: Event = {
            "event": "update",
            "update": report.update,
            "epoch": report.epochs,
            **self.run.window.means(),
            "tokens": self.run.tokens,
            "learning_rate": report.rate,
            "forcing_ratio": ratio,
            "gradient_norm": norm,
        }
        self.metrics.write(event, self.run.seconds)
        self.run.window = LossTotals()

    def validate(self, report: StepReport) -> dict[str, float] | None:
        """Validate and update the schedule; return the scores, or None if the weights were replaced."""
        started = time.perf_counter()
        with self.state.weights.apply():
            result = self.validator(self.learner.model, checkpoint_name(report.update))
        result = result._replace(scores=self.processes.run_on_first(lambda: result.scores))
        is_first = self.run.best.score is None
        best = self.run.record_validation(result.scores, report.update)
        if is_first and (note := self.run.describe_floor(self.settings.validation.patience_by_metric)):
            self.progress.note(note)
        position = {"update": report.update, "epoch": report.epochs}
        self.metrics.write(
            {"event": "validation", **position, **result.scores, "best": best}, self.run.seconds
        )
        if result.gates:
            self.metrics.write({"event": "gates", **position, **result.gates}, self.run.seconds)
        self.progress.show_validation(report, result, best=best, seconds=time.perf_counter() - started)
        rollback, best_update = self.settings.learning_rate.rollback, self.run.best.update
        if not self.schedule.observe(best) or rollback == "none" or best_update is None:
            return result.scores
        if not self.restore_weights("best", moments=rollback == "weights-and-moments"):
            return result.scores
        self.metrics.write({"event": "back-to-best", "update": report.update, "to": best_update})
        self.progress.note(
            f"learning rate reduced: continuing from the best weights, those of update {best_update}"
        )
        return None

    def stop_reason(self, signals: SignalCatcher) -> StopReason | None:
        """Return the reason to stop now, if there is one."""
        if self.clock.is_finished(self.run):
            return StopReason("the run is complete", 0)
        validation = self.settings.validation
        if stale := self.run.stale_metrics(validation.patience_by_metric, validation.stop_when):
            return StopReason(stale, 0)
        if received := int(self.processes.maximum(signals.received or 0)):
            name = signal.Signals(received).name
            return StopReason(f"{name} received; run the same command again to resume", 128 + received)
        return None

    def resume(self) -> None:
        """Restore the latest complete checkpoint, if there is one."""
        name = self.processes.run_on_first(self.find_checkpoint)
        if name is None:
            self.processes.broadcast_weights(self.learner.model)
        else:
            saved = checkpoint.read(self.checkpoints / name)
            self.state.restore(saved)
            if self.processes.is_first:
                self.saver.set_links(name, self.run.best.update)
            self.progress.note(f"resuming from {saved.directory}")
            before, now = read_process_count(saved), self.processes.count
            if before != now:
                self.progress.note(
                    f"this run had {before} process{'es' * (before > 1)} so far, now it has {now}: the "
                    "batches stay the same, but random draws such as dropout differ, and so does the result "
                    "slightly"
                )
        self.progress.begin(self.run.update)

    def find_checkpoint(self) -> str | None:
        """Return the name of the latest complete checkpoint; newer, damaged ones are renamed."""
        checkpoint.remove_partial_writes(self.checkpoints)
        latest = checkpoint.find_latest(self.checkpoints)
        for directory, reason in latest.refused.items():
            self.progress.note(f"{reason}; renamed to {checkpoint.rename_damaged(directory).name}")
        return None if latest.checkpoint is None else latest.checkpoint.directory.name

    def save(self, scores: dict[str, float] | None) -> None:
        """Start writing a checkpoint, with the scores of the last validation."""
        model, trainer, metadata = self.state.capture()
        if self.processes.is_first:
            self.saver.save(
                self.run.update,
                model,
                trainer,
                {**metadata, "scores": scores, "origin": self.origin},
                best=self.run.best.update,
                good=self.run.guarded.good if self.settings.guards.spike else None,
            )
