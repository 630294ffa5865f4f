"""What a task brings to the training loop, which is the same for all."""

from typing import NamedTuple

from nmt.model.translator import Translator
from nmt.training.objectives.likelihood import Objective
from nmt.training.settings import EpochBatches, ValidateFunction


class Task(NamedTuple):
    """What is learnt, from what, and how it is judged."""

    model: Translator
    epochs: EpochBatches
    objective: Objective
    validate: ValidateFunction
    metric: str  # what the best checkpoint is chosen by
    material: str  # what it is learnt from and in which pieces, for people


def summary(task: Task) -> str:
    """What is about to be trained."""
    parameters = sum(parameter.numel() for parameter in task.model.parameters())
    return f"{task.material}, {parameters:,} parameters"
