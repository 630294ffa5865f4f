"""Regular expressions and classes of characters for JavaScript, from those that Python uses.

The page divides and normalises text by the same expressions, in the syntax of JavaScript (flag `v`), which
has neither atomic groups nor possessive repeats, and by Python's classes of characters.
"""

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from importlib import import_module
from itertools import groupby, pairwise
from typing import Any

from nmt.data import sentences
from nmt.data.protection import spans
from nmt.data.script import find_script, is_written_with_spaces
from nmt.data.vocabulary import COPY, TAG, capitals, case, codes, normalisation

_parser: Any = import_module("re._parser")  # Python's own parser of regular expressions

SPACES = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The characters of `\\s`: those of `str.isspace`."""
CATEGORIES = {
    "CATEGORY_SPACE": SPACES,
    "CATEGORY_NOT_SPACE": f"[^{SPACES}]",
    "CATEGORY_DIGIT": r"\p{Nd}",
    "CATEGORY_NOT_DIGIT": r"\P{Nd}",
    "CATEGORY_WORD": r"\p{L}\p{N}_",
    "CATEGORY_NOT_WORD": r"[^\p{L}\p{N}_]",
}
"""Classes of characters, as the content of a class."""


class PatternConverter:
    """A conversion of parsed expressions; groups are numbered in the order of the result."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names, self._count, self._numbers = names, 0, dict[int, int]()

    def convert(self, items: Iterable[Any]) -> str:
        """Return a sequence of parsed items as JavaScript."""
        return "".join(self._convert_item(str(kind), value) for kind, value in items)

    def _convert_item(self, kind: str, value: Any) -> str:
        if kind in ("LITERAL", "NOT_LITERAL"):
            return f"[{'^' * (kind == 'NOT_LITERAL')}{_escape(value)}]"
        if kind in self._simple:
            return self._simple[kind](self, value)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self._convert_repeat(kind, *value)
        if kind in ("ASSERT", "ASSERT_NOT"):
            direction, items = value
            return f"(?{'<' * (direction < 0)}{'!' if kind == 'ASSERT_NOT' else '='}{self.convert(items)})"
        if kind == "AT" and str(value) == "AT_END":
            return "(?=\\n?$)"
        raise ValueError(f"no JavaScript for {kind}")

    def _convert_class(self, items: Sequence[Any]) -> str:
        return f"[{''.join(map(_convert_member, items))}]"

    def _convert_branch(self, value: Any) -> str:
        return f"(?:{'|'.join(map(self.convert, value[1]))})"

    def _convert_group(self, value: Any) -> str:
        number, _, _, items = value
        if number is None:
            return f"(?:{self.convert(items)})"
        self._count += 1
        self._numbers[number] = self._count
        name = f"?<{self._names[number]}>" if number in self._names else ""
        return f"({name}{self.convert(items)})"

    def _convert_atomic(self, items: Any) -> str:
        """Write an atomic group as a lookahead, which is not entered again, and what it has found."""
        self._count += 1
        number = self._count
        return f"(?:(?=({self.convert(items)}))\\{number})"

    def _convert_repeat(self, kind: str, least: int, most: Any, items: Any) -> str:
        if kind == "POSSESSIVE_REPEAT":
            return self._convert_atomic([("MAX_REPEAT", (least, most, items))])
        end = "" if str(most) == "MAXREPEAT" else most
        return f"(?:{self.convert(items)}){{{least},{end}}}{'?' * (kind == 'MIN_REPEAT')}"

    _simple: dict[str, Callable[["PatternConverter", Any], str]] = {
        "IN": _convert_class,
        "BRANCH": _convert_branch,
        "SUBPATTERN": _convert_group,
        "ATOMIC_GROUP": _convert_atomic,
        "GROUPREF": lambda self, number: f"(?:\\{self._numbers[number]})",
    }


def _convert_member(item: Any) -> str:
    """Return a member of a class of characters."""
    kind, value = str(item[0]), item[1]
    if kind == "NEGATE":
        return "^"
    if kind == "RANGE":
        return f"{_escape(value[0])}-{_escape(value[1])}"
    return CATEGORIES[str(value)] if kind == "CATEGORY" else _escape(value)


def _escape(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\u{{{code:x}}}"


def convert_pattern(pattern: re.Pattern[str] | str) -> str:
    """Return a regular expression in JavaScript's syntax, for the flag `v`."""
    source = pattern if isinstance(pattern, str) else pattern.pattern
    parsed = _parser.parse(source)
    return PatternConverter({number: name for name, number in parsed.state.groupdict.items()}).convert(parsed)


def encode_ranges(condition: Callable[[str], bool], characters: Sequence[str]) -> list[int]:
    """Encode the code points that meet a condition as differences between the bounds of their ranges."""
    kept = enumerate(ord(character) for character in characters if condition(character))
    bounds = [0]
    for _, run in groupby(kept, lambda entry: entry[1] - entry[0]):  # consecutive code points
        points = [point for _, point in run]
        bounds += [points[0], points[-1] + 1]
    return [bound - before for before, bound in pairwise(bounds)]


def describe_text(kinds: Sequence[str], *, has_case: bool) -> dict[str, object]:
    """Return the patterns and classes of characters that the page needs, as JSON values.

    `kinds` are the kinds of protected spans; with `has_case` a vocabulary has marks of case.
    """
    patterns = {
        "otherEnd": sentences.OTHER_END,
        **{f"end in {language}": end for language, end in sorted(sentences.LANGUAGE_ENDS.items())},
        "ellipsis": sentences.ELLIPSIS,
        "continuation": sentences.CONTINUATION,
        "unknownSpace": sentences.UNKNOWN_SPACE,
        "listNumber": sentences.LIST_NUMBER,
        "clauseEnd": sentences.CLAUSE_END,
        "unspaced": sentences.UNSPACED,
        "lineEnd": sentences.LINE_END,
        "invisible": normalisation.INVISIBLE_RUN,
        "joiners": normalisation.JOINERS,
        "whiteSpace": normalisation.WHITE_SPACE,
        "letters": capitals.LETTERS,
        "copy": COPY,
        "tag": TAG,
        "segmentJoint": codes.JOINT,
    }
    if kinds:
        patterns |= {"spans": spans.compile_kinds(tuple(kinds)), "hints": spans.HINTS}
    if has_case:
        patterns["casedWord"] = case.cased_word_pattern()
    return {
        "patterns": {name: convert_pattern(pattern) for name, pattern in patterns.items()},
        "characters": classify_characters(),
        "ends": sentences.ENDS,
        "wideEnds": sentences.WIDE_ENDS,
        "closers": sentences.CLOSERS,
        "shortCodes": sentences.SHORT_CODES,
    }


@cache
def classify_characters() -> dict[str, list[int]]:
    """Return the classes of characters that JavaScript has no names for."""
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    words = [char for char in characters if unicodedata.category(char)[0] in "LMN"]
    letters = [char for char in words if char.isalpha()]
    combining = [char for char in characters if unicodedata.combining(char)]
    classes = {
        "combining": encode_ranges(lambda char: True, combining),
        "virama": encode_ranges(lambda char: unicodedata.combining(char) == normalisation.VIRAMA, combining),
        "spaced": encode_ranges(is_written_with_spaces, words),
        "hangul": encode_ranges(partial(_is_of_script, "Hangul"), letters),
    }
    for script in sorted(normalisation.JOINING_SCRIPTS):
        classes[f"joining {script}"] = encode_ranges(partial(_is_of_script, script), letters)
    return classes


def _is_of_script(script: str, letter: str) -> bool:
    return find_script(letter) == script
