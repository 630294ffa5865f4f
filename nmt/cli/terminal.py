"""Text for terminals: wrapping, columns, strict JSON, and the option that writes a plot."""

import json
import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

WIDTH = 80
SPLITTING = ("Cc", "Zl", "Zp")
"""Categories of the letters that move on to another line, or do worse to a terminal."""


def one_line(text: str) -> str:
    """A text without line breaks and other control characters: they are written as in Python, \\n say."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in SPLITTING else letter
        for letter in text
    )


def hanging(name: str, text: str) -> str:
    """A text behind its name, as many lines as it takes, each beginning where the first does."""
    from rich.cells import cell_len

    margin = cell_len(name)
    return name + f"\n{'':{margin}}".join(wrapped(one_line(text), WIDTH - margin))


def wrapped(text: str, width: int) -> list[str]:
    """Lines no wider than `width`; a word that is wider than that is cut."""
    from rich.cells import cell_len, chop_cells

    lines: list[str] = []
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if cell_len(longer) <= width:
            lines[-1:] = [longer]
        else:
            lines += chop_cells(word, width) or [""]
    return lines


def beside(name: str, column: int, rest: str) -> str:
    """What stands behind a name from a column on; under the name where that is too long."""
    from rich.cells import cell_len

    if cell_len(name) > column:
        return f"{name}\n{'':{column}}{rest}"
    return f"{name}{'':{column - cell_len(name)}}{rest}"


def nameless(gates: Sequence[str]) -> str:
    """What there is to say of a cell's gates of which nothing can be shown."""
    return f"its step gives no name to the value of {', '.join(gates)}"


def dumps(value: object) -> str:
    """A value as JSON; a named tuple is an object."""
    return json.dumps(_plain(value))


def _plain(value: object) -> object:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checked(file: Path | None) -> Path | None:
    """UsageError before any work begins where the picture could not be drawn after it."""
    if file is not None:
        from nmt.lab.figure import check_picture

        check_picture(file)
    return file


Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Draw it too: .svg, .png or .pdf.", show_default=False, callback=_checked
    ),
]
