"""Writing systems (scripts): those of lines, and those of languages."""

import unicodedata
from collections import Counter
from collections.abc import Collection
from functools import cache

from nmt.errors import UsageError

OF_LANGUAGES = {
    "Latin": "af az ca cs cy da de en es et eu fi fil fr ga gl hr hu id is it lt lv ms nl no pl pt ro sk sl"
    " sq sv sw tl tr uz vi",
    "Cyrillic": "be bg kk ky mk mn ru tg uk",
    "Hangul": "ko",
    "Han": "ja zh",
    "Arabic": "ar fa ps ur",
    "Greek": "el",
    "Hebrew": "he yi",
    "Devanagari": "hi mr ne",
    "Thai": "th",
    "Georgian": "ka",
    "Armenian": "hy",
    "Bengali": "bn",
    "Tamil": "ta",
}
LANGUAGES = {code: script for script, codes in OF_LANGUAGES.items() for code in codes.split()}
"""The script of each language code."""
OTHERS = (
    "Ethiopic Gujarati Hiragana Kannada Katakana Khmer Lao Malayalam Mongolian Myanmar Sinhala Telugu Tibetan"
)
SCRIPTS = frozenset([*OF_LANGUAGES, *OTHERS.split()])
"""The scripts that can be required."""
OF_NAMES = {"Cjk": "Han", "Fullwidth": "Latin"}
"""First words of Unicode letter names that are not the name of the script."""
MIXED = {"Hiragana": "Han", "Katakana": "Han"}


def find_primary_language(tag: str) -> str:
    """Return the primary subtag of a language tag: zh for zh-Hant and zh_TW."""
    return tag.replace("_", "-").partition("-")[0].lower()


WITHOUT_SPACES = frozenset(
    ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Tai", "New", "Yi"]
)
"""Scripts that do not separate words by spaces."""


@cache
def is_written_with_spaces(character: str) -> bool:
    """Return True for a letter, mark or digit of a script that separates words by spaces."""
    kind = unicodedata.category(character)[0]
    name = unicodedata.name(character, "").partition(" ")[0].title()
    return kind in "LMN" and OF_NAMES.get(name, name) not in WITHOUT_SPACES


def is_word_boundary(text: str, position: int) -> bool:
    """Return True unless a word of a script with spaces contains the position."""
    if not 0 < position < len(text):
        return True
    before, after = text[position - 1], text[position]
    if unicodedata.category(after)[0] == "M":
        return False  # a mark belongs to the letter before it
    return not (is_written_with_spaces(before) and is_written_with_spaces(after))


@cache
def find_script(character: str) -> str | None:
    """Return the script of a letter, by its name in Unicode; None for other characters."""
    if not character.isalpha():
        return None
    name = unicodedata.name(character, "").partition(" ")[0].title()
    return OF_NAMES.get(name, name)


def find_main_script(line: str) -> str | None:
    """Return the script of most distinct letters of a line; None without letters.

    Japanese, which mixes three scripts, counts as Han.
    """
    counts = Counter(MIXED.get(script, script) for script in map(find_script, set(line)) if script)
    return max(counts, key=lambda script: (counts[script], script)) if counts else None


def script_share(text: str, scripts: Collection[str]) -> float:
    """Return the share of the letters that belong to some scripts; 1 if there are no letters."""
    letters = [script for script in map(find_script, text) if script]
    return sum(script in scripts for script in letters) / len(letters) if letters else 1.0


def parse_scripts(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Parse the scripts of both sides, given like `Hangul,Latin` or `Han+Hiragana,Latin`."""
    sides = [frozenset(side.split("+")) for side in text.split(",")]
    if len(sides) != 2:
        raise UsageError(f"--scripts {text}: expected a script for each side, such as Hangul,Latin")
    for name in sides[0] | sides[1]:
        if name not in SCRIPTS:
            raise UsageError(f"--scripts: no script '{name}'; available: {', '.join(sorted(SCRIPTS))}")
    return sides[0], sides[1]
