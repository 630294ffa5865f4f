"""Near copies: sentences that differ in case, digits, punctuation or a few letters only."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

from nmt.data.script import WITHOUT_SPACES, find_main_script

SIMILARITY = 0.6
"""Jaccard similarity of the shingles of two sentences from which one is a near copy of the other."""
ROUNDING = 1e-9
COMMON = 6
"""Shingles of the compared ones that two near copies share at least, or all of shorter ones."""
LETTERS, SYLLABLES = 4, 2
"""Characters of a shingle: in alphabets, and in scripts whose characters are syllables or words."""


class _LetterTable(dict[int, str]):
    """A table of `str.translate` that keeps letters and their marks, and replaces all else by spaces."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = character if unicodedata.category(character)[0] in "LM" else " "
        return self[code]


TABLE = _LetterTable()


def normalise_sentence(text: str) -> str:
    """Return a sentence without case, digits and punctuation; without letters, as it is."""
    letters = unicodedata.normalize("NFKC", text).casefold().translate(TABLE)
    return " ".join(letters.split()) or " ".join(text.split())


def shingle_size(sentences: Sequence[str]) -> int:
    """Return the length of the shingles that fits the script of most sentences."""
    scripts = Counter(map(find_main_script, sentences)).most_common(1)
    return SYLLABLES if scripts and scripts[0][0] in {*WITHOUT_SPACES, "Hangul"} else LETTERS


class NearCopyIndex:
    """An exact index of few sentences that finds which of them another sentence is a near copy of.

    Shingles are ranked, the rarest first. Sets that share enough of their shingles share `COMMON` of the
    rarer ones (prefix filter; Bayardo et al., 2007; Wang et al., 2012), so few sentences are compared.
    Memory depends on the indexed sentences only.
    """

    def __init__(self, sentences: Sequence[str], similarity: float = SIMILARITY) -> None:
        """Index sentences, which are normalised."""
        self.sentences, self.similarity, self.size = sentences, similarity, shingle_size(sentences)
        self._numbers = {sentence: number for number, sentence in enumerate(sentences)}
        sets = [self._shingles(sentence) for sentence in sentences]
        counts = Counter(shingle for shingles in sets for shingle in shingles)
        ordered = sorted(counts, key=lambda shingle: (counts[shingle], shingle))
        self._ranks = {shingle: rank for rank, shingle in enumerate(ordered)}
        self._sets = [frozenset(self._ranks[shingle] for shingle in shingles) for shingles in sets]
        self._rare: dict[int, list[int]] = defaultdict(list)
        for number, ranks in enumerate(self._sets):
            for rank in sorted(ranks)[: self._prefix(len(ranks))]:
                self._rare[rank].append(number)

    def find(self, sentence: str) -> int | None:
        """Return the number of an indexed sentence that is a near copy of a normalised one, or None."""
        if (same := self._numbers.get(sentence)) is not None:
            return same
        shingles = self._shingles(sentence)
        ranks = {self._ranks[shingle] for shingle in shingles if shingle in self._ranks}
        prefix = self._prefix(len(shingles)) - (len(shingles) - len(ranks))  # unknown ones are the rarest
        required = min(COMMON, ceil(self.similarity * len(shingles) - ROUNDING))
        if prefix < required:
            return None
        shared = Counter[int]()
        for rank in sorted(ranks)[:prefix]:
            shared.update(self._rare.get(rank, ()))
        for number in sorted(number for number, count in shared.items() if count >= required):
            common = len(ranks & self._sets[number])
            if common >= self.similarity * (len(shingles) + len(self._sets[number]) - common):
                return number
        return None

    def _shingles(self, sentence: str) -> set[str]:
        padded = f" {sentence} "
        return {padded[i : i + self.size] for i in range(max(1, len(padded) - self.size + 1))}

    def _prefix(self, count: int) -> int:
        """Return how many of the rarest shingles of a set are compared."""
        return count - ceil(self.similarity * count - ROUNDING) + COMMON
