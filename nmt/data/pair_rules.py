"""Rules for training pairs: which are kept, which are removed, and the count of each reason."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.pairs import Corpus, read_pairs
from nmt.data.script import SCRIPTS, script_of
from nmt.data.vocabulary.vocabulary import split_words
from nmt.errors import UsageError


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


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]")
TOGETHER = 1 << 24  # hashes that are compared in memory, of 16 bytes each


class Rules(NamedTuple):
    """What a pair must be like; words are what spaces separate."""

    min_words: int = 1
    max_words: int | None = None
    max_characters: int | None = None
    max_ratio: float | None = None
    scripts: tuple[frozenset[str], frozenset[str]] | None = None  # of either side, by their names in SCRIPTS
    share: float = 0.5  # of a side's letters that are of its scripts, at least
    identical: bool = True  # remove pairs of equal sides
    duplicates: bool = True  # remove pairs that came before

    def why_removed(self, src: str, tgt: str) -> str | None:
        """The reason to remove a pair for what it is, or None to keep it."""
        if CONTROL.search(src) or CONTROL.search(tgt):
            return "control character"
        words = sorted(len(split_words(side)) for side in (src, tgt))
        if words[0] == 0:
            return "blank side"
        return self._length(words[0], words[1], max(len(src), len(tgt))) or self._likeness(src, tgt)

    def _length(self, shorter: int, longer: int, characters: int) -> str | None:
        if shorter < self.min_words:
            return f"shorter than {self.min_words:,} words"
        if self.max_words is not None and longer > self.max_words:
            return f"longer than {self.max_words:,} words"
        if self.max_characters is not None and characters > self.max_characters:
            return f"longer than {self.max_characters:,} characters"
        if self.max_ratio is not None and longer > self.max_ratio * shorter:
            return f"one side more than {self.max_ratio:g} times the other"
        return None

    def _likeness(self, src: str, tgt: str) -> str | None:
        if self.identical and src.strip() == tgt.strip():
            return "identical sides"
        if self.scripts is None:
            return None
        for name, side, scripts in zip(("source", "target"), (src, tgt), self.scripts, strict=True):
            if script_share(side, scripts) < self.share:
                return f"{name} not in {' or '.join(sorted(scripts))}"
        return None


def clean(corpus: Corpus, rules: Rules, report: FilterReport) -> Iterator[tuple[str, str]]:
    """The pairs that the rules leave, counted in the report with those that they do not.

    With `rules.duplicates` the corpus is read twice, and memory takes a byte for each pair.
    """
    repeated = repetitions(read_pairs(corpus)) if rules.duplicates else None
    for number, (src, tgt) in enumerate(read_pairs(corpus)):
        reason = rules.why_removed(src, tgt)
        if reason is None and repeated is not None and repeated[number]:
            reason = "duplicate"
        if report.count(reason):
            yield src, tgt


def read_scripts(given: str) -> tuple[frozenset[str], frozenset[str]]:
    """The scripts of either side, as `Hangul,Latin` or `Han+Hiragana,Latin`; UsageError for others."""
    sides = [frozenset(side.split("+")) for side in given.split(",")]
    if len(sides) != 2:
        raise UsageError(f"--scripts {given}: expected one for each side, like Hangul,Latin")
    for name in sides[0] | sides[1]:
        if name not in SCRIPTS:
            raise UsageError(f"--scripts: no script '{name}', there are: {', '.join(sorted(SCRIPTS))}")
    return sides[0], sides[1]


def script_share(text: str, scripts: Collection[str]) -> float:
    """Share of the letters that belong to some scripts; 1 where there is no letter."""
    letters = [found for found in map(script_of, text) if found]
    return sum(found in scripts for found in letters) / len(letters) if letters else 1.0


def repetitions(pairs: Iterable[tuple[str, str]]) -> NDArray[np.bool_]:
    """Which pairs came before, by a hash of 64 bits that waits on disk."""
    with TemporaryFile() as file:
        count = 0
        for src, tgt in pairs:
            file.write(blake2b(f"{src}\n{tgt}".encode("utf-8", "surrogatepass"), digest_size=8).digest())
            count += 1
        repeated = np.zeros(count, np.bool_)
        shares = -(-count // TOGETHER)
        for share in range(shares):
            hashes, places = _share_of(file, share, shares)
            order = np.argsort(hashes, kind="stable")
            again = np.flatnonzero(np.diff(hashes[order]) == 0) + 1
            repeated[places[order[again]]] = True
    return repeated


def _share_of(file: IO[bytes], share: int, shares: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Those of the hashes that are `share` modulo `shares`, and their places."""
    file.seek(0)
    hashes, places, first = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
    while content := file.read(1 << 23):
        block = np.frombuffer(content, np.uint64)
        here = np.flatnonzero(block % np.uint64(shares) == share)
        hashes.append(block[here])
        places.append(here + first)
        first += len(block)
    return np.concatenate(hashes), np.concatenate(places)
