"""Arrays that lie in several files, read as if they stood end to end in one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.arrays import Array

Int64 = NDArray[np.int64]

MANY, FEW = 1 << 12, 16
"""Rows whose lengths are read, and rows that are read, before the pages they lie on are let go: a row from
anywhere in a large file brings in a page of its own, and its neighbours."""


class Joined:
    """Arrays of one kind end to end; `joined[places]` reads from all of them, `parts` are they themselves."""

    def __init__(self, parts: Sequence[Array]) -> None:
        self.parts = parts
        self.first: Int64 = np.cumsum([0, *map(len, parts)])  # place of each part's first value, and the end

    def __len__(self) -> int:
        return int(self.first[-1])

    def __getitem__(self, places: Int64) -> Array:
        if len(self.parts) == 1:
            return self.parts[0][places]
        parts, found = part_of(places, self.first), np.empty(len(places), self.parts[0].dtype)
        order = np.argsort(parts, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
            if len(group):
                part = parts[group[0]]
                found[group] = self.parts[part][places[group] - self.first[part]]
        return found

    def tolist(self) -> list[Any]:
        """All values, in memory."""
        return [value for part in self.parts for value in part.tolist()]


def part_of(places: Int64, first: Int64) -> Int64:
    """In which part each place lies, where part i begins at first[i]; the end lies in the last."""
    found: Int64 = np.searchsorted(first[1:-1], places, side="right")
    return found


class Taken(NamedTuple):
    """Rows end to end, and the length of each."""

    values: Array
    lengths: Int64


class Rows:
    """Rows of unequal length in one part or several; row i of a part is values[offsets[i]:offsets[i + 1]]."""

    def __init__(
        self, offsets: Sequence[Array], values: Sequence[Array], let_go: Callable[[], None] = lambda: None
    ) -> None:
        """`let_go` gives back the pages that have been read, where the arrays are mapped ones."""
        self.let_go = let_go
        self.values, self._offsets = Joined(values), Joined(offsets)
        self._first: Int64 = self._offsets.first - np.arange(len(offsets) + 1)

    def __len__(self) -> int:
        return int(self._first[-1])

    def _bounds(self, rows: Int64) -> tuple[Int64, Int64]:
        """Where rows begin in `values`, and how many they have."""
        parts = part_of(rows, self._first)
        places = rows + parts  # a part has an offset more than rows
        starts, ends = np.split(self._offsets[np.concatenate([places, places + 1])], 2)
        return starts + self.values.first[parts], ends - starts

    def lengths(self, rows: Int64) -> Int64:
        """How many values the rows have."""
        found, order = np.empty_like(rows), np.argsort(rows)
        for some in self._at_a_time(order, MANY):
            found[some] = self._bounds(rows[some])[1]
        return found

    def take(self, rows: Int64) -> Taken:
        """The chosen rows, in the order asked for."""
        taken = [self._take(some) for some in self._at_a_time(rows, FEW)] or [self._take(rows)]
        values, lengths = zip(*taken, strict=True)
        return Taken(np.concatenate(values), np.concatenate(lengths))

    def _take(self, rows: Int64) -> Taken:
        starts, lengths = self._bounds(rows)
        moved = starts - np.cumsum(lengths) + lengths
        return Taken(self.values[np.repeat(moved, lengths) + np.arange(lengths.sum())], lengths)

    def _at_a_time(self, rows: Int64, count: int) -> Iterator[Int64]:
        """So many of them, and again so many."""
        for first in range(0, len(rows), count):
            yield rows[first : first + count]
            self.let_go()

    def rows_at(self, places: Int64) -> Int64:
        """The rows in which places of `values` lie; behind its end: the last."""
        parts = part_of(places, self.values.first)
        inside = zip(parts.tolist(), (places - self.values.first[parts]).tolist(), strict=True)
        rows = [int(np.searchsorted(self._offsets.parts[part], at, side="right")) - 1 for part, at in inside]
        return np.minimum(np.array(rows) + self._first[parts], len(self) - 1)

    def next_start(self, place: int) -> int:
        """Where in `values` the first row begins that does so at `place` or behind it."""
        part = int(part_of(np.array([place]), self.values.first)[0])
        first, offsets = int(self.values.first[part]), self._offsets.parts[part]
        return first + int(offsets[np.searchsorted(offsets, place - first)])
