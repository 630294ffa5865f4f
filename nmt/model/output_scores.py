"""Scores of the next token, of the whole vocabulary or of a shortlist, and the best of each row."""

from collections.abc import Sequence
from ctypes import c_long, c_void_p
from functools import cache, cached_property
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.decoding.model import Floats, Ints
from nmt.recurrence.c.code_generator import C_HEADER, NUMBER_TYPEDEF
from nmt.recurrence.c.compiler import build_library
from nmt.recurrence.c.native import PackedMatrix, multiply_groups
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.engine import runs_in_c


class VocabularyScores:
    """Scores of every piece; logits [R, V]."""

    def __init__(self, logits: Tensor) -> None:
        self.logits, self.pieces = logits, logits.shape[-1]

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count], best first; equal ones by piece."""
        values, pieces = top_k(self.logits, count)
        return values.numpy(force=True), pieces.numpy(force=True)

    def gather(self, rows: Ints, pieces: Ints) -> Floats:
        """The log probabilities of some pieces of some rows, [N]."""
        chosen = self.logits[torch.from_numpy(rows)]
        picked = chosen.log_softmax(-1).gather(1, torch.from_numpy(pieces).to(chosen.device).unsqueeze(1))
        return picked.squeeze(1).numpy(force=True)

    def all(self) -> Floats:
        """The log probabilities of all pieces, [R, V]."""
        return self.logits.log_softmax(-1).numpy(force=True)


class ShortlistedOutput(NamedTuple):
    """The output layer's rows for the pieces that a translation of one sentence may hold, ascending [N]."""

    pieces: Tensor
    bias: Tensor
    matrix: PackedMatrix | None  # in C; where there is none, the whole layer is multiplied


def shortlist_output(output: PackableLinear, pieces: Ints) -> ShortlistedOutput:
    """The output layer cut down to these pieces."""
    places = torch.from_numpy(pieces).to(output.bias.device)
    matrix = PackedMatrix(output.weight[places]) if runs_in_c("auto", output.bias) else None
    return ShortlistedOutput(places, output.bias[places], matrix)


class ShortlistScores:
    """Log probabilities among the pieces on each row's list, whose logits lie end to end; others are -inf."""

    def __init__(self, logits: Tensor, lists: Sequence[ShortlistedOutput], pieces: int) -> None:
        """`pieces`: V."""
        self.logits, self.lists, self.pieces = logits, lists, pieces

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count], as of all."""
        names = [own.pieces for own in self.lists]
        values, pieces = top_k_of_shortlists(self.logits, names, min(count, self.pieces))
        return values.numpy(), pieces.numpy()

    def gather(self, rows: Ints, pieces: Ints) -> Floats:
        """The log probabilities of some pieces of some rows, [N]."""
        return self.among_all.gather(rows, pieces)

    def all(self) -> Floats:
        """The log probabilities of all pieces, [R, V]."""
        return self.among_all.all()

    @cached_property
    def among_all(self) -> VocabularyScores:
        """The same as scores of every piece."""
        logits = self.logits.new_full((len(self.lists), self.pieces), -torch.inf)
        values = torch.split(self.logits, [len(own.pieces) for own in self.lists])
        for row, own, value in zip(logits, self.lists, values, strict=True):
            row[own.pieces] = value
        return VocabularyScores(logits)


def score_shortlists(
    features: Tensor, output: PackableLinear, lists: Sequence[ShortlistedOutput]
) -> VocabularyScores | ShortlistScores:
    """Scores of what is on each row's list; features [R', F], of which the first R = len(lists) are meant.

    Rows of one sentence stand side by side.
    """
    if lists[0].matrix is None:
        rows = output(features)[: len(lists)]
        logits = torch.cat([row[own.pieces] for row, own in zip(rows, lists, strict=True)])
        return ShortlistScores(logits, lists, output.out_features).among_all
    runs = [list(run) for _, run in groupby(lists, id)]
    matrices = [run[0].matrix for run in runs if run[0].matrix]
    logits = multiply_groups(features, [len(run) for run in runs], matrices, [run[0].bias for run in runs])
    return ShortlistScores(logits, lists, output.out_features)


def concatenate_scores(
    scores: Sequence[VocabularyScores | ShortlistScores],
) -> VocabularyScores | ShortlistScores:
    """Join the scores of several blocks of rows."""
    logits = torch.cat([block.logits for block in scores])
    lists = [output for block in scores if isinstance(block, ShortlistScores) for output in block.lists]
    return ShortlistScores(logits, lists, scores[0].pieces) if lists else VocabularyScores(logits)


class KeysValues(NamedTuple):
    """What attention reads of one sentence: keys [S, A] and values [S, C]."""

    keys: Tensor
    values: Tensor


def attend(query: Tensor, lines: Sequence[KeysValues]) -> tuple[Tensor, list[Tensor]]:
    """Each row of query [R, A] looks over its own lines: contexts [R, C], weights R times [S]."""
    rows, size = query.shape
    context = query.new_empty(rows, lines[0].values.shape[1])
    lengths = [len(line.keys) for line in lines]
    weights = list(torch.split(query.new_empty(sum(lengths)), lengths))
    _library(query.dtype).attend(
        *(rows, size, context.shape[1], query.contiguous().data_ptr()),
        *(_addresses(tensors) for tensors in zip(*lines, strict=True)),
        (c_long * rows)(*lengths),
        _addresses(weights),
        context.data_ptr(),
    )
    return context, weights


def top_k(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Log probabilities and pieces of the `count` best of each row of logits [R, V].

    Best first, equal ones by piece.
    """
    rows, pieces = logits.shape
    count = min(count, pieces)
    if not runs_in_c("auto", logits):
        log_probs, order = logits.log_softmax(-1).sort(dim=1, descending=True, stable=True)
        return log_probs[:, :count], order[:, :count]
    return _best(logits.contiguous(), [pieces] * rows, None, count)


def top_k_of_shortlists(logits: Tensor, names: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """`top_k` of rows that lie end to end in `logits` (in C); names [V_r] are the pieces of each, ascending.

    Where a row has fewer than `count`, other pieces follow with -inf.
    """
    return _best(logits, [own.numel() for own in names], _addresses(names), count)


def _best(logits: Tensor, lengths: Sequence[int], names: Any, count: int) -> tuple[Tensor, Tensor]:
    rows = len(lengths)
    values, pieces = logits.new_empty(rows, count), torch.empty(rows, count, dtype=torch.long)
    first = (c_long * (rows + 1))(0, *accumulate(lengths))
    _library(logits.dtype).best(
        *(rows, first, logits.data_ptr(), names, count, values.data_ptr(), pieces.data_ptr())
    )
    return values, pieces


def _addresses(tensors: Sequence[Tensor]) -> Any:
    return (c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


@cache
def _library(dtype: torch.dtype) -> Any:
    loaded = build_library(
        NUMBER_TYPEDEF[dtype] + C_HEADER[dtype] + Path(__file__).with_suffix(".c").read_text()
    )
    loaded.attend.argtypes = [c_long, c_long, c_long, *[c_void_p] * 6]
    loaded.best.argtypes = [c_long, c_void_p, c_void_p, c_void_p, c_long, c_void_p, c_void_p]
    loaded.attend.restype = loaded.best.restype = None
    return loaded
