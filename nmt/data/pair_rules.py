"""Rules that separate good pairs from bad ones, shared by training, `nmt clean` and `nmt doctor`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from itertools import chain, count
from tempfile import TemporaryFile
from typing import IO, Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Gt, Le
from numpy.typing import NDArray

from nmt.data.pairs import Corpus, read_pairs
from nmt.data.script import script_share
from nmt.data.vocabulary import split_words
from nmt.settings import Conflict, Count, Settings

BLOCK = 1 << 24  # hashes compared in memory at a time, of 16 bytes each


class LineRule(NamedTuple):
    """A fault of a single line: the pattern that finds it, its description, and advice."""

    pattern: re.Pattern[str]
    description: str  # follows "3 lines" in a report
    advice: str


CONTINUATION = "\x80-\xbfŒœŠšŸŽžƒˆ‚„†‡‰‹€™•"
"""Characters after the first of a character in UTF-8 that was read as Latin-1 or Windows-1252."""
LINE_RULES = (
    LineRule(
        re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]"),
        "with a character inside that other programs take for the end of a line",
        "nmt keeps it inside its line, but a program that takes it for a line end has shifted all lines "
        "after it: compare a few pairs after the first one. Replacing such characters by spaces is safe",
    ),
    LineRule(
        re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]"),
        "with control characters",
        "they carry no meaning, and each takes an entry of the vocabulary: remove them",
    ),
    LineRule(
        re.compile(
            f"\ufffd|[ÂÃ][{CONTINUATION}]|â€|([ÄÅÎÏÐÑØÙ][{CONTINUATION}]){{2}}|([ã-í][{CONTINUATION}]{{2}}){{2}}"
        ),
        "with signs of a wrong decoding (� or Ã¼ instead of letters)",
        "get the original text again; where that is not possible, remove these lines",
    ),
    LineRule(
        re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"),
        "with HTML entities (&quot; &#39; &amp; instead of characters)",
        "the model learns to write them: replace them by their characters (`html.unescape` of Python)",
    ),
)
UNCLEAN = re.compile("|".join(["[\t\n\ufffd]", *(rule.pattern.pattern for rule in LINE_RULES[:2])]))
"""Characters that `nmt clean` removes pairs for; line ends and tabs would break the files it writes."""


def is_identical(src: str, tgt: str) -> bool:
    """Return True if both sides are the same text."""
    return src.strip() == tgt.strip()


def length_reason(lengths: Sequence[int], unit: str, shortest: int, longest: int | None) -> str | None:
    """Return the reason to drop a pair whose sides have these lengths, or None to keep it."""
    if min(lengths) == 0:
        return "blank side"
    if min(lengths) < shortest:
        return f"shorter than {shortest:,} {unit}"
    if longest is not None and max(lengths) > longest:
        return f"longer than {longest:,} {unit}"
    return None


def ratio_reason(lengths: Sequence[int], max_ratio: float | None) -> str | None:
    """Return the reason to drop a pair with one side too long for the other, or None to keep it."""
    if max_ratio is None or max(lengths) <= max_ratio * min(lengths):
        return None
    return f"one side more than {max_ratio:g} times the other"


@dataclass(frozen=True, kw_only=True)
class LengthSettings(Settings):
    """The limits of the lengths of a pair, in tokens without eos."""

    min_length: Count = 1
    """Minimum number of tokens on either side of a training pair."""
    max_length: Count = 100
    """Maximum number of tokens on either side of a training pair; longer pairs are counted and removed."""
    max_ratio: Annotated[float, Gt(1.0), Le(1e6)] | None = None
    """Maximum ratio of the two sides' lengths; null for no limit."""

    def conflicts(self) -> Iterator[Conflict]:
        if self.min_length > self.max_length:
            yield "min_length", f"{self.min_length} is more than data.max_length, {self.max_length}"
        yield from super().conflicts()


class LengthFilter(NamedTuple):
    """A filter that keeps pairs whose sides have a suitable number of tokens (without eos)."""

    settings: LengthSettings

    def drop_reason(self, src_length: int, tgt_length: int) -> str | None:
        """Return the reason to drop a pair, or None to keep it."""
        lengths, settings = (src_length, tgt_length), self.settings
        reason = length_reason(lengths, "tokens", settings.min_length, settings.max_length)
        return reason or ratio_reason(lengths, settings.max_ratio)

    def limits(self) -> dict[str, Any]:
        """Return the limits by name, which an encoded corpus records."""
        return {limit.name: getattr(self.settings, limit.name) for limit in fields(LengthSettings)}


ANY_LENGTH = LengthFilter(LengthSettings(max_length=10**9))
"""A filter that keeps all pairs with tokens on both sides: for text to be scored."""


class LineFilter(NamedTuple):
    """A filter that keeps lines of plain text with one to `max_length` tokens (without eos)."""

    max_length: int | None

    def drop_reason(self, src_length: int, tgt_length: int) -> str | None:
        """Return the reason to drop a line, or None to keep it; there is no source."""
        return length_reason([tgt_length], "tokens", 1, self.max_length) if tgt_length else "blank"

    def limits(self) -> dict[str, Any]:
        """See `LengthFilter.limits`."""
        return self._asdict()


class DropCount(NamedTuple):
    """The number of pairs dropped for one reason, and the line of the first of them."""

    pairs: int
    first_line: int


