"""`nmt inspect gates`: statistics of a model's gates and states over a corpus."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import Json, Model, Plot, Positions
from nmt.cli.terminal import UNLIMITED, format_table, to_json, unnamed_gates

if TYPE_CHECKING:
    from nmt.training.gate_logging import CellStatistics, GateStatistics, StateStatistics

SHOWN = (1, 2, 3, 5, 10, 20, 50, 100)
"""Positions whose norms the table shows."""


def gates(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Sentence pairs or text, written as for `data.valid`; by default the validation data.",
        ),
    ] = None,
    positions: Positions = 20,
    json: Json = False,
    plot: Plot = None,
) -> None:
    """Measure what every gate does over a corpus, and how long the states remember.

    For each gate of each cell: its mean, and the share of its values that is
    open (above 0.9) and closed (below 0.1), if they are between 0 and 1.

    For each part of the state: its mean norm; the share of itself that a unit
    keeps at a position (an LSTM's f for c, a GRU's z for h); the rest, which is
    updated; and the time scale in positions, -1/ln f for a constant f, of the
    median unit and of the 90th percentile (longest). The model reads the
    reference words; padding is not counted.
    """
    from nmt.lab.inspect.inspect_model import inspect_gates

    found = inspect_gates(model, data, positions=positions)
    typer.echo(to_json([cell.as_dict() for cell in found]) if json else gate_tables(found, positions))
    if plot:
        _draw(plot, found, positions)


def gate_tables(found: "list[CellStatistics]", positions: int) -> str:
    """Format a block of tables for each cell."""
    return "\n\n".join("\n".join(_tables(cell, positions)) for cell in found)


def _tables(cell: "CellStatistics", positions: int) -> Iterator[str]:
    yield f"{cell.path.title}: {cell.path.cell}, {cell.pieces:,} tokens"
    if cell.gates:
        yield _table(["gate", "mean", "open", "closed"], map(_gate, cell.gates))
    if cell.unnamed:
        yield format_table([[f"({unnamed_gates(cell.unnamed)})"]], indent=2)
    yield _table(["state", "norm", "kept", "updated", "time scale", "longest"], map(_part, cell.state))
    shown = [position for position in SHOWN if position <= min(positions, len(cell.state[0].norms))]
    rest = [f"{positions + 1}-"] if len(cell.state[0].norms) > positions else []
    norms = {part.name: [part.norms[position - 1] for position in shown] for part in cell.state}
    rows = [
        [part.name, *(f"{norm:.2f}" for norm in norms[part.name] + part.norms[positions:])]
        for part in cell.state
    ]
    yield _table(["norm at", *map(str, shown), *rest], rows, width=6)


def _table(header: list[str], rows: Iterator[list[str]] | list[list[str]], width: int = 11) -> str:
    return format_table(rows, header, widths=(14, *[width] * 9), indent=2, width=UNLIMITED)


def _gate(gate: "GateStatistics") -> list[str]:
    shares = ["-" if share is None else f"{share:.1%}" for share in (gate.open, gate.closed)]
    return [gate.name, f"{gate.mean:.3f}", *shares]


def _part(part: "StateStatistics") -> list[str]:
    norm = f"{part.mean_norm:.2f}"
    if part.kept is None:
        return [part.name, norm, "-", "-", "-", "-"]
    kept = part.kept
    scales = ["infinite" if math.isinf(s) else f"{s:.2f}" for s in (kept.time_scale, kept.longest)]
    return [part.name, norm, f"{kept.mean:.3f}", f"{kept.updated:.3f}", *scales]


def _draw(file: Path, found: "list[CellStatistics]", positions: int) -> None:
    """Draw the gates' means and the states' norms by position, one panel per name."""
    from nmt.lab.figure import Curve, draw_curves

    panels: dict[str, list[Curve]] = {}
    for cell in found:
        gates = {f"mean of {gate.name}": gate.means for gate in cell.gates if gate.open is not None}
        norms = {f"norm of {part.name}": part.norms for part in cell.state}
        for label, values in (gates | norms).items():
            shown = values[:positions]
            line = Curve(
                f"{cell.path.side} {cell.path.layer} {cell.path.direction}", range(1, len(shown) + 1), shown
            )
            panels.setdefault(label, []).append(line)
    draw_curves(file, panels, x="position")
