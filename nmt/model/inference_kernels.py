"""Rows of a search: attention over sentences of different lengths, and the best pieces, in C where it can be.

Each row is computed by itself: its numbers do not depend on the rows beside it.
"""

from collections.abc import Sequence
from ctypes import c_long, c_void_p
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.recurrence.c.code_generator import HEAD, NUMBER
from nmt.recurrence.c.compiler import built
from nmt.recurrence.engine import native


class Lines(NamedTuple):
    """What attention reads of one sentence: keys [S, A] and values [S, C]."""

    keys: Tensor
    values: Tensor


def attend(query: Tensor, lines: Sequence[Lines]) -> tuple[Tensor, list[Tensor]]:
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


def best(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Log probabilities and pieces of the `count` best of each row of logits [R, V].

    Best first, equal ones by piece.
    """
    rows, pieces = logits.shape
    count = min(count, pieces)
    if not native("auto", logits):
        log_probs, order = logits.log_softmax(-1).sort(dim=1, descending=True, stable=True)
        return log_probs[:, :count], order[:, :count]
    return _best(logits.contiguous(), [pieces] * rows, None, count)


def best_of_named(logits: Tensor, names: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """`best` of rows that lie end to end in `logits` (in C); names [V_r] are the pieces of each, ascending.

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
    loaded = built(NUMBER[dtype] + HEAD[dtype] + Path(__file__).with_suffix(".c").read_text())
    loaded.attend.argtypes = [c_long, c_long, c_long, *[c_void_p] * 6]
    loaded.best.argtypes = [c_long, c_void_p, c_void_p, c_void_p, c_long, c_void_p, c_void_p]
    loaded.attend.restype = loaded.best.restype = None
    return loaded