@dataclass
class FilterReport:
    """Counts of a corpus: every pair is either kept, or counted by the reason for dropping it."""

    unit: str = "pairs"
    seen: int = 0
    dropped: dict[str, DropCount] = field(default_factory=dict)
    notes: dict[str, DropCount] = field(default_factory=dict)  # about pairs that are kept

    @property
    def kept(self) -> int:
        return self.seen - sum(entry.pairs for entry in self.dropped.values())

    def count(self, reason: str | None) -> bool:
        """Count the next pair; return True if it is kept."""
        self.seen += 1
        if reason is not None:
            _add(self.dropped, reason, DropCount(1, self.seen))
        return reason is None

    def note(self, reason: str, line: int) -> None:
        """Count a note about a pair that is kept."""
        _add(self.notes, reason, DropCount(1, line))

    def __str__(self) -> str:
        kept = f"kept {self.kept:,} of {self.seen:,} {self.unit}"
        head = f"{kept}; dropped:" if self.dropped else kept
        counts = [*self.dropped.items(), *self.notes.items()]
        lines = [f"  {n:,} {reason} (first: line {line:,})" for reason, (n, line) in counts]
        return "\n".join([head, *lines])


def _add(entries: dict[str, DropCount], reason: str, entry: DropCount) -> None:
    before = entries.get(reason, DropCount(0, entry.first_line))
    entries[reason] = before._replace(pairs=before.pairs + entry.pairs)


def join_reports(reports: Iterable[FilterReport]) -> FilterReport:
    """Return one report on several corpora, in the order in which they are read."""
    first, *others = reports
    total = FilterReport(first.unit)
    for report in (first, *others):
        for counts, further in ((total.dropped, report.dropped), (total.notes, report.notes)):
            for reason, (pairs, line) in further.items():
                _add(counts, reason, DropCount(pairs, total.seen + line))
        total.seen += report.seen
    return total


class CleaningRules(NamedTuple):
    """Conditions that a pair must meet; words are separated by spaces."""

    min_words: int = 1
    max_words: int | None = None
    max_characters: int | None = None
    max_ratio: float | None = None
    scripts: tuple[frozenset[str], frozenset[str]] | None = None  # of source and target, names in SCRIPTS
    share: float = 0.5  # minimum share of a side's letters that belong to its scripts
    identical: bool = True  # remove pairs of equal sides
    duplicates: bool = True  # remove repeated pairs

    def drop_reason(self, src: str, tgt: str) -> str | None:
        """Return the reason to remove a pair (duplicates aside), or None to keep it."""
        if UNCLEAN.search(src) or UNCLEAN.search(tgt):
            return "control character"
        words = len(split_words(src)), len(split_words(tgt))
        reason = (
            length_reason(words, "words", self.min_words, self.max_words)
            or length_reason((len(src), len(tgt)), "characters", 1, self.max_characters)
            or ratio_reason(words, self.max_ratio)
        )
        if reason is None and self.identical and is_identical(src, tgt):
            return "identical sides"
        for name, side, scripts in zip(("source", "target"), (src, tgt), self.scripts or (), strict=False):
            if reason is None and script_share(side, scripts) < self.share:
                return f"{name} not in {' or '.join(sorted(scripts))}"
        return reason


def clean_pairs(
    corpora: Sequence[Corpus], rules: CleaningRules, reports: Sequence[FilterReport]
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of corpora that meet the rules; every pair is counted in the report of its corpus.

    With `rules.duplicates` the corpora are read twice and memory use is one byte per pair.
    """
    everything = chain.from_iterable(map(read_pairs, corpora))
    repeated = find_duplicates(everything) if rules.duplicates else None
    number = count()
    for corpus, report in zip(corpora, reports, strict=True):
        for src, tgt in read_pairs(corpus):
            index, reason = next(number), rules.drop_reason(src, tgt)
            if reason is None and repeated is not None and repeated[index]:
                reason = "duplicate"
            if report.count(reason):
                yield src, tgt


def find_duplicates(pairs: Iterable[tuple[str, str]], block: int = BLOCK) -> NDArray[np.bool_]:
    """Return a flag per pair: True if it occurred before. Hashes of 64 bits are kept on disk."""
    with TemporaryFile() as file:
        length = 0
        for src, tgt in pairs:
            file.write(blake2b(f"{src}\n{tgt}".encode("utf-8", "surrogatepass"), digest_size=8).digest())
            length += 1
        repeated = np.zeros(length, np.bool_)
        shares = -(-length // block)
        for share in range(shares):
            hashes, indices = _read_share(file, share, shares)
            repeated[indices[mark_repeated(hashes)]] = True
    return repeated


def mark_repeated(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a flag per value: True if it occurred before."""
    order = np.argsort(values, kind="stable")
    repeated = np.zeros(len(values), np.bool_)
    repeated[order[1:]] = np.diff(values[order]) == 0
    return repeated


def _read_share(file: IO[bytes], share: int, shares: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return those of the hashes that are `share` modulo `shares`, and their indices."""
    file.seek(0)
    hashes, indices, first = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], 0
    while content := file.read(1 << 23):
        values = np.frombuffer(content, np.uint64)
        chosen = np.flatnonzero(values % np.uint64(shares) == share)
        hashes.append(values[chosen])
        indices.append(chosen + first)
        first += len(values)
    return np.concatenate(hashes), np.concatenate(indices)
