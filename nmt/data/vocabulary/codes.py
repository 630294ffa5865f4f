"""Byte-pair encoding by the codes of subword-nmt (Sennrich et al., 2016), which writes `@@` at the end of a
segment that the next one continues."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

JOINER = "@@"
END = "</w>"  # of a word, in codes
VERSION = "#version:"
SEGMENTED = 0.01  # share of the words from which a text is segmented
JOINT = re.compile(f"(?<=\\S){JOINER}(?: |$)")

Merge = tuple[str, str]


def join_segments(text: str) -> str:
    """Join the segments of words: `be@@ tter` is `better`."""
    return JOINT.sub("", text)


def has_segments(counts: Mapping[str, int]) -> bool:
    """Return True if words, with their counts, are segments of subword-nmt."""
    segments = sum(count for word, count in counts.items() if word.endswith(JOINER) and word != JOINER)
    return segments >= SEGMENTED * sum(counts.values()) > 0


def is_segmented(lines: Sequence[str]) -> bool:
    """Return True if lines are text in segments of subword-nmt."""
    if not any(JOINER in line for line in lines):
        return False
    return has_segments(Counter(word for line in lines for word in line.split(" ") if word))


def count_segments(counts: Mapping[str, int], codes: "BpeCodes") -> Counter[str]:
    """Count the segments of words, given the counts of words."""
    segments = Counter[str]()
    for word, count in counts.items():
        for segment in codes.segment(word):
            segments[segment] += count
    return segments


class BpeCodes:
    """The merges of words into segments, in order; ValueError for lines that are not codes."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        has_version = bool(lines) and lines[0].startswith(VERSION)
        version = lines[0].removeprefix(VERSION).strip() if has_version else "0.1"
        if version not in ("0.1", "0.2"):
            raise ValueError(f"line 1: version {version}, and 0.1 and 0.2 are known")
        self._separate_end = version == "0.1"
        merges = list[Merge]()
        for number, line in enumerate(lines[has_version:], 1 + has_version):
            left, *others = line.rstrip("\r ").split(" ")
            if len(others) != 1 or not left or not others[0]:
                raise ValueError(f"line {number}: expected two segments separated by a space, got {line!r}")
            merges.append((left, others[0]))
        if not merges:
            raise ValueError("it has no merges")
        self._ranks = {merge: rank for rank, merge in reversed(list(enumerate(merges)))}
        self._parts = {left + right: (left, right) for left, right in self._ranks}
        self._segments = lru_cache(1 << 17)(self._merge)

    def segment(self, word: str, known: Collection[str] = ()) -> list[str]:
        """Return the segments of a word, with joiners; if some are `known`, others are divided further."""
        *others, last = self._segments(word)
        if known:
            others = [part for one in others for part in self._undo(one, known, is_last=False)]
            *more, last = self._undo(last, known, is_last=True)
            others += more
        return [*(part + JOINER for part in others), last]

    def _undo(self, segment: str, known: Collection[str], *, is_last: bool) -> list[str]:
        """Undo merges until every segment is known or cannot be split."""
        if (segment if is_last else segment + JOINER) in known:
            return [segment]
        parts = self._parts.get(segment + END * is_last)
        if parts is None:
            return [segment]
        left, right = parts[0], parts[1].removesuffix(END) if is_last else parts[1]
        return [*self._undo(left, known, is_last=False), *self._undo(right, known, is_last=is_last)]

    def _merge(self, word: str) -> tuple[str, ...]:
        """Merge the characters of a word; all occurrences of a pair at once."""
        if len(word) == 1:
            return (word,)
        symbols = [*word, END] if self._separate_end else [*word[:-1], word[-1] + END]
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            symbols = _replace_pair(symbols, best)
        if symbols[-1] == END:
            symbols.pop()
        symbols[-1] = symbols[-1].removesuffix(END)
        return tuple(symbols)


def _replace_pair(symbols: Sequence[str], pair: Merge) -> list[str]:
    merged, index = list[str](), 0
    while index < len(symbols):
        size = 2 if tuple(symbols[index : index + 2]) == pair else 1
        merged.append("".join(symbols[index : index + size]))
        index += size
    return merged
