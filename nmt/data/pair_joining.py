"""Training pairs that are joined with their next neighbour in the corpus, so that a model learns to translate
lines of several sentences."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.sentences import find_separator
from nmt.data.store import StoreSide, TokenStore
from nmt.data.store.arrays import Int64, RaggedRows, find_parts
from nmt.data.vocabulary import COPY, Vocabulary, copy_symbol

Bools = NDArray[np.bool_]


class PairJoin(NamedTuple):
    """Which pairs of a store with text are joined."""

    share: float  # of the pairs of an epoch
    longest: int  # tokens of a joined pair on either side, at most
    vocabularies: tuple[Vocabulary, Vocabulary]  # of source and target
    tags: tuple[str | None, ...] = (None,)  # of each corpus


def find_joined(store: TokenStore, pairs: Int64, draws: Int64, join: PairJoin) -> Bools:
    """Return which pairs are joined, given a random number from 0 to 2^32 - 1 for each.

    The neighbour is the pair of the next line of the same corpus; a pair without one is not joined.
    """
    joined = draws < join.share * 2.0**32
    joined &= pairs + 1 < len(store)
    rows = np.flatnonzero(joined)
    first, second = pairs[rows], pairs[rows] + 1
    joined[rows] = (_corpora(store, first) == _corpora(store, second)) & (
        store.lines[first] + 1 == store.lines[second]
    )
    longest = np.maximum(*joined_lengths(store, pairs[joined], np.ones(joined.sum(), np.bool_)))
    joined[joined] = longest <= join.longest
    return joined


def joined_lengths(store: TokenStore, pairs: Int64, joined: Bools) -> tuple[Int64, Int64]:
    """Return the numbers of tokens of pairs on either side; of joined ones, those of both pairs."""
    lengths = store.lengths(pairs)
    for side, more in zip(lengths, store.lengths(pairs[joined] + 1), strict=True):
        side[joined] += more
    return lengths


def join_lines(store: TokenStore, side: StoreSide, pairs: Int64, join: PairJoin) -> list[str]:
    """Return the lines of pairs on one side, each joined with the next one."""
    seconds = side.lines(pairs + 1)
    if side is store.src:
        tags = [join.tags[corpus] for corpus in _corpora(store, pairs).tolist()]
        seconds = [
            line.removeprefix(f"{tag} ") if tag else line for tag, line in zip(tags, seconds, strict=True)
        ]
    lines = zip(side.lines(pairs), seconds, strict=True)
    count = min(len(vocabulary.copies) for vocabulary in join.vocabularies)
    stripped = (
        (first.rstrip(), _number_copies(second.lstrip(), len(COPY.findall(first)), count))
        for first, second in lines
    )
    return [f"{first}{find_separator(first, second, ' ')}{second}" for first, second in stripped]


def _number_copies(line: str, before: int, count: int) -> str:
    """Number the copy symbols of a line after those of the line before it, with which it is joined."""
    if not before or not count:
        return line
    return COPY.sub(lambda match: copy_symbol((int(match[1]) - 1 + before) % count + 1), line)


def replace_rows(rows: RaggedRows, chosen: Bools, others: Sequence[Sequence[int]]) -> RaggedRows:
    """Return the rows with the chosen ones replaced by others."""
    parts = np.split(rows.values, np.cumsum(rows.lengths)[:-1])
    for row, other in zip(np.flatnonzero(chosen).tolist(), others, strict=True):
        parts[row] = np.array(other, np.int64)
    return RaggedRows(np.concatenate(parts), np.array([len(part) for part in parts], np.int64))


def _corpora(store: TokenStore, pairs: Int64) -> Int64:
    return find_parts(pairs, np.array([*(part.first for part in store.parts), len(store)]))
