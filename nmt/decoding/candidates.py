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


class Candidates(NamedTuple):
    """Continuations of each row."""

    values: Doubles  # [R, C] log probabilities; -inf where there is none
    pieces: Ints  # [R, C]

    def strike(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Take out pieces of rows."""
        rows, pieces = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        pair, column = np.nonzero(self.pieces[rows] == pieces[:, None])
        self.values[rows[pair], column] = -np.inf

    def with_pieces(self, scores: Scores, pairs: Sequence[tuple[int, int]]) -> "Candidates":
        """With these pieces of rows added, where they are missing."""
        pairs = [(row, piece) for row, piece in pairs if piece not in self.pieces[row]]
        columns = [sum(row == other for other, _ in pairs[:place]) for place, (row, _) in enumerate(pairs)]
        more = Candidates(
            np.full((len(self.values), max(columns, default=-1) + 1), -np.inf),
            np.full((len(self.values), max(columns, default=-1) + 1), PAD),
        )
        more.put(scores, pairs, columns)
        return Candidates(*(np.concatenate(both, axis=1) for both in zip(self, more, strict=True)))

    def put(self, scores: Scores, pairs: Sequence[tuple[int, int]], columns: Sequence[int] | int) -> None:
        """Write pieces of rows into these columns."""
        rows, pieces = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        self.values[rows, columns] = scores.of(rows, pieces)
        self.pieces[rows, columns] = pieces


def candidates(
    scores: Scores, nodes: Sequence[Node], owners: Sequence[Sentence], options: Options
) -> Candidates:
    """Continuations of each hypothesis, enough that the best of its lane are among them.

    Raises DataError where the model gives no number.
    """
    forced = [(row, s.request.prefix[s.length]) for row, s in enumerate(owners) if s.is_forced]
    if len(forced) == len(owners):
        found = Candidates(np.empty((len(owners), 1)), np.empty((len(owners), 1), np.int64))
    else:
        found = _free(scores, nodes, owners, options)
    if forced:
        found.values[[row for row, _ in forced]] = -np.inf
        found.put(scores, forced, 0)
    if np.isnan(found.values).any():
        raise DataError("the model's output is not a number: was it trained to the end without a NaN loss?")
    return found


def _free(scores: Scores, nodes: Sequence[Node], owners: Sequence[Sentence], options: Options) -> Candidates:
    """Candidates of rows that are not forced; those of the others mean nothing."""
    restricted = [row for row, s in enumerate(owners) if s.is_restricted]
    banned = [(row, piece) for row in restricted for piece in bans(owners[row], nodes[row])]
    never = [PAD, BOS] if options.unk else [PAD, BOS, UNK]
    most = int(np.bincount([row for row, _ in banned]).max()) if banned else 0
    values, pieces = _pool(scores, len(never) + most, options)
    found = Candidates(np.array(values, np.float64), np.array(pieces, np.int64))
    if restricted:
        found = found.with_pieces(
            scores, [(row, piece) for row in restricted for piece in wanted(owners[row], nodes[row])]
        )
    for piece in never:
        found.values[found.pieces == piece] = -np.inf
    if banned:
        found.strike(banned)
    return found


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
