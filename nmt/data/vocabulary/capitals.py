"""Truecasing of text in capitals: models have seen hardly any, so it is translated in its usual case, and the
translation is in capitals.

A text is in capitals if all its letters with case are, in two words or more, and the vocabulary shows that
they are words: a third of its letters are in words that have fewer tokens in lower case. So acronyms, and
text in capitals that a model was trained on, stay as they are.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import Protocol

from nmt.data.script import is_word_boundary
from nmt.data.sentences import ENDS
from nmt.data.vocabulary import COPY, UNK
from nmt.data.vocabulary.case import capitalise

SMALL_ONLY = str.maketrans("", "", "ßªº")  # letters that capitals often leave as they are
LETTERS = re.compile(r"[^\W\d_]+")
MIN_LETTERS = 5  # of a word if its number of tokens does not show whether it is an acronym
MIN_SENTENCE = 4  # words; a shorter text may be a list of acronyms
LONGEST_ACRONYM, LONGEST_IN_SENTENCE = 6, 3  # letters
WORD_SHARE = 1 / 3
UNKNOWN_COST = 8  # tokens
DOTTED = ("tr", "tur", "az", "aze")  # languages with a dotted and a dotless i


def lower(text: str, language: str) -> str:
    """Return a text in lower case."""
    if language.split("-")[0] in DOTTED:
        text = text.replace("I", "ı").replace("İ", "i")
    return text.lower()


def upper(text: str, language: str, kept: Iterable[str] = ()) -> str:
    """Return a text in upper case, apart from copy symbols and phrases that are `kept` as whole words."""
    change = _upper_dotted if language.split("-")[0] in DOTTED else str.upper
    longest_first = sorted(filter(None, kept), key=len, reverse=True)
    pattern = "|".join([COPY.pattern.replace("(", "(?:"), *map(re.escape, longest_first)])
    matches = [match.span() for match in re.finditer(pattern, text)]
    whole = [span for span in matches if all(is_word_boundary(text, edge) for edge in span)]
    edges = [0, *chain.from_iterable(whole), len(text)]
    pieces = enumerate(text[start:end] for start, end in pairwise(edges))
    return "".join(piece if index % 2 else change(piece) for index, piece in pieces)


def _upper_dotted(text: str) -> str:
    return text.replace("i", "İ").upper()


def is_upper(text: str) -> bool:
    """Return True if a text is in capitals, apart from copy symbols and letters that capitals often leave."""
    return _drop_small(text).isupper()


def _drop_small(text: str) -> str:
    return COPY.sub(" ", unicodedata.normalize("NFC", text).translate(SMALL_ONLY))


class TextEncoder(Protocol):
    """The part of a vocabulary that truecasing needs."""

    def encode(self, line: str, /) -> list[int]: ...

    def case_tokens(self) -> Sequence[int]: ...


def lowercase_forms(text: str, language: str) -> tuple[str, str]:
    """Return a text in lower case, and the same with a capital first letter."""
    small = lower(text, language)
    first = next((i for i, char in enumerate(small) if char.isalpha()), 0)
    return small, small[:first] + capitalise(small[first:])


class Truecaser:
    """The usual case of words in capitals, known from the tokens of a vocabulary."""

    def __init__(self, source: TextEncoder, language: str) -> None:
        self._source, self._language = source, language

    @cached_property
    def _marks(self) -> set[int]:
        return {*self._source.case_tokens()}

    def is_in_capitals(self, text: str) -> bool:
        """Return True if a text is in capitals, and the vocabulary knows its words in lower case."""
        if not is_upper(text):
            return False
        words = [word for word in LETTERS.findall(_drop_small(text)) if len(word) > 1 and word.isupper()]
        longest = LONGEST_ACRONYM if len(words) < MIN_SENTENCE else LONGEST_IN_SENTENCE
        ordinary = sum(len(word) for word in words if self._is_ordinary(word, longest))
        return len(words) > 1 and ordinary >= WORD_SHARE * sum(map(len, words))

    def _is_ordinary(self, word: str, longest: int) -> bool:
        """Return True for a word in capitals that is no acronym, which has at most `longest` letters."""
        small, capital = min(map(self._cost, lowercase_forms(word, self._language))), self._cost(word)
        if self._marks or small >= len(word):  # divided into letters
            return small <= capital and len(word) >= MIN_LETTERS
        return small < capital and (small == 1 or len(word) > longest)

    def truecase(self, text: str) -> str:
        """Return a text in capitals as it is usually written: each word in the form with fewest tokens."""
        chunks, starts = text.split(" "), True
        for index, chunk in enumerate(chunks):
            if COPY.search(chunk):
                continue
            small, capital = lowercase_forms(chunk, self._language)
            chunks[index] = capital if starts else min(small, capital, chunk, key=self._cost)
            starts = chunk.endswith(tuple(ENDS)) or (starts and small == capital)
        return " ".join(chunks)

    def _cost(self, text: str) -> int:
        ids = self._source.encode(text)
        return sum(token not in self._marks for token in ids) + UNKNOWN_COST * ids.count(UNK)
