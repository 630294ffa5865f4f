"""Weights taken from checkpoints: their mean, and the start of a run from another model."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from nmt.errors import DataError, UsageError
from nmt.training.checkpoint import Tensors, read_model
from nmt.training.snapshot import model_tensors


def average(checkpoints: Sequence[Path]) -> Tensors:
    """The mean weights, summed in float64; DataError if a checkpoint is torn or of another model."""
    if not checkpoints:
        raise UsageError("no checkpoint to average")
    first, _ = read_model(checkpoints[0])
    sums = {name: tensor.double() for name, tensor in first.items()}
    for directory in checkpoints[1:]:
        tensors, _ = read_model(directory)
        _check_same(first, tensors, checkpoints[0], directory)
        for name, tensor in tensors.items():
            sums[name] += tensor
    means = {name: total / len(checkpoints) for name, total in sums.items()}
    return {name: means[name].to(tensor.dtype) for name, tensor in first.items()}


def _check_same(first: Tensors, other: Tensors, here: Path, there: Path) -> None:
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in (first, other)]
    odd = sorted(name for name in first.keys() | other.keys() if shapes[0].get(name) != shapes[1].get(name))
    if odd:
        raise DataError(f"{there}: not the model of {here}: {odd[0]} differs ({len(odd)} tensors do)")


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
