"""Output on a terminal: tables, JSON and notes."""

import json
import math
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import typer
from rich.table import Table

from nmt.console import open_console
from nmt.errors import escape_controls

WIDTH = 80
UNLIMITED = 10_000
"""Width of a table whose rows are not wrapped."""


def format_table(
    rows: Iterable[Sequence[str]],
    header: Sequence[str] = (),
    *,
    align: str = "",
    widths: Sequence[int] = (),
    indent: int = 0,
    width: int = WIDTH,
) -> str:
    """Lay out rows in columns without borders or colours, so the result is the same in a pipe.

    `align` has `l` or `r` for each column; by default the first is left-aligned, the others right-aligned.
    `widths` are minimum widths of columns. Text that does not fit `width` is wrapped inside its column;
    wide characters (Korean, say) count as two cells.
    """
    cells = [[escape_controls(cell) for cell in row] for row in rows]
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=bool(header))
    for column in range(max(map(len, [header, *cells]))):
        left = align[column : column + 1] == "l" if align else column == 0
        table.add_column(
            header[column] if column < len(header) else "",
            justify="left" if left else "right",
            min_width=widths[column] if column < len(widths) else None,
            overflow="fold",
        )
    for row in cells:
        table.add_row(*row)
    output = StringIO()
    looks: dict[str, Any] = {"color_system": None, "markup": False, "emoji": False, "highlight": False}
    open_console(output, width=width - indent, height=25, **looks).print(table)
    return "\n".join((" " * indent + line).rstrip() for line in output.getvalue().splitlines())


def describe_unnamed_gates(gates: Sequence[str]) -> str:
    """Explain why some gates of a cell cannot be shown."""
    return f"the cell's step assigns no variable to {', '.join(gates)}"


def to_json(value: object, *, indent: int | None = None) -> str:
    """Format a value as strict JSON: named tuples become objects, NaN and infinity become null."""
    return json.dumps(_to_plain(value), indent=indent, ensure_ascii=False)


def _to_plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _to_plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def echo_note(message: str) -> None:
    """Print a message of the program to stderr, with what it quotes escaped; a line break in it is kept."""
    lines = escape_controls(message, keep="\n\t").replace("\nnmt:", "\n  nmt:")  # no line is forged
    typer.echo(f"nmt: {lines}", err=True)
