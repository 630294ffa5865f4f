"""Practice in copying: copy symbols that are inserted into training pairs.

Few corpora have many addresses or tags, and none has all symbols equally often. So in each epoch the symbols
of a pair are numbered from another one on, and a share of the pairs gets symbols at corresponding positions.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.store.arrays import Int64, RaggedRows
from nmt.data.vocabulary import Flags, Vocabulary

UInt64 = NDArray[np.uint64]
SECOND = 0.3  # how often a pair with an inserted symbol gets another one
ANCHORED = 0.5  # how often a symbol is inserted next to a token that both sides contain


class PracticeSide(NamedTuple):
    """What one side's vocabulary says about its tokens."""

    copies: range
    starts: Flags  # of words
    space: list[int]  # the token before a symbol that starts a word, if there is one
    marks: frozenset[int]  # of case, which are not separated from the token before


def _side(vocabulary: Vocabulary) -> PracticeSide:
    space = [i for i, token in enumerate(vocabulary.spellings) if token == "▁"]
    return PracticeSide(vocabulary.copies, vocabulary.starts(), space, frozenset(vocabulary.case_tokens()))


class Insertions(NamedTuple):
    """The rows of both sides with symbols, and the positions of the tokens before the change in them."""

    src: RaggedRows
    tgt: RaggedRows
    src_positions: list[Int64]
    tgt_positions: list[Int64]

    def move(self, links: Int64) -> Int64:
        """Return links (row, target position, source position) [L, 3] between the same tokens as before."""
        moved = [
            (row, self.tgt_positions[row][t], self.src_positions[row][s]) for row, t, s in links.tolist()
        ]
        return np.array(moved, np.int64).reshape(-1, 3)


class CopyPractice:
    """The insertion of copy symbols into a share of the pairs."""

    def __init__(self, source: Vocabulary, target: Vocabulary, share: float) -> None:
        self.sides, self.share = (_side(source), _side(target)), share
        self.count = min(len(source.copies), len(target.copies))
        ids = {token: i for i, token in enumerate(target.spellings)}
        self._counterparts = [ids.get(token, -1) for token in source.spellings]

    def apply(self, src: RaggedRows, tgt: RaggedRows, draws: UInt64) -> Insertions:
        """Renumber the symbols of rows, and insert others; `draws` are 64 random bits for each row."""
        rows = [
            list(map(np.ndarray.tolist, np.split(_renumber(side, rows, draws, self.count), _ends(rows))))
            for side, rows in zip(self.sides, (src, tgt), strict=True)
        ]
        positions = [[np.arange(len(row)) for row in side] for side in rows]
        for index in np.flatnonzero((draws >> np.uint64(11)) < self.share * 2.0**53).tolist():
            pair = rows[0][index], rows[1][index]
            if any(token in side.copies for side, row in zip(self.sides, pair, strict=True) for token in row):
                continue
            for one, (row, moved) in enumerate(self._insert(*pair, Random(int(draws[index])))):
                rows[one][index], positions[one][index] = row, moved
        src_rows, tgt_rows = map(_ragged, rows)
        return Insertions(src_rows, tgt_rows, *positions)

    def _insert(self, src: list[int], tgt: list[int], rng: Random) -> list[tuple[list[int], Int64]]:
        """Return both rows with symbols, and the new position of each of their tokens."""
        places = [self._choose_place(src, tgt, rng) for _ in range(1 + (rng.random() < SECOND))]
        first = rng.randrange(self.count)
        numbered = [
            (*place, (first + i) % self.count) for i, place in enumerate(sorted(places)[: self.count])
        ]
        return [
            _insert_symbols(row, side, sorted((place[one], place[2]) for place in numbered))
            for one, (row, side) in enumerate(zip((src, tgt), self.sides, strict=True))
        ]

    def _choose_place(self, src: list[int], tgt: list[int], rng: Random) -> tuple[int, int]:
        """Choose corresponding positions: before a token that occurs once on both sides, or as far along."""
        gaps = [_gaps(row, side) for row, side in zip((src, tgt), self.sides, strict=True)]
        if rng.random() < ANCHORED:
            anchors = [(s, t) for s, t in self._find_anchors(src, tgt) if s in gaps[0] and t in gaps[1]]
            if anchors:
                return rng.choice(anchors)
        share = rng.random()
        return gaps[0][int(share * len(gaps[0]))], gaps[1][int(share * len(gaps[1]))]

    def _find_anchors(self, src: list[int], tgt: list[int]) -> list[tuple[int, int]]:
        counts, others = Counter(src), Counter(tgt)
        return [
            (s, tgt.index(other))
            for s, token in enumerate(src)
            if counts[token] == 1 and others[other := self._counterparts[token]] == 1
        ]


def _ends(rows: RaggedRows) -> Int64:
    ends: Int64 = np.cumsum(rows.lengths)[:-1]
    return ends


def _renumber(side: PracticeSide, rows: RaggedRows, draws: UInt64, count: int) -> Int64:
    """Return the tokens, the symbols of each row numbered from another one on."""
    values = rows.values.astype(np.int64)
    first = side.copies.start
    shifts = np.repeat((draws % np.uint64(count)).astype(np.int64), rows.lengths)
    is_copy = (values >= first) & (values < first + count)
    return np.where(is_copy, first + (values - first + shifts) % count, values)


def _ragged(rows: Sequence[Sequence[int]]) -> RaggedRows:
    lengths = np.fromiter(map(len, rows), np.int64)
    return RaggedRows(np.fromiter((token for row in rows for token in row), np.int64), lengths)


def _gaps(row: list[int], side: PracticeSide) -> list[int]:
    """Return the positions where a symbol can be inserted: between words, or anywhere without words."""
    starts = side.starts[row] if row else np.empty(0, np.bool_)
    gaps = {*range(len(row))}
    if 4 * int(starts.sum()) >= len(row):
        gaps &= {*np.flatnonzero(starts).tolist(), len(row) - 1}  # also before the last sign
    return sorted({i for i in gaps if row[i] not in side.marks} | {len(row)})


def _insert_symbols(
    row: list[int], side: PracticeSide, symbols: Sequence[tuple[int, int]]
) -> tuple[list[int], Int64]:
    """Return a row with symbols at some positions, and the new position of each of its tokens."""
    inserted, moved, last = list[int](), np.arange(len(row)), 0
    for position, number in symbols:
        is_word = position in (0, len(row)) or position == len(row) - 1 or side.starts[row[position]]
        new = [*(side.space if is_word else []), side.copies[number]]
        inserted += [*row[last:position], *new]
        moved[position:] += len(new)
        last = position
    return [*inserted, *row[last:]], moved
