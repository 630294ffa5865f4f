"""Normalisation of text before it is divided into tokens: the same in training and translation, since the
vocabulary's file records the rule.

Characters that are not visible are removed, so that text with and without them is the same text. The joiners
U+200C and U+200D are kept where a script or an emoji sequence uses them.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

from nmt.data.script import find_script

ZWNJ, ZWJ = "\u200c", "\u200d"
STAND_IN = "\ufdd0"
"""A noncharacter, of as many bytes as U+200C, which replaces it while a vocabulary is trained."""

INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f"  # control characters without those that are white space
    "\u00ad\u034f\u17b4\u17b5"  # soft hyphen, grapheme joiner, Khmer inherent vowels
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # directions
    "\u200b\u2060-\u2065\ufeff\ufff9-\ufffb"  # spaces of no width, invisible operators, annotations
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # format of shorthand and music, tags
    "\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
)
VARIATION_SELECTORS = "\U000e0100-\U000e01ef"  # of ideographs: visible, but in a range of invisible ones
SUBDIVISION_FLAG = "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]+\U000e007f"  # of Scotland, say
INVISIBLE_RUN = re.compile(f"({SUBDIVISION_FLAG}|[{VARIATION_SELECTORS}]+)|[{INVISIBLE}]")
JOINERS = re.compile(f"[{ZWNJ}{ZWJ}]+")
WHITE_SPACE = re.compile("[\t\n\v\f\r\u2028\u2029]")

JOINING_SCRIPTS = frozenset(
    ["Adlam", "Arabic", "Mandaic", "Manichaean", "Mongolian", "Nko", "Sogdian", "Syriac"]
)
"""Scripts whose letters change their form between neighbours."""
CONTEXT = 16  # characters on either side of a joiner
VIRAMA = 9  # the combining class of signs that join consonants, as in RFC 5892
EMOJI_MODIFIERS = "\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"


def remove_invisible(line: str) -> str:
    """Remove characters that are not visible, and joiners where neither the script nor an emoji uses them."""
    if line.isascii() and line.isprintable():
        return line
    line = INVISIBLE_RUN.sub(lambda match: match[1] or "", line)
    return JOINERS.sub(_keep_joiner, line)


def _keep_joiner(match: re.Match[str]) -> str:
    joiner, line, (start, end) = match[0][0], match.string, match.span()
    before, after = line[max(0, start - CONTEXT) : start], line[end : end + CONTEXT]
    return joiner if _is_joined(joiner, before, after) else ""


def _is_joined(joiner: str, before: str, after: str) -> bool:
    """Return True if a joiner between two texts is part of the writing."""
    if not before:
        return False
    if unicodedata.combining(before[-1]) == VIRAMA:
        return True
    if joiner == ZWJ and unicodedata.combining(after[:1] or " ") == VIRAMA:
        return True
    if find_joining_script(before[::-1]):
        return joiner == ZWJ or find_joining_script(before[::-1]) == find_joining_script(after)
    emoji = before.rstrip(EMOJI_MODIFIERS)[-1:]
    return joiner == ZWJ and is_emoji(emoji) and is_emoji(after[:1])


def find_joining_script(text: str) -> str | None:
    """Return the joining script of the first letter of a text, marks skipped; None if it has none."""
    letter = next((char for char in text if not unicodedata.combining(char)), "")
    script = find_script(letter)
    return script if script in JOINING_SCRIPTS else None


def is_emoji(character: str) -> bool:
    """Return True for a pictograph, also one that the Unicode data of this Python does not have yet."""
    if not character:
        return False
    return unicodedata.category(character) == "So" or "\U0001f000" <= character <= "\U0001faff"


def _compose(line: str) -> str:
    return unicodedata.normalize("NFC", WHITE_SPACE.sub(" ", remove_invisible(line)))


NORMALISATIONS: Mapping[str, Callable[[str], str]] = {
    "nmt_nfkc": remove_invisible,  # the SentencePiece model does the rest
    "nfc": _compose,
    "none": lambda line: line,
}
"""The rules, and what each does before the model's own normalisation."""
