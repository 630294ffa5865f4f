"""`nmt inspect gradients`: how much gradient arrives k positions back."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import Json, Plot, RecipeOrRun, read_recipe_or_run
from nmt.cli.terminal import UNLIMITED, format_table, spinner, to_json

if TYPE_CHECKING:
    from nmt.lab.inspect.gradients import ClippingStatistics, GradientProfile
    from nmt.lab.inspect.inspect_model import ModelGradients
    from nmt.recurrence.recording import CellPath

SHOWN = (1, 2, 5, 10, 20)
"""Lags that the table shows."""
ARROWS = {"forward": "→", "backward": "←", "conditional": "cond."}


def gradients(
    words: RecipeOrRun,
    # longer than any sentence; every lag takes memory
    lags: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="Positions to look back.")] = 30,
    json: Json = False,
    plot: Plot = None,
) -> None:
    """Measure how much of a loss's gradient arrives k positions earlier, cell by cell.

    In the decoder: d loss_t / d h_(t-k). In the encoder: the gradient of a
    sentence's loss, k positions before the last one that the direction reads.

    `c` is an LSTM's cell state. `c alone` is the gradient through c when no step
    reads h, `h alone` the gradient through h when no step reads c.

    For a recipe, its model is measured before training, with its cells and with
    rnn, lstm and gru instead; for a run, after training as well.
    """
    from nmt.lab.inspect.inspect_model import inspect_recipe_gradients, inspect_run_gradients

    subject = read_recipe_or_run(words)
    with spinner("measuring"):
        if isinstance(subject, Path):
            systems = list(inspect_run_gradients(subject, lags=lags))
        else:
            systems = list(inspect_recipe_gradients(subject, lags=lags))
    typer.echo(to_json(list(map(_fields, systems))) if json else "\n".join(_report(systems)))
    if plot:
        _draw(plot, systems)


def _fields(system: "ModelGradients") -> dict[str, Any]:
    reaches = [
        {
            **profile.cell._asdict(),
            "path": profile.path,
            "norms": profile.norms,
            "shares": profile.shares,
            "vanished": profile.vanished,
            "exploded": profile.exploded,
        }
        for profile in system.profiles
    ]
    clipping = {**system.clipping._asdict(), "factors": system.clipping.factors}
    return {"model": system.name, "reaches": reaches, "clipping": clipping}


def _report(systems: "list[ModelGradients]") -> Iterator[str]:
    header = ("", "norm", *map(str, SHOWN), "")
    for system in systems:
        yield system.name
        yield format_table(
            map(_row, system.profiles), header, widths=(22, *[6] * 6, 11), indent=1, width=UNLIMITED
        )
        yield f" {_clipped(system.clipping)}\n"
    yield "norm: at lag 0; then the share of it that arrives that many positions back."
    yield "Last column: the first lag at which the share is below or above a limit."


def _row(profile: "GradientProfile") -> list[str]:
    shares = [_number(profile.shares[lag]) if lag < len(profile.shares) else "" for lag in SHOWN]
    return [f"{_name(profile.cell)} {profile.path}", _number(profile.norms[0]), *shares, _verdict(profile)]


def _name(path: "CellPath") -> str:
    return f"{path.side} {path.layer} {ARROWS[path.direction]}"


def _number(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value < 1000 else f"{value:.0e}"


def _verdict(profile: "GradientProfile") -> str:
    """Return the lag at which the gradient has vanished or exploded."""
    from nmt.lab.inspect.gradients import EXPLODED, VANISHED

    if profile.exploded is not None:
        return f"> {EXPLODED:g}: {profile.exploded}"
    return "" if profile.vanished is None else f"< {VANISHED:g}: {profile.vanished}"


def _clipped(clipping: "ClippingStatistics") -> str:
    low, high = min(clipping.norms), max(clipping.norms)
    norms = f"gradients of the weights, {len(clipping.norms)} batches: norm {low:.2g} to {high:.2g}"
    if clipping.limit is None:
        return f"{norms}, not clipped"
    cut = [factor for factor in clipping.factors if factor < 1]
    if not cut:
        return f"{norms}, none over {clipping.limit:g}"
    span = " to ".join(dict.fromkeys(f"{factor:.2g}" for factor in (min(cut), max(cut))))
    return f"{norms},\n {len(cut)} clipped to {clipping.limit:g}: every lag times {span}"


def _draw(file: Path, systems: "list[ModelGradients]") -> None:
    """Draw a panel for each cell, with a line for each model and path."""
    from nmt.lab.figure import Curve, draw_curves

    panels: dict[str, list[Curve]] = {}
    for system in systems:
        for profile in system.profiles:
            logs = [math.log10(norm) if 0 < norm < math.inf else math.nan for norm in profile.norms]
            line = Curve(f"{system.name}, {profile.path}", range(len(logs)), logs)
            panels.setdefault(f"log₁₀ of the norm, {_name(profile.cell)}", []).append(line)
    draw_curves(file, panels, x="lag")
