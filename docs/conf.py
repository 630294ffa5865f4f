"""Sphinx's settings of the documentation site: `make docs` builds it from the pages as GitHub shows them."""

import re
from pathlib import Path

from sphinx.application import Sphinx

import nmt

CHECKOUT = Path(__file__).resolve().parent.parent

project, author = "nmt", "the nmt authors"
version = release = nmt.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "README"
include_patterns = ["*.md", "docs/**"]
suppress_warnings = ["myst.header"]  # headings of pages that are shown in parts
myst_heading_anchors = 4
html_theme, html_title = "furo", f"nmt {version}"
html_show_copyright = False
html_copy_source = False
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "undoc-members": False}

LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+\.(?:md|rst))\)")


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Append a hidden table of contents to each README.md: the pages of its folder that it links to.

    That of the start page is the list of docs/README.md, with its titles, and the pages next to it.
    """
    if not name.endswith("README"):
        return
    folder, listed = CHECKOUT / name.removesuffix("README"), CHECKOUT / "docs" / "README.md"
    entries = [
        page for _, page in LINK.findall(source[0]) if (folder / page).resolve().is_relative_to(folder)
    ]
    if name == "docs/README":
        source[0], entries = f"---\norphan: true\n---\n{source[0]}", []
    elif name == root_doc:
        app.env.note_dependency(str(listed), docname=name)
        entries = [f"{title} <docs/{page}>" for title, page in LINK.findall(listed.read_text("utf-8"))]
        entries += sorted(path.name for path in CHECKOUT.glob("*.md") if path.stem != root_doc)
    source[0] += "\n".join(["\n```{toctree}", ":hidden:", *dict.fromkeys(entries), "```\n"])


def write_start_page(app: Sphinx, error: Exception | None) -> None:
    """Write index.html, which leads to the start page."""
    start = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html"><title>nmt</title>\n'
    if error is None:
        (Path(app.outdir) / "index.html").write_text(start, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.connect("build-finished", write_start_page)
