"""Documents of headings, paragraphs, tables and pictures, as Markdown and as one HTML page."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --line: #ccc; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
body { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th, td { white-space: nowrap; }
.name { text-align: left; }
img { max-width: 100%; background: white; border-radius: 4px; }
pre, .small { color: var(--soft); font-size: .85rem; white-space: pre-wrap; }
"""


class Heading(NamedTuple):
    """A heading; that of the document has `level` 1."""

    text: str
    level: int = 2


class Paragraph(NamedTuple):
    """A paragraph."""

    text: str


class Verbatim(NamedTuple):
    """Preformatted lines: a command, a signature, a recipe."""

    text: str


class Table(NamedTuple):
    """Rows under a head; the first columns have names, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1


class Picture(NamedTuple):
    """An SVG file and its description."""

    file: Path
    description: str


Block = Heading | Paragraph | Verbatim | Table | Picture


def to_markdown(blocks: Sequence[Block], folder: Path) -> str:
    """Write the document as Markdown for a folder; picture paths are relative to it."""
    return "\n\n".join(_markdown(block, folder) for block in blocks) + "\n"


def _markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Verbatim(text):
            return "\n".join(f"    {line}" for line in text.splitlines())
        case Table(head, rows, names):
            marks = ["---"] * names + ["--:"] * (len(head) - names)
            return "\n".join("| " + " | ".join(_cell(c) for c in row) + " |" for row in [head, marks, *rows])
        case Picture(file, description):
            return f"![{description}]({file.relative_to(folder).as_posix()})"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def to_html(blocks: Sequence[Block], title: str) -> str:
    """Write the document as one self-contained HTML page, light and dark."""
    body = "\n".join(map(_html, blocks))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n'
        f"{body}\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Verbatim(text):
            return f"<pre>{escape(text)}</pre>"
        case Table(head, rows, names):
            body = _row("th", head, names) + "".join(_row("td", row, names) for row in rows)
            return f'<div class="wide" tabindex="0"><table>{body}</table></div>'
        case Picture(file, description):
            content = b64encode(file.read_bytes()).decode()
            return f'<p><img alt="{escape(description)}" src="data:image/svg+xml;base64,{content}"></p>'


def _row(kind: str, cells: Sequence[str], names: int) -> str:
    row = "".join(
        f"<{kind}{' class=name' if i < names else ''}>{escape(cell)}</{kind}>" for i, cell in enumerate(cells)
    )
    return f"<tr>{row}</tr>\n"
