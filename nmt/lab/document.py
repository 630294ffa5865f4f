"""Documents of headings, paragraphs, tables and pictures, as Markdown and as one HTML page.

Texts are escaped: neither format interprets markup in them.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page's content security policy: nothing is loaded, nothing is run."""
STYLE = """
:root {
  color-scheme: light dark; --page: #fbf9f5; --panel: #fff; --ink: #1d2329; --soft: #66707a; --faint: #dcd8cf;
  --accent: #b4481e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101418; --panel: #171c22; --ink: #e6e3dc; --soft: #97a1ab; --faint: #2c343d; --accent: #ff9a62;
  }
}
body {
  max-width: 1120px; margin: 0 auto; padding: 24px 20px; overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
}
h1 { font-size: clamp(22px, 4vw, 34px); line-height: 1.25; }
h2 { font-size: 20px; margin: 40px 0 8px; }
h3 { font-size: 16px; margin: 24px 0 8px; }
p { max-width: 74ch; }
a { color: var(--accent); }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0; padding: 0; list-style: none; }
.wide {
  overflow-x: auto; width: fit-content; max-width: 100%; box-sizing: border-box; margin: 10px 0;
  padding: 6px 14px; background: var(--panel); border: 1px solid var(--faint); border-radius: 10px;
}
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 0 4px 20px; text-align: right; white-space: nowrap; }
th, td { border-bottom: 1px solid var(--faint); }
th { font-weight: 600; color: var(--soft); }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { padding-left: 0; }
.name { text-align: left; }
img { max-width: 100%; background: white; border: 1px solid var(--faint); border-radius: 10px; }
pre { color: var(--soft); font-size: 13px; white-space: pre-wrap; }
"""


class Block(NamedTuple):
    """A block of a document in both formats."""

    markdown: str
    html: str


def heading(text: str, level: int = 2) -> Block:
    """Write a heading; that of the document has level 1."""
    anchor = f' id="{_slug(text)}"' if level == 2 else ""
    return Block(f"{'#' * level} {_escape_markdown(text)}", f"<h{level}{anchor}>{escape(text)}</h{level}>")


def contents(headings: Sequence[str]) -> Block:
    """Write links to headings of level 2."""
    markdown = "\n".join(f"- [{_escape_link_text(text)}](#{_slug(text)})" for text in headings)
    entries = "".join(f'<li><a href="#{_slug(text)}">{escape(text)}</a></li>' for text in headings)
    return Block(markdown, f'<nav aria-label="Contents"><ul>{entries}</ul></nav>')


def _slug(text: str) -> str:
    """Return the anchor that renderers of Markdown give a heading."""
    return "-".join(re.sub(r"[^\w\- ]", "", text.lower()).split(" "))


def _escape_link_text(text: str) -> str:
    return _escape_markdown(text).replace("[", "\\[").replace("]", "\\]")


def paragraph(text: str) -> Block:
    """Write a paragraph."""
    return Block(_escape_markdown(text), f"<p>{escape(text)}</p>")


def preformatted(text: str) -> Block:
    """Write preformatted lines: a command, a signature, a recipe."""
    return Block("\n".join(f"    {line}" for line in text.splitlines()), f"<pre>{escape(text)}</pre>")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> Block:
    """Write rows under a head; the first `names` columns are names, the others numbers."""
    marks = ["---"] * names + ["--:"] * (len(head) - names)
    lines = (
        "| " + " | ".join(_escape_markdown(cell).replace("|", "\\|") for cell in row) + " |"
        for row in (head, marks, *rows)
    )
    body = _format_html_row("th", head, names) + "".join(_format_html_row("td", row, names) for row in rows)
    return Block("\n".join(lines), f'<div class="wide" tabindex="0"><table>{body}</table></div>')


def _format_html_row(kind: str, cells: Sequence[str], names: int) -> str:
    row = "".join(
        f"<{kind}{' class=name' if i < names else ''}>{escape(cell)}</{kind}>" for i, cell in enumerate(cells)
    )
    return f"<tr>{row}</tr>\n"


def picture(file: Path, folder: Path, description: str) -> Block:
    """Show an SVG file: in Markdown by its path relative to `folder`, in HTML embedded."""
    name = _escape_link_text(description)
    source = f"data:image/svg+xml;base64,{b64encode(file.read_bytes()).decode()}"
    return Block(
        f"![{name}]({file.relative_to(folder).as_posix()})",
        f'<p><img alt="{escape(description)}" src="{source}"></p>',
    )


def _escape_markdown(text: str) -> str:
    """Return a text as one line, without characters that Markdown reads as tags, entities or links."""
    line = " ".join(text.split())
    return line.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")


def to_markdown(blocks: Sequence[Block]) -> str:
    """Write the document as Markdown."""
    return "\n\n".join(block.markdown for block in blocks) + "\n"


def to_html(blocks: Sequence[Block], title: str) -> str:
    """Write the document as one self-contained HTML page, for light and dark themes."""
    body = "\n".join(block.html for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n'
        f"{body}\n</html>\n"
    )
