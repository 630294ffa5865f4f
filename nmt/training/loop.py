"""The one training loop."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.training import checkpoint, snapshot
from nmt.training.checkpoint import Checkpoint, Facts, Tensors
from nmt.training.gathered import changed_count, dealt, gathered
from nmt.training.interrupts import Interrupts
from nmt.training.metrics import Metrics
from nmt.training.progress import Progress, Tick
from nmt.training.run import Best, Moment, Run, Span, Totals
from nmt.training.schedules import Schedule
from nmt.training.teacher_forcing import Always
from nmt.training.update import Diverged, Learner, Outcome
from nmt.training.validation import Validation

Validate = Callable[
    [Translator, str], Validation
]  # the model, and a name for what is kept of this validation


class Epochs(Protocol):
    """The training batches; both are functions of the epoch alone, so that a run can be entered anywhere."""

    def count(self, epoch: int) -> int:
        """How many batches an epoch has."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from the one at `start`."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The numbers of a run, named as in the recipe (`every`, `metric`, `patience`: of validation)."""

    accumulate: int
    stop_after: Span
    checkpoint_every: Span | None
    keep: int
    every: Span
    metric: str
    patience: int | None
    log_every: int  # updates between lines of the log


class Stop(NamedTuple):
    """Why a run stops, and what its process should exit with: 0, or 128 and the signal."""

    reason: str
    exit_code: int


class Result(NamedTuple):
    """How a run ended."""

    stop: Stop
    update: int
    best: Best
    seconds: float  # spent learning since the run first began


@dataclass(kw_only=True)
class Training:
    """A run and all that takes part in it. What changes is `run`, and what `capture` takes of the rest."""

    learner: Learner
    epochs: Epochs
    validate: Validate
    schedule: Schedule
    settings: Settings
    checkpoints: Path
    metrics: Metrics
    progress: Progress

    def __post_init__(self) -> None:
        self.processes = self.learner.processes
        self.run = Run(Best(self.settings.metric))
        self.carried: DecoderState | None = None  # from the batch before, where the next one continues it
        self.counted = (-1, 0)  # an epoch, and how many batches it has

    def train(self) -> Result:
        """Begin, or go on from the latest whole checkpoint, and train until there is a reason to stop."""
        with self.progress.shown(), Interrupts() as interrupts:
            self.resume()
            with self.metrics.recording(self.run.update):
                stop = self.learn_until_stopped(interrupts)
            self.progress.note(f"stopped after update {self.run.update}: {stop.reason}")
        return Result(stop, self.run.update, self.run.best, self.run.seconds)

    def learn_until_stopped(self, interrupts: Interrupts) -> Stop:
        """Update after update; validations and checkpoints where they are due."""
        self.learner.model.train()
        groups = self.groups()
        stop = self.why_stop(interrupts)
        while stop is None:
            before = self.moment()
            tick = self.learn(next(groups))
            validated = self.due(self.settings.every, before) or self.finished()
            scores = self.judge(tick) if validated else None
            stop = self.why_stop(interrupts)
            if validated or stop or self.due(self.settings.checkpoint_every, before):
                self.save(scores)
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
                        f"but {self.batches_in(epoch)} were announced; is there anything to learn?"
                    )
                yield group

    def learn(self, group: list[Batch]) -> Tick:
        """One update, and its place in the books."""
        run, started = self.run, time.perf_counter()
        rate, ratio = self.schedule.rate(run.update + 1), self.learner.forcing.ratio(run.update + 1)
        outcome = self.make_update(group, rate, ratio)
        seconds = self.processes.largest(time.perf_counter() - started)
        self.carried = outcome.carried
        run.update += 1
        run.advance(len(group), self.batches_in(run.epoch))
        run.tokens += outcome.totals.tokens
        run.seconds += seconds
        run.window.add(outcome.totals)
        tick = self.tick(outcome, rate, ratio, seconds)
        self.progress.tick(tick)
        if run.update % self.settings.log_every == 0:
            self.log(tick, outcome.norm, ratio)
        return tick

    def make_update(self, group: list[Batch], rate: float, ratio: float) -> Outcome:
        """An update, whose failure also names it and the last checkpoint."""
        try:
            return self.learner.update(group, rate=rate, ratio=ratio, carried=self.carried)
        except Diverged as error:
            saved = checkpoint.listed(self.checkpoints)
            raise Diverged(
                f"update {self.run.update + 1}: {error}.\n"
                f"The last good checkpoint is {saved[-1] if saved else 'none yet'}. "
                "A lower learning rate, a longer warm-up or a smaller clip_norm may help."
            ) from error

    def tick(self, outcome: Outcome, rate: float, ratio: float, seconds: float) -> Tick:
        """What is shown of an update: means since the last entry of the log."""
        means = self.run.window.means()
        return Tick(
            update=self.run.update,
            last=self.last_update(),
            epochs=self.moment().epochs,
            loss=means["loss"],
            perplexity=means["perplexity"],
            rate=rate,
            ratio=None if isinstance(self.learner.forcing, Always) else ratio,
            words=outcome.totals.tokens,
            seconds=seconds,
        )

    def log(self, tick: Tick, norm: float, ratio: float) -> None:
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
            }
        )
        self.run.window = Totals()

    def judge(self, tick: Tick) -> dict[str, float]:
        """Validate, and let the best-so-far and the schedule know; gives the scores."""
        started = time.perf_counter()
        found = self.validate(self.learner.model, checkpoint.checkpoint_name(tick.update))
        found = found._replace(scores=self.processes.first_does(lambda: found.scores))
        best = self.run.best.observe(found.scores[self.settings.metric], tick.update)
        self.schedule.observe(best)
        self.metrics.write(
            {
                "event": "validation",
                "update": tick.update,
                "epoch": tick.epochs,
                **found.scores,
                "best": best,
            }
        )
        self.progress.validation(tick, found, best=best, seconds=time.perf_counter() - started)
        return found.scores

    def why_stop(self, interrupts: Interrupts) -> Stop | None:
        """The reason to stop here, if there is one."""
        best, patience = self.run.best, self.settings.patience
        if self.finished():
            return Stop("the run is complete", 0)
        if patience is not None and best.since >= patience:
            return Stop(f"no better {best.metric} in {best.since} validations", 0)
        if received := int(self.processes.largest(interrupts.received or 0)):
            name = signal.Signals(received).name
            return Stop(f"{name}; all is saved, the same command goes on from here", 128 + received)
        return None

    def resume(self) -> None:
        """Take up the latest whole checkpoint; newer ones that are torn are named and set aside."""
        name = self.processes.first_does(self.latest_whole)
        if name is None:
            self.processes.equalise(self.learner.model)
        else:
            restore(self, checkpoint.read(self.checkpoints / name))
            self.point_to(name)
            self.progress.note(f"going on from {self.checkpoints / name}")
        self.progress.begin(self.run.update)

    def latest_whole(self) -> str | None:
        """The name of the checkpoint to go on from; only whole ones are left in the way."""
        checkpoint.clean(self.checkpoints)
        found = checkpoint.latest(self.checkpoints)
        for directory, reason in found.refused.items():
            self.progress.note(f"{reason}; set aside as {checkpoint.set_aside(directory).name}")
        return None if found.checkpoint is None else found.checkpoint.directory.name

    def save(self, scores: dict[str, float] | None) -> None:
        """Write a checkpoint of this moment, with the scores of a validation made here."""
        name = checkpoint.checkpoint_name(self.run.update)
        model, trainer, facts = capture(self)
        if not self.processes.first:
            return
        self.metrics.sync()
        checkpoint.write(self.checkpoints / name, model, trainer, {**facts, "scores": scores})
        best = self.point_to(name)
        checkpoint.prune(self.checkpoints, self.settings.keep, best)

    def point_to(self, last: str) -> str | None:
        """Set the links `last` and `best`; gives the name of the best (the last, if the best was lost)."""
        if not self.processes.first:
            return None
        checkpoint.link(self.checkpoints, "last", last)
        if self.run.best.update is None:
            return None
        best = checkpoint.checkpoint_name(self.run.best.update)
        best = best if (self.checkpoints / best).is_dir() else last
        checkpoint.link(self.checkpoints, "best", best)
        return best

    def moment(self) -> Moment:
        """Where the run stands."""
        run = self.run
        share = run.position / self.batches_in(run.epoch) if run.position else 0.0
        return Moment(run.update, run.epoch + share)

    def due(self, span: Span | None, before: Moment) -> bool:
        """Whether a span has ended since `before`."""
        return span is not None and self.moment().spans(span) > before.spans(span)

    def finished(self) -> bool:
        """Whether the run has its full length."""
        return self.moment().spans(self.settings.stop_after) >= 1

    def last_update(self) -> int:
        """The last update of the run, as far as can be told: epochs may differ a little in batches."""
        stop, now = self.settings.stop_after, self.moment()
        if stop.unit == "u":
            return math.ceil(stop.count)
        updates_in_epoch = math.ceil(self.batches_in(self.run.epoch) / self.settings.accumulate)
        return max(self.run.update, self.run.update + round((stop.count - now.epochs) * updates_in_epoch))

    def batches_in(self, epoch: int) -> int:
        """How many batches an epoch has; counted once."""
        if self.counted[0] != epoch:
            self.counted = (epoch, self.epochs.count(epoch))
        return self.counted[1]


def capture(training: Training) -> tuple[Tensors, Tensors, Facts]:
    """All that decides how training goes on: weights, the trainer's tensors, plain facts."""
    learner, processes = training.learner, training.processes
    own = snapshot.generator_tensors() | snapshot.carried_tensors(training.carried)
    trainer = snapshot.optimiser_tensors(learner.model, learner.optimiser) | gathered(processes, own)
    of_run = {"run": training.run.facts(), "schedule": training.schedule.state_dict()}
    of_learner = {"scaler": learner.precision.scaler.state_dict(), "processes": processes.count}
    return snapshot.model_tensors(learner.model), trainer, of_run | of_learner


def restore(training: Training, saved: Checkpoint) -> None:
    """Put everything back to where `capture` saw it."""
    learner = training.learner
    snapshot.load_model_tensors(learner.model, saved.model)
    snapshot.load_optimiser_tensors(learner.model, learner.optimiser, saved.trainer)
    own = dealt(training.processes, saved.trainer)
    snapshot.load_generator_tensors(own)
    training.carried = snapshot.carried_state(learner.model, own)
    training.schedule.load_state_dict(saved.facts["schedule"])
    learner.precision.scaler.load_state_dict(saved.facts.get("scaler", {}))
    training.run = Run.from_facts(saved.facts["run"])
    for note in changed_count(saved.facts.get("processes", 1), training.processes.count):
        training.progress.note(note)
