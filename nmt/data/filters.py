"""Which pairs, or lines of plain text, are learnt from, and the account of those that are not."""

from dataclasses import dataclass, field
from typing import NamedTuple


class LengthFilter(NamedTuple):
    """Keeps pairs whose sides have a fitting number of pieces (the end of sentence not counted)."""

    min_length: int
    max_length: int
    max_ratio: float | None

    def why_dropped(self, src_length: int, tgt_length: int) -> str | None:
        """The reason to leave a pair out, or None to keep it."""
        shorter, longer = sorted((src_length, tgt_length))
        if shorter == 0:
            return "blank side"
        if shorter < self.min_length:
            return f"shorter than {self.min_length:,} pieces"
        if longer > self.max_length:
            return f"longer than {self.max_length:,} pieces"
        if self.max_ratio is not None and longer > self.max_ratio * shorter:
            return f"one side more than {self.max_ratio:g} times the other"
        return None


ANY_LENGTH = LengthFilter(1, 10**9, None)
"""Keeps all pairs that have pieces on both sides: what is measured is not chosen."""


class LineFilter(NamedTuple):
    """Keeps lines of plain text that have pieces, at most so many (the end of the line not counted)."""

    max_length: int | None

    def why_dropped(self, src_length: int, tgt_length: int) -> str | None:
        """The reason to leave a line out, or None to keep it; of the source there is nothing."""
        if tgt_length == 0:
            return "blank"
        if self.max_length is not None and tgt_length > self.max_length:
            return f"longer than {self.max_length:,} pieces"
        return None


class Dropped(NamedTuple):
    """How many pairs one reason took, and the line of the first of them."""

    pairs: int
    first_line: int


@dataclass
class FilterReport:
    """The account of a corpus: every pair is either kept or counted under the reason it was dropped for."""

    unit: str = "pairs"
    seen: int = 0
    dropped: dict[str, Dropped] = field(default_factory=dict)
    notes: dict[str, Dropped] = field(default_factory=dict)  # on pairs that are kept

    @property
    def kept(self) -> int:
        return self.seen - sum(entry.pairs for entry in self.dropped.values())

    def count(self, reason: str | None) -> bool:
        """Enter the next pair; true if it is kept."""
        self.seen += 1
        if reason is not None:
            _enter(self.dropped, reason, Dropped(1, self.seen))
        return reason is None

    def note(self, what: str, line: int) -> None:
        """Enter something about a pair that is kept."""
        _enter(self.notes, what, Dropped(1, line))

    def extend(self, other: "FilterReport") -> None:
        """Enter the pairs of another account as those that come next."""
        for ours, theirs in ((self.dropped, other.dropped), (self.notes, other.notes)):
            for reason, (pairs, line) in theirs.items():
                _enter(ours, reason, Dropped(pairs, self.seen + line))
        self.seen += other.seen

    def __str__(self) -> str:
        kept = f"kept {self.kept:,} of {self.seen:,} {self.unit}"
        head = f"{kept}; dropped:" if self.dropped else kept
        return "\n".join([head, *_listed(self.dropped), *_listed(self.notes)])


def _enter(entries: dict[str, Dropped], reason: str, entry: Dropped) -> None:
    before = entries.get(reason, Dropped(0, entry.first_line))
    entries[reason] = before._replace(pairs=before.pairs + entry.pairs)


def _listed(entries: dict[str, Dropped]) -> list[str]:
    return [f"  {n:,} {reason} (first: line {line:,})" for reason, (n, line) in entries.items()]
