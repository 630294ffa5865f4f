"""`nmt study memory`: how many positions a cell can bridge."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.terminal import Plot, beside
from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.lab.memory import Learnt

FULL, QUICK = ("5,20,50,100,200", 3, 1000), ("10,200", 1, 500)
"""Gaps, seeds and updates where the command line says nothing else."""
COLUMNS = 5
"""Gaps in a row of the table."""
NAMES = 20
"""Columns of the name of a cell."""
LONGEST, WIDEST, LARGEST = 10_000, 4096, 1_000_000
"""A gap, a state, and a gap times a state, which the memory of a cell's test grows with: some 10 GB."""


def memory(
    cells: Annotated[
        str, typer.Option(metavar="CELL,...", help="Of `nmt cell ls`, or FILE.py:Class.")
    ] = "rnn,lstm,gru",
    gaps: Annotated[
        str | None,
        typer.Option(metavar="K,...", help="Positions to bridge; else 5,20,50,100,200.", show_default=False),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Runs of each cell; else 3.", show_default=False),
    ] = None,
    updates: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Updates of a run; else 1000.", show_default=False),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Gaps 10,200, one seed, 500 updates.")] = False,
    tasks: Annotated[
        str | None, typer.Option(metavar="TASK,...", help="Else all.", show_default=False)
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, max=WIDEST, metavar="N", help="Size of the state.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    plot: Plot = None,
) -> None:
    """Over how long a gap a cell can carry what it has read, on synthetic tasks.

    copy: a symbol, a gap of blanks, then it is asked for. adding: the sum of
    the two marked digits, the first and the last. agreement: the last word
    follows from the first ("I grew up in France ... I speak fluent French").
    brackets: which bracket is still to be closed. A cell learns all gaps at
    once and is tested on each; the numbers are percent of right answers.
    """
    from rich.console import Console

    from nmt.lab.memory import TASKS, Study, learnt

    by_default = QUICK if quick else FULL
    asked = _gaps(by_default[0] if gaps is None else gaps, hidden)
    study = Study(asked, hidden=hidden, updates=updates or by_default[2])
    chosen = _known("--tasks", list(TASKS) if tasks is None else tasks.split(","), list(TASKS))
    named = _cells(cells.split(","))
    with Console(stderr=True).status("") as status:  # shown on a terminal only
        found = list(learnt(named, chosen, study, seeds or by_default[1], status.update))
    if as_json:
        typer.echo(json.dumps([_as_json(of, study.gaps) for of in found]))
    else:
        _show(found, study.gaps)
    if plot:
        _plot(plot, found, study.gaps)


def _gaps(text: str, hidden: int) -> tuple[int, ...]:
    try:
        found = tuple(dict.fromkeys(int(gap) for gap in text.split(",")))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise UsageError(f"--gaps: expected whole numbers from 1, as in 5,20,100 (got {text!r})")
    most = min(LONGEST, LARGEST // hidden)
    if max(found) > most:
        raise UsageError(f"--gaps: with {hidden:,} units a gap is {most:,} at most, for the memory")
    return found


def _known(option: str, names: list[str], known: list[str]) -> list[str]:
    from nmt.recipe.fields import suggestion

    for name in names:
        if name not in known:
            raise UsageError(f"{option}: there is no {name!r}: {suggestion(name, known)}")
    return list(dict.fromkeys(names))


def _cells(names: list[str]) -> list[str]:
    """The cells that are asked for, those in a user's own file among them."""
    from nmt.cells import CELLS, find_cell

    _known("--cells", [name for name in names if ":" not in name], list(CELLS))
    for name in names:
        find_cell(name)
    return list(dict.fromkeys(names))


def _as_json(of: "Learnt", gaps: tuple[int, ...]) -> dict[str, Any]:
    return {**of._asdict(), "gaps": gaps, "means": of.means, "deviations": of.deviations}


def _show(found: "list[Learnt]", gaps: tuple[int, ...]) -> None:
    """A block for each task and so many gaps as fit."""
    from nmt.lab.memory import TASKS

    names = _names([of.cell for of in found])
    for task in dict.fromkeys(of.task for of in found):
        for first in range(0, len(gaps), COLUMNS):
            now = slice(first, first + COLUMNS)
            heads = "".join(f"{gap:>12}" for gap in gaps[now])
            typer.echo(f"{task:<20}{heads}")
            for of in found:
                if of.task == task:
                    typer.echo(beside(f"  {names[of.cell]}", NAMES, _scores(of, now)))
        typer.echo(f"  {'by chance':<18}{100 * TASKS[task].chance:>7.1f}\n")
    seeds = len(found[0].seeds)
    over = f"mean and deviation of {seeds} seeds" if seeds > 1 else "one seed"
    typer.echo(f"percent of right answers by gap, {over}")


def _names(cells: list[str]) -> dict[str, str]:
    """What each cell is called: one of a user's own by its class, unless another is called so."""
    short = {cell: cell.rpartition(":")[2] for cell in cells}
    return {cell: name if [*short.values()].count(name) == 1 else cell for cell, name in short.items()}


def _scores(of: "Learnt", now: slice) -> str:
    means = [f"{100 * mean:>7.1f}" for mean in of.means[now]]
    spread = [f" ±{100 * deviation:<3.1f}" for deviation in of.deviations[now]] or [""] * len(means)
    return "".join(f"{mean + by:<12}" for mean, by in zip(means, spread, strict=True)).rstrip()


def _plot(file: Path, found: "list[Learnt]", gaps: tuple[int, ...]) -> None:
    from nmt.lab.figure import Curve, draw_curves

    panels: dict[str, list[Curve]] = {}
    names = _names([of.cell for of in found])
    for of in found:
        around = [100 * deviation for deviation in of.deviations] or None
        line = Curve(names[of.cell], gaps, [100 * mean for mean in of.means], around)
        panels.setdefault(f"{of.task}, % right", []).append(line)
    draw_curves(file, panels, x="gap", one_scale=True)
