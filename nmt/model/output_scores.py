"""Scores of the next token over the vocabulary or a shortlist, and the best of each row."""

from collections.abc import Sequence
from ctypes import c_long, c_void_p
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.decoding.model import Floats, Ints
from nmt.recurrence.c.code_generator import C_HEADER
from nmt.recurrence.c.compiler import build_library
from nmt.recurrence.c.native import PackedMatrix, multiply_groups
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.engine import runs_in_c


class VocabularyScores:
    """Scores of the whole vocabulary; logits [R, V]."""

    def __init__(self, logits: Tensor) -> None:
        self.logits, self.vocabulary_size = logits, logits.shape[-1]

    def best(self, count: int) -> tuple[Floats, Ints]:
        """Return log probabilities and tokens of the `count` best of each row, [R, count]; ties by token."""
        values, tokens = top_k(self.logits, count)
        return values.numpy(force=True), tokens.numpy(force=True)

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        """Return the log probabilities of some tokens of some rows, [N]."""
        logits = self.logits[torch.from_numpy(rows)]
        log_probs = logits.log_softmax(-1).gather(1, torch.from_numpy(tokens).to(logits.device).unsqueeze(1))
        return log_probs.squeeze(1).numpy(force=True)

    def all(self) -> Floats:
        """Return all log probabilities, [R, V]."""
        return self.logits.log_softmax(-1).numpy(force=True)


class ShortlistedOutput(NamedTuple):
    """The output layer restricted to the tokens that one translation may contain, ascending [N]."""

    tokens: Tensor
    bias: Tensor
    matrix: PackedMatrix | None  # None: multiply by the whole layer


def shortlist_output(output: PackableLinear, tokens: Ints) -> ShortlistedOutput:
    """Restrict the output layer to these tokens."""
    rows = torch.from_numpy(tokens).to(output.bias.device)
    matrix = PackedMatrix(output.weight[rows]) if runs_in_c("auto", output.bias) else None
    return ShortlistedOutput(rows, output.bias[rows], matrix)


@dataclass
class ShortlistScores:
    """Scores of the tokens on each row's shortlist, their logits in one dimension; others have -inf."""

    logits: Tensor
    lists: Sequence[ShortlistedOutput]
    vocabulary_size: int

    def best(self, count: int) -> tuple[Floats, Ints]:
        lists = [shortlist.tokens for shortlist in self.lists]
        values, tokens = top_k_of_shortlists(self.logits, lists, min(count, self.vocabulary_size))
        return values.numpy(), tokens.numpy()

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        return self.dense.gather(rows, tokens)

    def all(self) -> Floats:
        return self.dense.all()

    @cached_property
    def dense(self) -> VocabularyScores:
        logits = self.logits.new_full((len(self.lists), self.vocabulary_size), -torch.inf)
        values = torch.split(self.logits, [len(shortlist.tokens) for shortlist in self.lists])
        for row, shortlist, value in zip(logits, self.lists, values, strict=True):
            row[shortlist.tokens] = value
        return VocabularyScores(logits)


def score_shortlists(
    features: Tensor, output: PackableLinear, lists: Sequence[ShortlistedOutput]
) -> VocabularyScores | ShortlistScores:
    """Score the tokens on each row's shortlist, for the first R = len(lists) rows of features [R', F].

    Rows of one sentence are adjacent.
    """
    if lists[0].matrix is None:
        rows = output(features)[: len(lists)]
        logits = torch.cat([row[shortlist.tokens] for row, shortlist in zip(rows, lists, strict=True)])
        return ShortlistScores(logits, lists, output.out_features).dense
    runs = [list(run) for _, run in groupby(lists, id)]
    matrices = [run[0].matrix for run in runs if run[0].matrix]
    logits = multiply_groups(features, [len(run) for run in runs], matrices, [run[0].bias for run in runs])
    return ShortlistScores(logits, lists, output.out_features)


def concatenate_scores(
    scores: Sequence[VocabularyScores | ShortlistScores],
) -> VocabularyScores | ShortlistScores:
    """Concatenate the scores of several blocks of rows."""
    logits = torch.cat([block.logits for block in scores])
    lists = [output for block in scores if isinstance(block, ShortlistScores) for output in block.lists]
    return ShortlistScores(logits, lists, scores[0].vocabulary_size) if lists else VocabularyScores(logits)


class KeysValues(NamedTuple):
    """Keys [S, A] and values [S, C] of one sentence."""

    keys: Tensor
    values: Tensor


def attend_in_c(query: Tensor, sentences: Sequence[KeysValues]) -> tuple[Tensor, list[Tensor]]:
    """Attend from each row of query [R, A] to its sentence: contexts [R, C], weights R times [S]."""
    rows, size = query.shape
    context = query.new_empty(rows, sentences[0].values.shape[1])
    lengths = [len(sentence.keys) for sentence in sentences]
    weights = list(torch.split(query.new_empty(sum(lengths)), lengths))
    _library(query.dtype).attend(
        *(rows, size, context.shape[1], query.contiguous().data_ptr()),
        *(_addresses(tensors) for tensors in zip(*sentences, strict=True)),
        (c_long * rows)(*lengths),
        _addresses(weights),
        context.data_ptr(),
    )
    return context, weights


def top_k(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the log probabilities and tokens of the `count` best of each row of logits [R, V].

    Best first; ties are sorted by token.
    """
    rows, size = logits.shape
    count = min(count, size)
    if not runs_in_c("auto", logits):
        log_probs, order = logits.log_softmax(-1).sort(dim=1, descending=True, stable=True)
        return log_probs[:, :count], order[:, :count]
    return _best(logits.contiguous(), [size] * rows, None, count)


def top_k_of_shortlists(logits: Tensor, tokens: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Return `top_k` of rows that follow each other in `logits`; tokens [V_r] of each row ascend.

    Rows with fewer than `count` tokens are padded with others at -inf.
    """
    return _best(logits, [own.numel() for own in tokens], _addresses(tokens), count)


def _best(logits: Tensor, lengths: Sequence[int], tokens: Any, count: int) -> tuple[Tensor, Tensor]:
    rows = len(lengths)
    values, best = logits.new_empty(rows, count), torch.empty(rows, count, dtype=torch.long)
    first = (c_long * (rows + 1))(0, *accumulate(lengths))
    _library(logits.dtype).best(
        *(rows, first, logits.data_ptr(), tokens, count, values.data_ptr(), best.data_ptr())
    )
    return values, best


def _addresses(tensors: Sequence[Tensor]) -> Any:
    return (c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


@cache
def _library(dtype: torch.dtype) -> Any:
    loaded = build_library(C_HEADER[dtype] + Path(__file__).with_suffix(".c").read_text(encoding="utf-8"))
    loaded.attend.argtypes = [c_long, c_long, c_long, *[c_void_p] * 6]
    loaded.best.argtypes = [c_long, c_void_p, c_void_p, c_void_p, c_long, c_void_p, c_void_p]
    loaded.attend.restype = loaded.best.restype = None
    return loaded
