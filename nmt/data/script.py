"""Writing systems: which one a line is in, and which a language is written in."""

import unicodedata
from collections import Counter
from functools import cache

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
"""The writing system of a language by its code."""
SCRIPTS = frozenset(
    [
        "Arabic",
        "Armenian",
        "Bengali",
        "Cyrillic",
        "Devanagari",
        "Ethiopic",
        "Georgian",
        "Greek",
        "Gujarati",
        "Han",
        "Hangul",
        "Hebrew",
        "Hiragana",
        "Kannada",
        "Katakana",
        "Khmer",
        "Lao",
        "Latin",
        "Malayalam",
        "Mongolian",
        "Myanmar",
        "Sinhala",
        "Tamil",
        "Telugu",
        "Thai",
        "Tibetan",
    ]
)
"""The writing systems that can be asked for."""
OF_NAMES = {"Cjk": "Han", "Fullwidth": "Latin"}
"""How Unicode's names of letters begin, where that is not their writing system."""
MIXED = {"Hiragana": "Han", "Katakana": "Han"}


@cache
def script_of(character: str) -> str | None:
    """The writing system of a letter, by its name in Unicode; None for what is no letter."""
    if not character.isalpha():
        return None
    name = unicodedata.name(character, "").partition(" ")[0].title()
    return OF_NAMES.get(name, name)


def main_script(line: str) -> str | None:
    """The writing system that most of the different letters of a line are of; None without letters.

    Japanese, which mixes three, counts as Han.
    """
    found = Counter(MIXED.get(script, script) for script in map(script_of, set(line)) if script)
    return max(found, key=lambda script: (found[script], script)) if found else None
