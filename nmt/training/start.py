"""Starting from the weights of another model: what has a place of its name and shape is taken over."""

from typing import NamedTuple

from torch import nn

from nmt.training.snapshot import model_tensors


class Taken(NamedTuple):
    """The names of the tensors that were taken over, and of those that were not."""

    taken: list[str]
    fresh: list[str]  # in the model alone
    misfits: list[str]  # of another shape
    left: list[str]  # without a place in the model


def take_over(model: nn.Module, other: nn.Module) -> Taken:
    """Copy what fits into a model, whose other weights stay as they are."""
    mine, tensors = model_tensors(model), other.state_dict()
    shared = [name for name in mine if name in tensors]
    taken = [name for name in shared if mine[name].shape == tensors[name].shape]
    for name in taken:
        mine[name].copy_(tensors[name])
    return Taken(
        taken,
        [name for name in mine if name not in tensors],
        [name for name in shared if name not in taken],
        [name for name in model_tensors(other) if name not in model.state_dict()],
    )
