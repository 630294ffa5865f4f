"""Text in capitals: most models know hardly any, so it is translated as it would usually be written, and its
translation is in capitals.

A text is in capitals if all its letters with case are, in two words or more, and the vocabulary shows that
they are words: a third of its letters are in words that have fewer tokens in small letters. So acronyms, and
text in capitals that a model was trained on, stay as they are.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

from nmt.data.sentences import ENDS
from nmt.data.vocabulary import COPY, UNK
from nmt.data.vocabulary.case import capitalise

SMALL_ONLY = str.maketrans("", "", "ßªº")  # letters that capitals often leave as they are
LETTERS = re.compile(r"[^\W\d_]+")
LONG, LONGEST_ACRONYM, SHORT = 5, 6, 3  # letters of words
SENTENCE = 4  # words from which a line is rather a sentence than a list of acronyms
WORD_SHARE = 1 / 3
UNKNOWN_COST = 8  # tokens
DOTTED = ("tr", "tur", "az", "aze")  # languages with a dotted and a dotless i


def lower(text: str, language: str) -> str:
    """Return a text in small letters."""
    if language.split("-")[0] in DOTTED:
        text = text.replace("I", "ı").replace("İ", "i")
    return text.lower()


def upper(text: str, language: str, kept: Iterable[str] = ()) -> str:
    """Return a text in capitals, apart from copy symbols and the phrases that are `kept`."""
    change = _upper_dotted if language.split("-")[0] in DOTTED else str.upper
    longest_first = sorted(filter(None, kept), key=len, reverse=True)
    pattern = "|".join([COPY.pattern.replace("(", "(?:"), *map(re.escape, longest_first)])
    parts = enumerate(re.split(f"({pattern})", text))
    return "".join(part if index % 2 else change(part) for index, part in parts)


def _upper_dotted(text: str) -> str:
    return text.replace("i", "İ").upper()


class TextEncoder(Protocol):
    """The part of a vocabulary that is needed to read capitals."""

    def encode(self, line: str, /) -> list[int]: ...

    def case_tokens(self) -> Sequence[int]: ...


def small_forms(text: str, language: str) -> tuple[str, str]:
    """Return a text in small letters, and the same with a capital first letter."""
    small = lower(text, language)
    first = next((i for i, char in enumerate(small) if char.isalpha()), 0)
    return small, small[:first] + capitalise(small[first:])


class CapitalsReader:
    """The usual case of text in capitals, by the tokens of a vocabulary."""

    def __init__(self, source: TextEncoder, language: str) -> None:
        self._source, self._language = source, language

    @cached_property
    def _marks(self) -> set[int]:
        return {*self._source.case_tokens()}

    def is_in_capitals(self, text: str) -> bool:
        """Return True if a text is in capitals, and the vocabulary knows its words in small letters."""
        text = COPY.sub(" ", unicodedata.normalize("NFC", text).translate(SMALL_ONLY))
        if not text.isupper():
            return False
        words = [word for word in LETTERS.findall(text) if len(word) > 1 and word.isupper()]
        longest = LONGEST_ACRONYM if len(words) < SENTENCE else SHORT
        ordinary = sum(len(word) for word in words if self._is_ordinary(word, longest))
        return len(words) > 1 and ordinary >= WORD_SHARE * sum(map(len, words))

    def _is_ordinary(self, word: str, longest: int) -> bool:
        """Return True for a word in capitals that is no acronym, at most `longest` letters long."""
        small, capital = min(map(self._cost, small_forms(word, self._language))), self._cost(word)
        if self._marks or small >= len(word):  # divided into letters
            return small <= capital and len(word) >= LONG
        return small < capital and (small == 1 or len(word) > longest)

    def rewrite(self, text: str) -> str:
        """Return a text in capitals as it is usually written: each word in the form with fewest tokens."""
        chunks, starts = text.split(" "), True
        for index, chunk in enumerate(chunks):
            if COPY.search(chunk):
                continue
            small, capital = small_forms(chunk, self._language)
            chunks[index] = capital if starts else min(small, capital, chunk, key=self._cost)
            starts = chunk.endswith(tuple(ENDS)) or (starts and small == capital)
        return " ".join(chunks)

    def _cost(self, text: str) -> int:
        ids = self._source.encode(text)
        return sum(token not in self._marks for token in ids) + UNKNOWN_COST * ids.count(UNK)
