"""`nmt inspect gradients`: how far back what a loss says is heard."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.subject import Words, subject
from nmt.cli.terminal import Plot, dumps

if TYPE_CHECKING:
    from rich.status import Status

    from nmt.lab.inspect.gradients import ClippingStatistics, GradientProfile
    from nmt.lab.inspect.inspect_model import ModelGradients
    from nmt.recurrence.recording import CellPath

SHOWN = (1, 2, 5, 10, 20)
"""Lags of the table."""
MOST = 1_000
"""Lags at most: no sentence is so long, and each takes memory."""
ARROWS = {"forward": "→", "backward": "←", "conditional": "cond."}


def gradients(
    words: Words,
    lags: Annotated[int, typer.Option(min=1, max=MOST, metavar="N", help="Positions to look back.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    plot: Plot = None,
) -> None:
    """How much of a loss's gradient arrives k positions before it, cell by cell.

    In the decoder: d loss_t / d h_(t-k). In the encoder: the gradient of a
    sentence's loss, k positions before the last that the direction reads. `c`
    is the memory; `c alone` is what comes where no step reads h back, `h alone`
    the other way round. Of a recipe: its model before training, with its own
    cells and with rnn, lstm, gru in their place. Of a run: after training, too.
    """
    from nmt.lab.inspect.inspect_model import inspect_recipe_gradients, inspect_run_gradients

    examined = subject(words)
    with _waiting("measuring"):
        if isinstance(examined, Path):
            found = list(inspect_run_gradients(examined, lags=lags))
        else:
            found = list(inspect_recipe_gradients(examined, lags=lags))
    if as_json:
        typer.echo(dumps([_as_json(system) for system in found]))
    else:
        _show(found)
    if plot:
        _plot(plot, found)


def _waiting(what: str) -> "Status":
    """A sign of life, on a terminal only."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def _as_json(system: "ModelGradients") -> dict[str, Any]:
    clipping = {**system.clipping._asdict(), "factors": system.clipping.factors}
    return {
        "model": system.name,
        "reaches": [_reach_as_json(r) for r in system.profiles],
        "clipping": clipping,
    }


def _reach_as_json(reach: "GradientProfile") -> dict[str, Any]:
    return {
        **reach.cell._asdict(),
        "path": reach.path,
        "norms": reach.norms,
        "shares": reach.shares,
        "vanished": reach.vanished,
        "exploded": reach.exploded,
    }


def _show(found: "list[ModelGradients]") -> None:
    lags = "".join(f"{lag:>7}" for lag in SHOWN)
    for system in found:
        typer.echo(f"{system.name}\n{'':24}{'norm':>7}{lags}")
        for reach in system.profiles:
            typer.echo(_row(reach).rstrip())
        typer.echo(f" {_clipped(system.clipping)}\n")
    typer.echo("norm: at lag 0; then the share of it that arrives so many positions before.")
    typer.echo("At the right: the first lag at which the share is below or above a limit.")


def _row(reach: "GradientProfile") -> str:
    shares = "".join(_number(reach.shares[lag]) if lag < len(reach.shares) else f"{'':7}" for lag in SHOWN)
    name = f" {_name(reach.cell)} {reach.path}"
    return f"{name:<24}{_number(reach.norms[0])}{shares}{_verdict(reach):>12}"


def _name(place: "CellPath") -> str:
    return f"{place.side} {place.layer} {ARROWS[place.direction]}"


def _number(value: float) -> str:
    return f"{value:>7.2f}" if 0.01 <= value < 1000 else f"{value:>7.0e}"


def _verdict(reach: "GradientProfile") -> str:
    """Where it is lost, or too much."""
    from nmt.lab.inspect.gradients import EXPLODED, VANISHED

    if reach.exploded is not None:
        return f"> {EXPLODED:g}: {reach.exploded}"
    return "" if reach.vanished is None else f"< {VANISHED:g}: {reach.vanished}"


def _clipped(clipping: "ClippingStatistics") -> str:
    low, high = min(clipping.norms), max(clipping.norms)
    said = f"gradients of the weights, {len(clipping.norms)} batches: norm {low:.2g} to {high:.2g}"
    if clipping.limit is None:
        return f"{said}, not clipped"
    cut = [factor for factor in clipping.factors if factor < 1]
    if not cut:
        return f"{said}, none over {clipping.limit:g}"
    span = " to ".join(dict.fromkeys(f"{factor:.2g}" for factor in (min(cut), max(cut))))
    return f"{said},\n {len(cut)} clipped to {clipping.limit:g}: every lag times {span}"


def _plot(file: Path, found: "list[ModelGradients]") -> None:
    """A panel for each place, a line for each model and path."""
    from nmt.lab.figure import Curve, draw_curves

    panels: dict[str, list[Curve]] = {}
    for system in found:
        for reach in system.profiles:
            logs = [math.log10(norm) if 0 < norm < math.inf else math.nan for norm in reach.norms]
            line = Curve(f"{system.name}, {reach.path}", range(len(logs)), logs)
            panels.setdefault(f"log₁₀ of the norm, {_name(reach.cell)}", []).append(line)
    draw_curves(file, panels, x="lag")
