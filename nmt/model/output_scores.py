"""What a prepared translator says of the next piece: of every piece, or of those on a shortlist."""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.model.inference_kernels import best, best_of_named
from nmt.recurrence.c.native import Packed, multiply_by_parts
from nmt.recurrence.deferred import Linear
from nmt.recurrence.engine import native

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Logits:
    """Scores of every piece; logits [R, V]."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count], best first; equal ones by piece."""
        values, pieces = best(self.logits, count)
        return values.numpy(force=True), pieces.numpy(force=True)

    def of(self, rows: Ints, pieces: Ints) -> Floats:
        """The log probabilities of some pieces of some rows, [N]."""
        chosen = self.logits[torch.from_numpy(rows)]
        picked = chosen.log_softmax(-1).gather(1, torch.from_numpy(pieces).to(chosen.device).unsqueeze(1))
        return picked.squeeze(1).numpy(force=True)

    def all(self) -> Floats:
        """The log probabilities of all pieces, [R, V]."""
        return self.logits.log_softmax(-1).numpy(force=True)


class Listed(NamedTuple):
    """The output layer's rows for the pieces that a translation of one sentence may hold, ascending [N]."""

    pieces: Tensor
    bias: Tensor
    matrix: Packed | None  # in C; where there is none, the whole layer is multiplied


def listed(output: Linear, pieces: Ints) -> Listed:
    """The output layer cut down to these pieces."""
    places = torch.from_numpy(pieces).to(output.bias.device)
    matrix = Packed(output.weight[places]) if native("auto", output.bias) else None
    return Listed(places, output.bias[places], matrix)


class Restricted:
    """Log probabilities among the pieces on each row's list, whose logits lie end to end; others are -inf."""

    def __init__(self, logits: Tensor, lists: Sequence[Listed], pieces: int) -> None:
        """`pieces`: V."""
        self.logits, self.lists, self.pieces = logits, lists, pieces

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count], as of all."""
        names = [own.pieces for own in self.lists]
        values, pieces = best_of_named(self.logits, names, min(count, self.pieces))
        return values.numpy(), pieces.numpy()

    def of(self, rows: Ints, pieces: Ints) -> Floats:
        """The log probabilities of some pieces of some rows, [N]."""
        return self.among_all.of(rows, pieces)

    def all(self) -> Floats:
        """The log probabilities of all pieces, [R, V]."""
        return self.among_all.all()

    @cached_property
    def among_all(self) -> Logits:
        """The same as scores of every piece."""
        logits = self.logits.new_full((len(self.lists), self.pieces), -torch.inf)
        values = torch.split(self.logits, [len(own.pieces) for own in self.lists])
        for row, own, value in zip(logits, self.lists, values, strict=True):
            row[own.pieces] = value
        return Logits(logits)


def listed_scores(features: Tensor, output: Linear, lists: Sequence[Listed]) -> Logits | Restricted:
    """Scores of what is on each row's list; features [R', F], of which the first R = len(lists) are meant.

    Rows of one sentence stand side by side.
    """
    if lists[0].matrix is None:
        rows = output(features)[: len(lists)]
        logits = torch.cat([row[own.pieces] for row, own in zip(rows, lists, strict=True)])
        return Restricted(logits, lists, output.out_features).among_all
    runs = [list(run) for _, run in groupby(lists, id)]
    matrices = [run[0].matrix for run in runs if run[0].matrix]
    logits = multiply_by_parts(features, [len(run) for run in runs], matrices, [run[0].bias for run in runs])
    return Restricted(logits, lists, output.out_features)
