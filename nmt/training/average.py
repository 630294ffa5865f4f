"""The mean of several checkpoints' weights (Polyak averaging; Junczys-Dowmunt et al., 2016)."""

from collections.abc import Sequence
from pathlib import Path

from nmt.errors import DataError, UsageError
from nmt.training.checkpoint import Tensors, read_model


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
