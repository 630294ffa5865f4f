"""Texts between the tags of HTML, which are translated while the tags stay as they are."""

import html
from collections.abc import Iterator
from html.parser import HTMLParser

KEPT = frozenset(["script", "style", "pre", "code", "textarea"])
"""Elements whose content is not translated."""


class MarkupReader(HTMLParser):
    """A reader that divides HTML into pieces: markup, which is kept, and text, which is translated."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self._kept_within: list[str] = []
        self.pieces: list[tuple[bool, str]] = []
        """Whether a piece is to be translated, and the piece."""
        self.feed(text)
        self.close()

    def _keep(self, markup: str) -> None:
        self.pieces.append((False, markup))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        is_kept = tag in KEPT or ("translate", "no") in attrs
        if self._kept_within:
            is_kept = tag == self._kept_within[-1]
        if is_kept:
            self._kept_within.append(tag)
        self._keep(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag without an end, such as <br/>."""
        self._keep(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        """Keep the end of an element."""
        if self._kept_within and tag == self._kept_within[-1]:
            self._kept_within.pop()
        self._keep(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Take the text, unless its element is not translated."""
        if self._kept_within:
            is_raw = self._kept_within[-1] in ("script", "style")
            self._keep(data if is_raw else html.escape(data, quote=False))
        elif self.pieces and self.pieces[-1][0]:
            self.pieces[-1] = (True, self.pieces[-1][1] + data)
        else:
            self.pieces.append((True, data))

    def handle_comment(self, data: str) -> None:
        """Keep a comment."""
        self._keep(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        """Keep a declaration, such as <!DOCTYPE html>."""
        self._keep(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        """Keep a section such as CDATA."""
        self._keep(f"<![{data}]]>" if data.startswith("CDATA[") else f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        """Keep a processing instruction."""
        self._keep(f"<?{data}>")


def find_texts(markup: str) -> list[str]:
    """Return the texts of HTML that are translated, in order, without white space around them."""
    stripped = (piece.strip() for is_text, piece in MarkupReader(markup).pieces if is_text)
    return [text for text in stripped if text]


def replace_texts(markup: str, translations: list[str]) -> str:
    """Return HTML with its texts replaced."""
    following = iter(translations)
    return "".join(
        _replace_text(piece, following) if is_text else piece
        for is_text, piece in MarkupReader(markup).pieces
    )


def _replace_text(piece: str, translations: Iterator[str]) -> str:
    """Return the next translation, with the white space around the text that it is of."""
    if not piece.strip():
        return piece
    before, after = len(piece) - len(piece.lstrip()), len(piece.rstrip())
    return piece[:before] + html.escape(next(translations), quote=False) + piece[after:]
