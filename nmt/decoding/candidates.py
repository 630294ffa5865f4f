"""What the live hypotheses could be continued with."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nmt.data.subwords import BOS, PAD, UNK
from nmt.decoding.bans import bans
from nmt.decoding.constraints import wanted
from nmt.decoding.hypothesis import Node
from nmt.decoding.model import Floats, Ints, Scores
from nmt.decoding.options import Options
from nmt.decoding.rows import Doubles
from nmt.decoding.sentence import Sentence
from nmt.errors import DataError

IMPOSSIBLE = -1000.0  # log probability of a piece that must be written where the model rules it out


class Candidates(NamedTuple):
    """Continuations of each row."""

    values: Doubles  # [R, C] log probabilities; -inf where there is none
    pieces: Ints  # [R, C]

    def strike(self, rows: Ints, pieces: Ints) -> None:
        """Take out pieces [N] of rows [N]."""
        pair, column = np.nonzero(self.pieces[rows] == pieces[:, None])
        self.values[rows[pair], column] = -np.inf

    def put(self, scores: Scores, rows: Ints, pieces: Ints, columns: Ints | int) -> None:
        """Write pieces [N] of rows [N], which must be possible, into these columns."""
        self.values[rows, columns] = np.maximum(scores.of(rows, pieces), IMPOSSIBLE)
        self.pieces[rows, columns] = pieces

    def with_pieces(self, scores: Scores, rows: Ints, pieces: Ints) -> "Candidates":
        """With pieces [N] of ascending rows [N] added, each pair given once, where they are missing."""
        there = (self.pieces[rows] == pieces[:, None]) & (self.values[rows] > -np.inf)
        missing = ~there.any(axis=1)
        rows, pieces = rows[missing], pieces[missing]
        columns = np.arange(len(rows)) - np.searchsorted(rows, rows)
        shape = len(self.values), int(columns.max(initial=-1)) + 1
        more = Candidates(np.full(shape, -np.inf), np.full(shape, PAD))
        more.put(scores, rows, pieces, columns)
        return Candidates(*(np.concatenate(both, axis=1) for both in zip(self, more, strict=True)))


def candidates(
    scores: Scores, nodes: Sequence[Node], owners: Sequence[Sentence], options: Options, more: int = 0
) -> Candidates:
    """Continuations of each hypothesis, enough that the best of its lane are among them, and `more`.

    Raises DataError where the model gives no number.
    """
    forced = [(row, s.request.prefix[s.length]) for row, s in enumerate(owners) if s.is_forced]
    if len(forced) == len(owners):
        found = Candidates(np.empty((len(owners), 1)), np.empty((len(owners), 1), np.int64))
    else:
        found = _free(scores, nodes, owners, options, more)
    if forced:
        rows, pieces = _columns(forced)
        found.values[rows] = -np.inf
        found.put(scores, rows, pieces, 0)
    if np.isnan(found.values).any():
        raise DataError("the model's output is not a number: was it trained to the end without a NaN loss?")
    return found


def _free(
    scores: Scores, nodes: Sequence[Node], owners: Sequence[Sentence], options: Options, more: int
) -> Candidates:
    """Candidates of rows that are not forced; those of the others mean nothing."""
    restricted = [row for row, s in enumerate(owners) if s.is_restricted]
    banned = {(row, piece) for row in restricted for piece in bans(owners[row], nodes[row])}
    asked_for = {(row, piece) for row in restricted for piece in wanted(owners[row], nodes[row])}
    never = [PAD, BOS] if options.unk else [PAD, BOS, UNK]
    most = int(np.bincount([row for row, _ in banned]).max()) if banned else 0
    values, pieces = _pool(scores, len(never) + most + more, options)
    found = Candidates(np.array(values, np.float64), np.array(pieces, np.int64))
    if asked_for:
        found = found.with_pieces(scores, *_columns(sorted(asked_for)))
    for piece in never:
        found.values[found.pieces == piece] = -np.inf
    if banned:
        found.strike(*_columns(sorted(banned)))
    return found


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    rows, pieces = np.array(pairs, dtype=np.int64).T
    return rows, pieces


def _pool(scores: Scores, spare: int, options: Options) -> tuple[Floats, Ints]:
    """The best of each row, so many that they suffice when `spare` of them are ruled out."""
    if not options.sample:
        return scores.best(options.beam + spare)
    if options.top_k:
        return scores.best(options.top_k + spare)
    everything = scores.all()
    if options.top_p < 1:
        return scores.best(everything.shape[1])
    return everything, np.broadcast_to(np.arange(everything.shape[1]), everything.shape)
