"""Spans of a line that are not words: what each kind is, as a regular expression.

Every expression takes time proportional to the text: repeated parts cannot match the same characters in two
ways, or are atomic.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

LATIN = "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u024f\u1e00-\u1eff"
ALPHABETS = f"{LATIN}\u0370-\u06ff"  # scripts whose words are separated by spaces: Greek to Arabic
CLOSING = ".,;:!?'\")]}>*|»”’\u2026"  # that can end an address only before more of it
PUNCTUATION = (
    "\u00a0-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u2000-\u206f\u3000-\u303f"
    "\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
OTHER = f"[^\\x00-\\x7f\\s{LATIN}{PUNCTUATION}]"  # a letter that is neither ASCII nor Latin
ADDRESS = f"[{LATIN}0-9\\-._~/?#@!$&*+=%:;,'|()\\[\\]{{}}]"
BRACKETS = {")": "(", "]": "[", "}": "{"}
DELIMITER = "[/?#=&_\\-.:%+]"  # after which letters of another script are part of an address
DOMAINS = "com|org|net|edu|gov|mil|int|io|info|biz|app|dev"

# Characters up to the last one that can end an address; then a bracket that it opened is closed.
TAIL = f"(?>(?:{ADDRESS}(?:(?<={DELIMITER}){OTHER}++)?)++)"
URL = (
    f"(?<![{LATIN}0-9])(?>"
    f"[A-Za-z][A-Za-z0-9+.\\-]{{1,31}}+://(?:{OTHER}++)?{TAIL}"
    f"|(?:mailto|tel|sms|magnet|data|urn):(?=[{LATIN}0-9?+]){TAIL}"
    f"|www\\d?\\.{TAIL}"
    f"|(?:[A-Za-z0-9](?:[A-Za-z0-9\\-]{{0,61}}+\\.)(?:[A-Za-z0-9\\-]{{1,63}}+\\.){{0,8}}?)(?:{DOMAINS})(?![{LATIN}0-9\\-@])(?:[/?#:]{TAIL})?"
    ")"
)
EMAIL = (
    f"(?<![{ALPHABETS}0-9._%+\\-])[{ALPHABETS}0-9_%+\\-](?>[{ALPHABETS}0-9._%+\\-]{{0,64}}+)@"
    f"(?>[{ALPHABETS}0-9\\-]{{1,63}}+)(?:\\.[{ALPHABETS}0-9\\-]{{1,63}}+){{1,8}}+"
)
TAG = (
    "<(?>"
    "/?[A-Za-z][A-Za-z0-9_:.\\-]*+"
    "(?:[ \\t]++[^\\s<>=\"'/]++(?:=(?:\"[^\"<>\\n\\r]*+\"|'[^'<>\\n\\r]*+'|[^\\s<>\"']++))?)*+[ \\t]*+/?"
    "|/?\\d{1,4}+/?"
    "|!--[^<>\\n\\r]*+(?<=--)"
    "|[?!][A-Za-z][^<>\\n\\r]*+"
    ")>"
)
NAME = "[A-Za-z_][A-Za-z0-9_]*+"
PLACEHOLDER = (
    "(?>"
    "[$#%@]?\\{\\{[^\\s{}](?:[^{}\\n\\r]{0,62}+)\\}\\}"
    "|[$#%@]?\\{[ ]?(?>[\\w.$\\-]*+)(?:\\[[^\\[\\]{}\\s]{1,32}+\\])?(?:![rsa])?"
    "(?:[:|,][^{}\\n\\r]{0,64}+)?[ ]?\\}"
    f"|(?<![\\w$])\\${NAME}(?:\\.{NAME})*+"
    f"|(?<![0-9%])%(?:\\({NAME}\\)[\\-+0#]*+\\d*+(?:\\.\\d++)?[diouxXeEfFgGcrsa]"
    "|(?:\\d{1,4}\\$)?[\\-+0#]*+\\d*+(?:\\.\\d++)?(?:hh|h|ll|l|L|z|j|t|q)?[diouxXeEfFgGcspn@](?![A-Za-z])"
    f"|{NAME}%"
    "|L?\\d{1,2}(?![\\w%.,]))"
    "|(?<![\\w])__[A-Za-z0-9]++(?:_[A-Za-z0-9]++)*+__(?!\\w)"
    ")"
)
NUMBER = (
    f"(?<![{ALPHABETS}0-9])(?:(?<![\\w.,/:\\-])[+\\-\u2212])?"
    "\\d++(?:[.,:/'\u00a0\u202f\u2019\u066b\u066c]\\d++)*+(?:[ \u00a0\u202f]?[%\u2030])?"
    f"(?![{ALPHABETS}])"
)
PICTURE = (
    "[\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff\u2600-\u27bf\u2b05-\u2b55"
    "\u231a-\u23ff\u3030\u303d\u3297\u3299]"
)
# Signs that are emoji in this form only.
SIGN = "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u25aa-\u25fe\u2934\u2935]\ufe0f"
EMOJI_ITEM = (
    f"(?:(?:{PICTURE}|{SIGN})(?>[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u20e3\U000e0020-\U000e007f]*+)"
    "|[\U0001f1e6-\U0001f1ff]{1,2}+|[0-9#*]\ufe0f?\u20e3|[\U0001f3fb-\U0001f3ff])"
)
EMOJI = f"{EMOJI_ITEM}(?:\u200d?{EMOJI_ITEM})*+"

KINDS: Mapping[str, str] = {
    "url": URL,
    "email": EMAIL,
    "tag": TAG,
    "placeholder": PLACEHOLDER,
    "emoji": EMOJI,
    "number": NUMBER,
}
"""The kinds of spans; of two that begin at the same character, the earlier one is taken."""
DEFAULT_KINDS = ("url", "email", "tag", "placeholder")
HINTS = re.compile(f"[@<{{$%]|://|www|__|(?:mailto|tel|sms|magnet|data|urn):|\\.(?:{DOMAINS})")
"""A part of every span of the default kinds, which most lines do not have."""

Span = tuple[int, int]


@cache
def compile_kinds(kinds: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{kind}>{KINDS[kind]})" for kind in KINDS if kind in kinds))


def find_spans(line: str, kinds: Sequence[str]) -> list[Span]:
    """Return the spans of these kinds, in order; they do not overlap."""
    if not kinds or ({*kinds} <= {*DEFAULT_KINDS} and not HINTS.search(line)):
        return []
    return [_trim(match) for match in compile_kinds(tuple(kinds)).finditer(line)]


def _trim(match: re.Match[str]) -> Span:
    """Return a match; an address without punctuation after it, such as a bracket that it does not open."""
    start, end = match.span()
    if match.lastgroup not in ("url", "email"):
        return start, end
    text = match[0]
    surplus = {closing: text.count(closing) - text.count(opening) for closing, opening in BRACKETS.items()}
    while end > start + 1 and (last := text[end - start - 1]) in CLOSING:
        if last in BRACKETS and surplus[last] <= 0:
            break
        surplus[last] = surplus.get(last, 0) - 1
        end -= 1
    return start, end
