"""`nmt inspect`: what a trained model does inside."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.gradients import gradients
from nmt.cli.sentence import sentence
from nmt.cli.terminal import Plot, dumps

if TYPE_CHECKING:
    from nmt.lab.inspect.exposure import Exposure

app = typer.Typer(no_args_is_help=True, help="Look into a trained model.")

MOST = 10_000
"""Positions that are told one by one at most: no sentence is so long, and each takes memory."""

Model = Annotated[Path, typer.Argument(metavar="RUN", help="A run or a model directory.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.callback()
def about() -> None:
    """Look into a trained model."""


app.command()(gradients)


@app.command()
def exposure(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(metavar="PAIRS", help="Pairs, as in `data.valid`; else those.", show_default=False),
    ] = None,
    positions: Annotated[
        int, typer.Option(min=1, max=MOST, metavar="N", help="Target positions that are shown one by one.")
    ] = 20,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """How much worse the model expects the reference when it reads its own words, by target position.

    Forced: the loss of a reference word where the true words before it are
    read, as in training. Free: the same where the model reads its own best
    words, as in translating. The gap is what an early mistake costs the words
    after it; a right translation in other words costs, too, for there is one
    reference.
    """
    from nmt.lab.inspect.inspect_model import inspect_exposure

    found = inspect_exposure(model, data, positions=positions)
    if as_json:
        typer.echo(json.dumps([{**part._asdict(), "gap": part.gap} for part in found]))
    else:
        _show(found)
    if plot:
        _plot(plot, found)


@app.command()
def gates(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="Pairs or text, as in `data.valid`; else those.", show_default=False
        ),
    ] = None,
    positions: Annotated[
        int,
        typer.Option(min=1, max=MOST, metavar="N", help="Positions whose states are measured one by one."),
    ] = 20,
    as_json: AsJson = False,
    plot: Plot = None,
) -> None:
    """What every gate does over a corpus, and how long and for how long the states remember.

    For each cell of the model, by the names of its step: the mean, the share
    open (above 0.9) and closed (below 0.1) of what lies in [0, 1]. For each
    part of the state: its mean length, the share of itself that a unit keeps
    at a position (an LSTM's f for c, the GRU's z for h), the rest, which is
    updated, and the time scale in positions, -1/ln f for a constant f: of the
    unit in the middle, and of the one that nine tenths do not exceed. The true
    words are read, padding is not counted.
    """
    from nmt.cli import gates as shown
    from nmt.lab.inspect.inspect_model import inspect_gates

    found = inspect_gates(model, data, positions=positions)
    typer.echo(dumps([cell.as_dict() for cell in found]) if as_json else shown.table(found, positions))
    if plot:
        shown.draw_gates(plot, found, positions)


app.command()(sentence)


def _show(found: "list[Exposure]") -> None:
    from nmt.lab.inspect.exposure import overall

    typer.echo(f"{'position':>10}{'words':>10}{'forced':>10}{'free':>10}{'gap':>10}")
    for part in found:
        name = str(part.position) if part.last == part.position else f"{part.position}-{part.last}"
        typer.echo(_row(name, part))
    typer.echo(_row("all", overall(found)))


def _row(name: str, part: "Exposure") -> str:
    return f"{name:>10}{part.words:>10,}{part.forced:>10.3f}{part.free:>10.3f}{part.gap:>+10.3f}"


def _plot(file: Path, found: "list[Exposure]") -> None:
    from nmt.lab.figure import Curve, draw_curves

    alone = [part for part in found if part.last == part.position]
    x = [part.position for part in alone]
    forced, free, gap = ([getattr(part, name) for part in alone] for name in ("forced", "free", "gap"))
    losses = [Curve("forced", x, forced), Curve("free", x, free)]
    draw_curves(file, {"nats a word": losses, "gap": [Curve("gap", x, gap)]}, x="target position")
