"""Documents of headings, paragraphs, tables and pictures, as Markdown and as one HTML page.

Texts are shown as they are: neither format takes what is in them for markup.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page's content security policy: nothing is loaded, nothing is run."""
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


class Block(NamedTuple):
    """A part of a document in both formats."""

    markdown: str
    html: str


def heading(text: str, level: int = 2) -> Block:
    """Write a heading; that of the document has level 1."""
    return Block(f"{'#' * level} {_markdown(text)}", f"<h{level}>{escape(text)}</h{level}>")


def paragraph(text: str) -> Block:
    """Write a paragraph."""
    return Block(_markdown(text), f"<p>{escape(text)}</p>")


def preformatted(text: str) -> Block:
    """Write preformatted lines: a command, a signature, a recipe."""
    return Block("\n".join(f"    {line}" for line in text.splitlines()), f"<pre>{escape(text)}</pre>")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> Block:
    """Write rows under a head; the first `names` columns are names, the others numbers."""
    marks = ["---"] * names + ["--:"] * (len(head) - names)
    lines = (
        "| " + " | ".join(_markdown(cell).replace("|", "\\|") for cell in row) + " |"
        for row in (head, marks, *rows)
    )
    body = _row("th", head, names) + "".join(_row("td", row, names) for row in rows)
    return Block("\n".join(lines), f'<div class="wide" tabindex="0"><table>{body}</table></div>')


def _row(kind: str, cells: Sequence[str], names: int) -> str:
    row = "".join(
        f"<{kind}{' class=name' if i < names else ''}>{escape(cell)}</{kind}>" for i, cell in enumerate(cells)
    )
    return f"<tr>{row}</tr>\n"


def picture(file: Path, folder: Path, description: str) -> Block:
    """Show an SVG file: in Markdown by its path relative to `folder`, in HTML embedded."""
    name = _markdown(description).replace("[", "\\[").replace("]", "\\]")
    source = f"data:image/svg+xml;base64,{b64encode(file.read_bytes()).decode()}"
    return Block(
        f"![{name}]({file.relative_to(folder).as_posix()})",
        f'<p><img alt="{escape(description)}" src="{source}"></p>',
    )


def _markdown(text: str) -> str:
    """Write a text in one line in which Markdown finds no tags, entities, links or pictures."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")


def to_markdown(blocks: Sequence[Block]) -> str:
    """Write the document as Markdown."""
    return "\n\n".join(block.markdown for block in blocks) + "\n"


def to_html(blocks: Sequence[Block], title: str) -> str:
    """Write the document as one self-contained HTML page, light and dark."""
    body = "\n".join(block.html for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n'
        f"{body}\n</html>\n"
    )
