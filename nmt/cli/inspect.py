"""`nmt inspect`: what a trained model does inside."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.inspect_gates import gates
from nmt.cli.inspect_gradients import gradients
from nmt.cli.inspect_sentence import sentence
from nmt.cli.options import Json, Model, Plot, Positions
from nmt.cli.terminal import format_table, to_json

if TYPE_CHECKING:
    from nmt.lab.inspect.exposure import Exposure

app = typer.Typer(no_args_is_help=True, help="Look inside a trained model.")
app.command()(gradients)


@app.command()
def exposure(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PAIRS",
            help="Sentence pairs, written as for `data.valid`; by default the validation pairs.",
        ),
    ] = None,
    positions: Positions = 20,
    json: Json = False,
    plot: Plot = None,
) -> None:
    """Measure exposure bias: the extra loss per word when the model reads its own output.

    Forced: the loss of a reference word after the reference words before it,
    as in training. Free: its loss after the model's own best words, as in
    translation. The gap is what early mistakes cost later words. A correct
    translation in other words counts as a mistake, since there is only one
    reference.
    """
    from nmt.lab.inspect.inspect_model import inspect_exposure

    found = inspect_exposure(model, data, positions=positions)
    typer.echo(to_json([{**part._asdict(), "gap": part.gap} for part in found]) if json else _table(found))
    if plot:
        _draw(plot, found)


app.command()(gates)
app.command()(sentence)


def _table(found: "list[Exposure]") -> str:
    from nmt.lab.inspect.exposure import overall

    names = [str(p.position) if p.last == p.position else f"{p.position}-{p.last}" for p in found]
    rows = [
        [name, f"{part.words:,}", f"{part.forced:.3f}", f"{part.free:.3f}", f"{part.gap:+.3f}"]
        for name, part in zip([*names, "all"], [*found, overall(found)], strict=True)
    ]
    header = ("position", "words", "forced", "free", "gap")
    return format_table(rows, header, align="rrrrr", widths=(10, 9, 9, 9, 9))


def _draw(file: Path, found: "list[Exposure]") -> None:
    from nmt.lab.figure import Curve, draw_curves

    alone = [part for part in found if part.last == part.position]
    x = [part.position for part in alone]
    forced, free, gap = ([getattr(part, name) for part in alone] for name in ("forced", "free", "gap"))
    losses = [Curve("forced", x, forced), Curve("free", x, free)]
    draw_curves(file, {"nats per word": losses, "gap": [Curve("gap", x, gap)]}, x="target position")
