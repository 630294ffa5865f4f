"""`nmt study memory`: how many positions a cell can bridge."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import Json, Plot
from nmt.cli.terminal import UNLIMITED, format_table, spinner, to_json
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.lab.memory import MemoryResult

FULL, QUICK = ("5,20,50,100,200", 3, 1000), ("10,200", 1, 500)
"""Default gaps, seeds and updates."""
COLUMNS = 5
"""Gaps in a row of the table."""
LONGEST, WIDEST, LARGEST = 10_000, 4096, 1_000_000
"""Limits of a gap, a state, and their product, which takes some 10 GB of memory."""


def memory(
    cells: Annotated[
        str, typer.Option(metavar="CELL,...", help="Cells of `nmt cell ls`, or FILE.py:Class.")
    ] = "rnn,lstm,gru",
    gaps: Annotated[
        str | None, typer.Option(metavar="K,...", help=f"Positions to bridge; by default {FULL[0]}.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Runs of each cell; by default {FULL[1]}.")
    ] = None,
    updates: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Updates per run; by default {FULL[2]}.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"Gaps {QUICK[0]}, one seed, {QUICK[2]} updates.")
    ] = False,
    tasks: Annotated[str | None, typer.Option(metavar="TASK,...", help="By default all.")] = None,
    hidden: Annotated[int, typer.Option(min=1, max=WIDEST, metavar="N", help="State size.")] = 32,
    json: Json = False,
    plot: Plot = None,
) -> None:
    """Measure over how long a gap a cell can remember what it has read, on synthetic tasks.

    copy: a symbol, a gap of blanks, then the symbol is asked for. adding: the
    sum of two marked digits, the first and the last. agreement: the last word
    follows from the first ("I grew up in France ... I speak fluent French").
    brackets: which bracket is still open.

    A cell is trained on all gaps at once and tested on each. The numbers are
    percentages of correct answers.
    """
    from nmt.lab.memory import TASKS, MemorySettings, measure_memory

    defaults = QUICK if quick else FULL
    asked = _gaps(defaults[0] if gaps is None else gaps, hidden)
    settings = MemorySettings(asked, hidden=hidden, updates=updates or defaults[2])
    chosen = _known("--tasks", list(TASKS) if tasks is None else tasks.split(","), list(TASKS))
    named = _cells(cells.split(","))
    with spinner("") as status:
        found = list(measure_memory(named, chosen, settings, seeds or defaults[1], status.update))
    if json:
        typer.echo(to_json([_fields(of, settings.gaps) for of in found]))
    else:
        _show(found, settings.gaps)
    if plot:
        _draw(plot, found, settings.gaps)


def _gaps(text: str, hidden: int) -> tuple[int, ...]:
    try:
        found = tuple(dict.fromkeys(int(gap) for gap in text.split(",")))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise UsageError(f"--gaps: expected positive integers such as 5,20,100, got {text!r}")
    most = min(LONGEST, LARGEST // hidden)
    if max(found) > most:
        raise UsageError(f"--gaps: with {hidden:,} units the memory allows gaps up to {most:,}")
    return found


def _known(option: str, names: list[str], known: list[str]) -> list[str]:
    from nmt.errors import suggestion

    for name in names:
        if name not in known:
            raise UsageError(f"{option}: unknown name {name!r}: {suggestion(name, known)}")
    return list(dict.fromkeys(names))


def _cells(names: list[str]) -> list[str]:
    """Check the names of built-in cells and of custom cells in files."""
    from nmt.cells import CELLS, find_cell

    _known("--cells", [name for name in names if ":" not in name], list(CELLS))
    for name in names:
        find_cell(name)
    return list(dict.fromkeys(names))


def _fields(of: "MemoryResult", gaps: tuple[int, ...]) -> dict[str, Any]:
    return {**of._asdict(), "gaps": gaps, "means": of.means, "deviations": of.deviations}


def _show(found: "list[MemoryResult]", gaps: tuple[int, ...]) -> None:
    """Print tables of up to `COLUMNS` gaps for each task."""
    from nmt.lab.memory import TASKS

    names = _names([of.cell for of in found])
    for task in dict.fromkeys(of.task for of in found):
        chance = ["  by chance", f"{100 * TASKS[task].chance:.1f}{'':5}"]
        for first in range(0, len(gaps), COLUMNS):
            block = slice(first, first + COLUMNS)
            rows = [[f"  {names[of.cell]}", *_scores(of, block)] for of in found if of.task == task]
            rows += [chance] if first + COLUMNS >= len(gaps) else []
            header = (task, *map(str, gaps[block]))
            typer.echo(format_table(rows, header, widths=(19, *[11] * COLUMNS), width=UNLIMITED))
        typer.echo()
    seeds = len(found[0].seeds)
    over = f"mean and standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    typer.echo(f"percentage of correct answers by gap, {over}")


def _names(cells: list[str]) -> dict[str, str]:
    """Shorten the names of custom cells to their class where that is unambiguous."""
    short = {cell: cell.rpartition(":")[2] for cell in cells}
    return {cell: name if [*short.values()].count(name) == 1 else cell for cell, name in short.items()}


def _scores(of: "MemoryResult", block: slice) -> list[str]:
    spread = [f"±{100 * deviation:<4.1f}" for deviation in of.deviations[block]]
    means = [f"{100 * mean:.1f}" for mean in of.means[block]]
    return [
        f"{mean} {deviation}" for mean, deviation in zip(means, spread or [" " * 5] * len(means), strict=True)
    ]


def _draw(file: Path, found: "list[MemoryResult]", gaps: tuple[int, ...]) -> None:
    from nmt.lab.figure import Curve, draw_curves

    panels: dict[str, list[Curve]] = {}
    names = _names([of.cell for of in found])
    for of in found:
        around = [100 * deviation for deviation in of.deviations] or None
        line = Curve(names[of.cell], gaps, [100 * mean for mean in of.means], around)
        panels.setdefault(f"{of.task}, % correct", []).append(line)
    draw_curves(file, panels, x="gap", one_scale=True)
