"""The one training loop."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.training import checkpoint, guards
from nmt.training.checkpoint import checkpoint_name
from nmt.training.console import Progress, StepReport
from nmt.training.ema import evaluation_weights
from nmt.training.guards import DivergenceError, SignalCatcher
from nmt.training.logging import Event, MetricsLog
from nmt.training.loss import LossTotals
from nmt.training.run_state import BestScore, Interval, RunClock, RunState, TrainingPosition, TrainingState
from nmt.training.saving import CheckpointSaver
from nmt.training.schedules import Schedule
from nmt.training.settings import EpochBatches, Settings, StopReason, TrainingResult, ValidateFunction
from nmt.training.snapshot import process_count_note
from nmt.training.teacher_forcing import AlwaysForcing
from nmt.training.update import BadUpdate, Learner, UpdateResult


@dataclass(kw_only=True)
class Trainer:
    """A run and all that takes part in it. What changes is its `state`."""

    learner: Learner
    epochs: EpochBatches
    validate: ValidateFunction
    schedule: Schedule
    settings: Settings
    checkpoints: Path
    metrics: MetricsLog
    progress: Progress

    def __post_init__(self) -> None:
        settings, self.processes = self.settings, self.learner.processes
        weights = evaluation_weights(self.learner.model, settings.ema)
        self.state = TrainingState(self.learner, weights, self.schedule, RunState(BestScore(settings.metric)))
        self.course = RunClock(
            self.epochs.count, accumulate=settings.accumulate, stop_after=settings.stop_after
        )
        self.saver = CheckpointSaver(self.checkpoints, settings.keep, self.metrics.sync)

    @property
    def run(self) -> RunState:
        """Where the run stands."""
        return self.state.run

    def train(self) -> TrainingResult:
        """Begin, or go on from the latest whole checkpoint, and train until there is a reason to stop."""
        with self.progress.shown(), SignalCatcher() as interrupts:
            self.resume()
            with self.metrics.recording(self.run.update), self.saver:
                stop = self.learn_until_stopped(interrupts)
            self.progress.note(f"stopped after update {self.run.update}: {stop.reason}")
        return TrainingResult(stop, self.run.update, self.run.best, self.run.seconds)

    def learn_until_stopped(self, interrupts: SignalCatcher) -> StopReason:
        """Update after update; validations and checkpoints where they are due."""
        self.learner.model.train()
        groups = self.groups()
        stop = self.why_stop(interrupts)
        while stop is None:
            before = self.course.moment(self.run)
            tick = self.learn(next(groups))
            validated = self.due(self.settings.every, before) or self.course.finished(self.run)
            scores = self.judge(tick) if validated else None
            stop = self.why_stop(interrupts)
            due = self.due(self.settings.checkpoint_every, before)
            if validated or (due and not self.settings.by_the_clock):
                self.run.guarded.good = self.run.update
            if validated or due or stop:
                self.save(scores)
            self.saver.check()
        return stop

    def groups(self) -> Iterator[list[Batch]]:
        """The batches of each update, from where the run stands, epoch after epoch."""
        while True:
            epoch = self.run.epoch
            batches = self.epochs.batches(epoch, self.run.position)
            while self.run.epoch == epoch:
                group = list(islice(batches, self.settings.accumulate))
                if not group:
                    raise DataError(
                        f"epoch {epoch + 1} ended after {self.run.position} batches, "
                        f"but {self.course.batches_in(epoch)} were announced; is there anything to learn?"
                    )
                yield group

    def learn(self, group: list[Batch]) -> StepReport:
        """One update, and its place in the books."""
        run, started = self.run, time.perf_counter()
        rate, ratio = self.schedule.rate(run.update + 1), self.learner.forcing.ratio(run.update + 1)
        limit = self.settings.guards.limit(run.guarded)
        outcome = self.learner.update(group, rate=rate, ratio=ratio, carried=self.state.carried, limit=limit)
        seconds = self.processes.largest(time.perf_counter() - started)
        run.update += 1
        if outcome.fault is None:
            self.enter(outcome)
        else:
            self.leave_out(group, outcome.fault)
        run.advance(len(group), self.course.batches_in(run.epoch))
        run.seconds += seconds
        if outcome.fault or outcome.parts > 1:
            self.tell(outcome)
        tick = self.tick(outcome, rate, ratio, seconds)
        self.progress.tick(tick)
        if run.update % self.settings.log_every == 0 and run.window.tokens:
            self.log(tick, outcome.norm, ratio)
        return tick

    def enter(self, outcome: UpdateResult) -> None:
        """Take an update that was made into the books."""
        run = self.run
        self.state.weights.follow(run.update)
        self.state.carried = outcome.carried
        run.tokens += outcome.totals.tokens
        run.window.add(outcome.totals)
        run.guarded.learnt(outcome.totals, self.settings.guards.window)
        run.guarded.split += outcome.parts > 1

    def leave_out(self, group: list[Batch], fault: BadUpdate) -> None:
        """An update that was not made keeps its number and its batches; after a spike the weights go back."""
        so_far = self.run.guarded
        self.state.carried = None  # nothing reads on from the state that led here
        if self.settings.guards.count(so_far, fault):
            why = guards.divergence_message(fault, self.run)
            self.processes.first_does(lambda: self.give_up(group, why))
        if fault.spike:
            self.roll_back()

    def roll_back(self) -> None:
        """Weights and moments as in the last good checkpoint; all else goes on."""
        good = self.run.guarded.good
        home = self.checkpoints / checkpoint_name(good or 0)
        if self.processes.first_does(lambda: self.stands(home)):
            self.state.restore_weights(checkpoint.read(home))
        else:
            self.run.guarded.good = None

    def stands(self, home: Path) -> bool:
        """Whether a checkpoint is there, all that is being written waited for."""
        self.saver.wait()
        return home.is_dir()

    def tell(self, outcome: UpdateResult) -> None:
        """Say that an update was an unusual one."""
        self.progress.note(guards.anomaly_message(outcome, self.run))
        self.metrics.write(guards.anomaly_event(outcome, self.course.moment(self.run)))

    def give_up(self, group: list[Batch], why: str) -> NoReturn:
        """Keep what could not be learnt, and end the run where its last checkpoint was."""
        kept = self.checkpoints.parent / "bad-batch"
        places = [self.epochs.places(batch) for batch in group]
        guards.save_bad_batch(kept, group, places, self.run, why)
        self.saver.wait()
        saved = checkpoint.list_checkpoints(self.checkpoints)
        raise DivergenceError(
            f"{why}. What was to be learnt is kept in {kept}; "
            f"the last good checkpoint is {saved[-1] if saved else 'none yet'}. {guards.ADVICE}"
        )

    def tick(self, outcome: UpdateResult, rate: float, ratio: float, seconds: float) -> StepReport:
        """What is shown of an update: means since the last entry of the log."""
        means = self.run.window.means()
        return StepReport(
            update=self.run.update,
            last=self.course.last_update(self.run),
            epochs=self.course.moment(self.run).epochs,
            loss=means["loss"],
            perplexity=means["perplexity"],
            rate=rate,
            ratio=None if isinstance(self.learner.forcing, AlwaysForcing) else ratio,
            words=outcome.totals.tokens,
            seconds=seconds,
        )

    def log(self, tick: StepReport, norm: float, ratio: float) -> None:
        """An entry of the log for the updates since the one before."""
        self.progress.entry(tick)
        self.metrics.write(
            {
                "event": "update",
                "update": tick.update,
                "epoch": tick.epochs,
                **self.run.window.means(),
                "tokens": self.run.tokens,
                "learning_rate": tick.rate,
                "forcing_ratio": ratio,
                "gradient_norm": norm,
            },
            self.run.seconds,
        )
        self.run.window = LossTotals()

    def judge(self, tick: StepReport) -> dict[str, float] | None:
        """Validate, and let the best-so-far and the schedule know; gives the scores that the weights have."""
        started = time.perf_counter()
        with self.state.weights.judged():
            found = self.validate(self.learner.model, checkpoint_name(tick.update))
        found = found._replace(scores=self.processes.first_does(lambda: found.scores))
        best = self.run.observe(found.scores, tick.update)
        self.metrics.write(
            {
                "event": "validation",
                "update": tick.update,
                "epoch": tick.epochs,
                **found.scores,
                "best": best,
            },
            self.run.seconds,
        )
        if found.gates:
            seen: Event = {"event": "gates", "update": tick.update, "epoch": tick.epochs, **found.gates}
            self.metrics.write(seen, self.run.seconds)
        self.progress.validation(tick, found, best=best, seconds=time.perf_counter() - started)
        cut = self.schedule.observe(best)
        if cut and self.settings.rollback != "none" and self.return_to_best():
            return None  # the weights that were measured are gone
        return found.scores

    def return_to_best(self) -> bool:
        """Go on from the weights that were judged best, with their moments or with none, if there are any."""
        best, home = self.run.best.update, self.checkpoints / "best"
        if best is None or not self.processes.first_does(lambda: self.stands(home)):
            return False
        with_moments = self.settings.rollback == "weights-and-moments"
        self.state.restore_weights(checkpoint.read(home), moments=with_moments)
        self.metrics.write({"event": "back-to-best", "update": self.run.update, "to": best})
        self.progress.note(f"the rate is cut: going on from the weights of update {best}, the best so far")
        return True

    def why_stop(self, interrupts: SignalCatcher) -> StopReason | None:
        """The reason to stop here, if there is one."""
        if self.course.finished(self.run):
            return StopReason("the run is complete", 0)
        if stale := self.run.stale(self.settings.patience, self.settings.stop_when):
            return StopReason(stale, 0)
        if received := int(self.processes.largest(interrupts.received or 0)):
            name = signal.Signals(received).name
            return StopReason(f"{name}; all is saved, the same command goes on from here", 128 + received)
        return None

    def resume(self) -> None:
        """Take up the latest whole checkpoint; newer ones that are torn are named and set aside."""
        name = self.processes.first_does(self.latest_whole)
        if name is None:
            self.processes.equalise(self.learner.model)
        else:
            saved = checkpoint.read(self.checkpoints / name)
            self.state.restore(saved)
            if self.processes.first:
                self.saver.point_to(name, self.run.best.update)
            self.progress.note(f"going on from {saved.directory}")
            for note in process_count_note(saved.facts.get("processes", 1), self.processes.count):
                self.progress.note(note)
        self.progress.begin(self.run.update)

    def latest_whole(self) -> str | None:
        """The name of the checkpoint to go on from; only whole ones are left in the way."""
        checkpoint.remove_partial_writes(self.checkpoints)
        found = checkpoint.find_latest(self.checkpoints)
        for directory, reason in found.refused.items():
            self.progress.note(f"{reason}; set aside as {checkpoint.set_aside(directory).name}")
        return None if found.checkpoint is None else found.checkpoint.directory.name

    def save(self, scores: dict[str, float] | None) -> None:
        """Begin to write a checkpoint of this moment, with the scores of a validation made here."""
        model, trainer, facts = self.state.capture()
        if self.processes.first:
            self.saver.save(
                self.run.update,
                model,
                trainer,
                {**facts, "scores": scores},
                best=self.run.best.update,
                spare=self.run.guarded.good if self.settings.guards.spike else None,
            )

    def due(self, span: Interval | None, before: TrainingPosition) -> bool:
        """Whether a span has ended since `before`."""
        return self.course.due(span, before, self.run)
