"""What changes in a run, and decides how it goes on: taken whole, and put back."""

from dataclasses import dataclass

from nmt.model.decoder import DecoderState
from nmt.training import snapshot
from nmt.training.checkpoint import Checkpoint, Facts, Tensors
from nmt.training.ema import Weights
from nmt.training.run_state import Run
from nmt.training.schedules import Schedule
from nmt.training.snapshot import dealt, gathered
from nmt.training.update import Learner


@dataclass
class State:
    """Weights, moments, the schedule's memory, the books, and the generators of every process."""

    learner: Learner
    weights: Weights
    schedule: Schedule
    run: Run
    carried: DecoderState | None = None  # from the batch before, where the next one continues it

    def capture(self) -> tuple[Tensors, Tensors, Facts]:
        """The weights that are kept, the trainer's tensors, plain facts; all processes take part."""
        learner, (model, trainer) = self.learner, self.weights.capture()
        own = snapshot.generator_tensors() | snapshot.carried_tensors(self.carried)
        trainer |= snapshot.optimiser_tensors(learner.model, learner.optimiser)
        trainer |= gathered(learner.processes, own)
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
        own = dealt(self.learner.processes, saved.trainer)
        snapshot.load_generator_tensors(own)
        self.carried = snapshot.carried_state(self.learner.model, own)
        self.schedule.load_state_dict(saved.facts["schedule"])
        self.learner.precision.scaler.load_state_dict(saved.facts.get("scaler", {}))
        self.run = Run.from_facts(saved.facts["run"])

    def restore_weights(self, saved: Checkpoint, *, moments: bool = True) -> None:
        """Put back the weights alone, with the optimiser's moments or with none."""
        self.weights.restore(saved.model, saved.trainer)
        kept = saved.trainer if moments else {}
        snapshot.load_optimiser_tensors(self.learner.model, self.learner.optimiser, kept)
