"""What `nmt inspect gates` prints and draws."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.terminal import beside, hanging, nameless

if TYPE_CHECKING:
    from nmt.training.gate_logging import CellStatistics, GateStatistics, StateStatistics

SHOWN = (1, 2, 3, 5, 10, 20, 50, 100)
"""Positions whose norms a table has."""
NAMES = 16
"""Columns of the name of a gate or a state."""


def table(found: "list[CellStatistics]", positions: int) -> str:
    """A block of lines for each cell."""
    return "\n\n".join("\n".join(_lines(cell, positions)) for cell in found)


def _lines(cell: "CellStatistics", positions: int) -> Iterator[str]:
    yield f"{cell.path.title}: {cell.path.cell}, {cell.pieces:,} pieces"
    if cell.gates:
        yield _row("gate", ["mean", "open", "closed"])
        yield from (_row(gate.name, _gate(gate)) for gate in cell.gates)
    if cell.unnamed:
        yield hanging("  ", f"({nameless(cell.unnamed)})")
    yield _row("state", ["norm", "kept", "updated", "time scale", "longest"])
    yield from (_row(part.name, _part(part)) for part in cell.state)
    places = [place for place in SHOWN if place <= min(positions, len(cell.state[0].norms))]
    rest = [f"{positions + 1}-"] if len(cell.state[0].norms) > positions else []
    yield _row("norm at", [*map(str, places), *rest], 7)
    for part in cell.state:
        norms = [part.norms[place - 1] for place in places] + part.norms[positions:]
        yield _row(part.name, [f"{norm:.2f}" for norm in norms], 7)


def _row(name: str, values: Sequence[str], width: int = 12) -> str:
    return beside(f"  {name}", NAMES, "".join(f"{value:>{width}}" for value in values))


def _gate(gate: "GateStatistics") -> list[str]:
    shares = ["-" if share is None else f"{share:.1%}" for share in (gate.open, gate.closed)]
    return [f"{gate.mean:.3f}", *shares]


def _part(part: "StateStatistics") -> list[str]:
    norm = f"{part.mean_norm:.2f}"
    if part.kept is None:
        return [norm, "-", "-", "-", "-"]
    kept = part.kept
    scales = ["for ever" if math.isinf(s) else f"{s:.2f}" for s in (kept.time_scale, kept.longest)]
    return [norm, f"{kept.mean:.3f}", f"{kept.updated:.3f}", *scales]


def draw_gates(file: Path, found: "list[CellStatistics]", positions: int) -> None:
    """Means of the gates and lengths of the states by position, a panel for each name."""
    from nmt.lab.figure import Curve, draw_curves

    panels: dict[str, list[Curve]] = {}
    for cell in found:
        gates = {f"mean of {gate.name}": gate.means for gate in cell.gates if gate.open is not None}
        norms = {f"length of {part.name}": part.norms for part in cell.state}
        for label, values in (gates | norms).items():
            alone = values[:positions]
            panels.setdefault(label, []).append(
                Curve(
                    f"{cell.path.side} {cell.path.layer} {cell.path.direction}",
                    range(1, len(alone) + 1),
                    alone,
                )
            )
    draw_curves(file, panels, x="position")
