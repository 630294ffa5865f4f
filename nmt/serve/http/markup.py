"""Texts between the tags of HTML, which are translated while the tags stay as they are.

Markup is divided by a regular expression in linear time, whatever a client sends; html.parser is not linear.
"""

import html
import re
from collections.abc import Iterator

MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<[!?][^>]*+(?:>|\Z)"
    r"""|<(?P<end>/?)(?P<tag>[a-zA-Z][^\s/<>]*+)(?P<rest>(?:[^<>"']++|"[^"<]*+"|'[^'<]*+')*+)>""",
    re.DOTALL,
)
"""A comment, a section, a declaration or a tag; a `<` in an attribute is written as `&lt;`."""
KEPT = frozenset(["script", "style", "pre", "code", "textarea"])
"""Elements whose content is not translated."""
EMPTY = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"]
)
"""Elements without content."""
UNTRANSLATED = re.compile(r"""\btranslate\s*=\s*["']?no\b""", re.IGNORECASE)


def divide_markup(markup: str) -> Iterator[tuple[bool, str]]:
    """Yield pieces of HTML, with whether a piece is text to translate."""
    start, kept, depth = 0, "", 0  # the tag of an element whose content is kept, and how often it is open
    for match in MARKUP.finditer(markup):
        yield not depth, markup[start : match.start()]
        yield False, match[0]
        start, tag = match.end(), (match["tag"] or "").lower()
        if not tag or tag in EMPTY or match["rest"].endswith("/"):
            continue
        if depth:
            depth += (tag == kept) * (-1 if match["end"] else 1)
        elif not match["end"] and (tag in KEPT or UNTRANSLATED.search(match["rest"])):
            kept, depth = tag, 1
    yield not depth, markup[start:]


def find_texts(markup: str) -> list[str]:
    """Return the texts of HTML that are translated, in order, without white space around them."""
    stripped = (html.unescape(piece).strip() for is_text, piece in divide_markup(markup) if is_text)
    return [text for text in stripped if text]


def replace_texts(markup: str, translations: list[str]) -> str:
    """Return HTML with its texts replaced."""
    pieces, following = divide_markup(markup), iter(translations)
    return "".join(_replace_text(piece, following) if is_text else piece for is_text, piece in pieces)


def _replace_text(piece: str, translations: Iterator[str]) -> str:
    """Return the next translation, with the white space around the text that it is of."""
    text = html.unescape(piece)
    if not text.strip():
        return piece
    before, after = len(text) - len(text.lstrip()), len(text.rstrip())
    return text[:before] + html.escape(next(translations), quote=False) + text[after:]
