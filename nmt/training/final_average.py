"""The mean of a run's last checkpoints, which takes the place of the best one if it validates better.

It lies next to the checkpoints as `average`: weights, and what it was compared with. A run is never resumed
from it.
"""

import operator
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.files import remove_path
from nmt.training import checkpoint
from nmt.training.checkpoint import METADATA, MODEL
from nmt.training.ema import average_weights
from nmt.training.run_state import list_metric_directions
from nmt.training.snapshot import load_model_tensors
from nmt.untrusted_files import check_inside, check_values

if TYPE_CHECKING:
    from nmt.training.loop import Trainer

AVERAGE = "average"


@dataclass(frozen=True)
class AverageRecord:
    """The mean of some checkpoints, and the best checkpoint that it was compared with."""

    checkpoints: list[str]
    best: str
    metric: str
    score: float
    best_score: float

    @property
    def is_better(self) -> bool:
        """Return True if the mean validates better than the best checkpoint."""
        better = operator.gt if list_metric_directions()[self.metric] else operator.lt
        return bool(better(self.score, self.best_score))

    def __str__(self) -> str:
        names = ", ".join(self.checkpoints)
        used = "the mean is" if self.is_better else f"{self.best} is"
        return (
            f"the mean of {names}: {self.metric} {self.score:.3f} on the validation data; the best "
            f"checkpoint, {self.best}: {self.best_score:.3f}; {used} used"
        )


def compare_average(trainer: "Trainer", count: int) -> AverageRecord | None:
    """Validate the mean of the last `count` checkpoints that a run has kept, and write it if it is better.

    It is validated as they were. Returns None for fewer than two checkpoints, and for a run without a score
    of its deciding metric. Leaves the model with the mean as its weights.
    """
    best, processes, model = trainer.run.best, trainer.processes, trainer.learner.model
    found = checkpoint.list_checkpoints(trainer.checkpoints)[-count:] if count else []
    if not processes.run_on_first(lambda: len(found) > 1) or best.score is None or best.is_at_floor:
        return None
    if processes.is_first:
        tensors = average_weights(found)
        load_model_tensors(model, tensors)
    processes.broadcast_weights(model)
    scores = trainer.validator(model, AVERAGE).scores
    if not processes.is_first:
        return None
    target = checkpoint.follow_link(trainer.checkpoints / "best").resolve().name
    names = [path.name for path in found]
    record = AverageRecord(names, target, best.metric, scores[best.metric], best.score)
    directory = trainer.checkpoints / AVERAGE
    if record.is_better:
        facts = {AVERAGE: asdict(record), "scores": scores, "origin": trainer.origin}
        checkpoint.write_tensor_files(directory, {MODEL: tensors}, METADATA, facts)
    else:
        remove_path(directory)
    trainer.progress.note(str(record))
    return record


def read_average(directory: Path) -> AverageRecord | None:
    """Return the record of a mean of checkpoints; None for a checkpoint."""
    facts = checkpoint.read_checkpoint_card(directory).facts.get(AVERAGE)
    return None if facts is None else check_values(facts, AverageRecord, directory / METADATA)


def find_average(checkpoints: Path, best: Path) -> Path | None:
    """Return the mean that is used instead of the checkpoint `best`; None if it belongs to another best."""
    directory = checkpoints / AVERAGE
    if not os.path.lexists(directory):
        return None
    check_inside(directory, checkpoints)
    record = read_average(directory)
    return directory if record is not None and record.best == best.resolve().name else None
