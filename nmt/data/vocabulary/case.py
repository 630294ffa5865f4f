"""Case as marks in the text, as in Marian and OpenNMT: `Der HUND` is segmented as `der` `<capital>` `hund`
`<capitals>`, so that a word has the same tokens in any case.

A mark follows its word, since subwords begin with the space before a word: so the word has the same tokens,
and keeps its mark where a line is cut. Words whose case the marks do not restore exactly, such as `iPhone`,
`STRAßE` and `İzmir`, stay as they are.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from itertools import groupby

CAPITAL, CAPITALS = "\ufdd1", "\ufdd2"
"""Marks of words: noncharacters, which normalisation removes from text."""
MARK_NAMES: Mapping[str, str] = {CAPITAL: "<capital>", CAPITALS: "<capitals>"}
"""The marks as they are shown."""
CASED_PLANES = 0x20000  # all letters with case are below


def capitalise(word: str) -> str:
    """Return a word with its first letter in upper case."""
    return word[:1].upper() + word[1:]


@cache
def cased_word_pattern() -> re.Pattern[str]:
    """Return the pattern of words: letters with case, as many as possible, with combining characters."""
    characters = list(map(chr, range(CASED_PLANES)))
    cased = [char for char in characters if char.lower() != char.upper()]
    compatible = [char for char in characters if unicodedata.decomposition(char).startswith("<")]
    cased += (char for char in compatible if set(unicodedata.normalize("NFKC", char)).intersection(cased))
    following = cased + [char for char in characters if unicodedata.combining(char)]
    return re.compile(f"[{_join_ranges(cased)}][{_join_ranges(following)}]*")


def _join_ranges(characters: Iterable[str]) -> str:
    """Return characters as the content of a character class."""
    runs = groupby(enumerate(sorted({*map(ord, characters)})), lambda entry: entry[1] - entry[0])
    ranges = ([code for _, code in run] for _, run in runs)
    return "".join(f"{re.escape(chr(run[0]))}-{re.escape(chr(run[-1]))}" for run in ranges)


def _find_mark(word: str, lowered: str) -> str | None:
    """Return the mark that restores a word from its lower-case form, before and after normalisation."""
    forms = [(word, lowered)]
    if not word.isascii():
        forms += [(unicodedata.normalize("NFKC", word), unicodedata.normalize("NFKC", lowered))]
    if not all(cased_word_pattern().fullmatch(low) for _, low in forms):
        return None
    if all(capitalise(low) == form for form, low in forms):
        return CAPITAL
    return CAPITALS if all(low.upper() == form for form, low in forms) else None


class CaseMarks:
    """Conversion of a line to lower case with marks, and back; the case of `symbols` is not changed."""

    def __init__(self, symbols: Iterable[str] = ()) -> None:
        self._symbols = sorted({*symbols} - MARK_NAMES.keys(), key=len, reverse=True)

    @cached_property
    def _words(self) -> re.Pattern[str]:
        """The pattern of symbols and words; group 1 is a word."""
        symbols = "".join(f"{re.escape(symbol)}|" for symbol in self._symbols)
        return re.compile(f"{symbols}({cased_word_pattern().pattern})")

    @cached_property
    def _marked(self) -> re.Pattern[str]:
        marks = f"[{CAPITAL}{CAPITALS}]"
        return re.compile(f"({cased_word_pattern().pattern}+)({marks}*+)|{marks}++")

    def mark(self, line: str) -> str:
        """Return a line in lower case, with a mark after each word that has capitals."""
        return line if line.islower() else self._words.sub(_mark_word, line)

    def restore(self, text: str) -> str:
        """Return marked text in its case; marks that follow no word are removed."""
        return self._marked.sub(_restore_word, text)


def _mark_word(match: re.Match[str]) -> str:
    word = match[1]
    if word is None or (lowered := word.lower()) == word:
        return match[0]
    mark = _find_mark(word, lowered)
    return word if mark is None else lowered + mark


def _restore_word(match: re.Match[str]) -> str:
    word, marks = match[1] or "", match[2]
    if not word or not marks:
        return word
    return capitalise(word) if marks[0] == CAPITAL else word.upper()
