"""Make notebooks of the tutorial's chapters: `make notebooks`, or `python docs/notebooks.py DIRECTORY`.

The chapters are the only source. Commands become a cell of the shell, a named block a cell that writes the
file, an example worked out by hand a cell of Python, and a picture a cell that shows what was drawn.
"""

import doctest
import os
import re
import sys
from pathlib import Path

import jupytext

TUTORIAL = Path(__file__).resolve().parent / "tutorial"

BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S)
PICTURE = re.compile(r"^!\[.*?\]\(\.\./pictures/([\w-]+\.svg)\)$", re.M)
LINK = re.compile(r"\]\(([^)#:]+)((?:#[^)]*)?)\)")
EXAMPLES = doctest.DocTestParser()


def make_notebook(chapter: Path, directory: Path) -> Path:
    """Write the notebook of a chapter into a directory, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    parts, end = [], 0
    text = chapter.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        parts += [convert_prose(text[end : block.start()], chapter.parent, directory), convert_block(block)]
        end = block.end()
    markdown = "".join([*parts, convert_prose(text[end:], chapter.parent, directory)])
    notebook = jupytext.reads(markdown, fmt="md")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # the same in every build
    path = directory / chapter.with_suffix(".ipynb").name
    jupytext.write(notebook, path)
    return path


def convert_block(block: re.Match[str]) -> str:
    """Return the cells of a fenced block."""
    language, file, text = block.group("language", "file", "text")
    if file:
        return cell(f"%%writefile {file}\n{text}")
    if language == "sh":
        return cell(f"%%sh -e\n{text}")
    if language != "python":
        return block[0]
    cells, lines = [], ""
    for example in EXAMPLES.get_examples(text):
        lines += example.source
        if example.want:  # a cell shows the value of its last line only
            cells.append(cell(lines))
            lines = ""
    return "\n\n".join(cells)


def convert_prose(text: str, folder: Path, directory: Path) -> str:
    """Return prose with links to notebooks and to the pages of the checkout, and pictures as cells."""

    def point(link: re.Match[str]) -> str:
        target = link[1]
        if (folder / target).parent == folder:
            return f"]({Path(target).with_suffix('.ipynb')}{link[2]})"
        return f"]({Path(os.path.relpath(folder / target, directory.resolve())).as_posix()}{link[2]})"

    pictures = PICTURE.sub(lambda found: cell(f'from IPython.display import SVG\n\nSVG("{found[1]}")'), text)
    return LINK.sub(point, pictures)


def cell(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```"


if __name__ == "__main__":
    for page in sorted(TUTORIAL.glob("??/*.md")):
        print(make_notebook(page, Path(sys.argv[1]) / page.parent.name))
