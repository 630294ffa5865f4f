"""`nmt inspect`: examine trained models."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.inspect_sentence import sentence
from nmt.cli.options import (
    CountOption,
    Json,
    Model,
    Plot,
    Positions,
    RecipeOrRun,
    TrustCode,
    read_recipe_or_run,
)
from nmt.cli.paths import READ
from nmt.cli.progress import spinner
from nmt.cli.terminal import UNLIMITED, describe_unnamed_gates, format_table, to_json
from nmt.lab.figure import Curve, draw_curves

if TYPE_CHECKING:
    from nmt.lab.inspect.exposure import Exposure
    from nmt.lab.inspect.gradients import ClippingStatistics, GradientProfile
    from nmt.lab.inspect.inspect_model import ModelGradients
    from nmt.recurrence.recording import CellPath
    from nmt.training.gate_logging import CellStatistics, StateStatistics

SHOWN_LAGS = (1, 2, 5, 10, 20)
"""Lags that the table of gradients shows."""
SHOWN_POSITIONS = (1, 2, 3, 5, 10, 20, 50, 100)
"""Positions whose norms the tables of gates show."""
ARROWS = {"forward": "→", "backward": "←", "conditional": "cond."}

Data = Annotated[
    str | None,
    typer.Option(
        metavar="DATA", help="What to read, written as `data.valid`; by default the validation data."
    ),
]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look inside a trained model.")


@app.command()
def model(
    path: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A run, a model directory, an export or hf:USER/NAME."),
        READ,
    ],
    json: Json = False,
) -> None:
    """Describe a model: its kind, weights, sizes, search and estimate of quality.

    What `nmt tune` chose is shown with its scores on the validation pairs.
    """
    from nmt.lab.inspect.description import describe_model

    facts = describe_model(path)
    typer.echo(to_json(facts, indent=2) if json else format_table(facts.items(), align="ll", widths=(12,)))


@app.command()
def gradients(
    words: RecipeOrRun,
    # the limit is longer than any sentence; every lag takes memory
    lags: Annotated[int, CountOption(max=1_000, help="Positions to look back.")] = 30,
    json: Json = False,
    plot: Plot = None,
    trust_code: TrustCode = False,
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
            systems = list(inspect_run_gradients(subject, lags=lags, plot=plot))
        else:
            systems = list(inspect_recipe_gradients(subject, lags=lags, plot=plot))
    typer.echo(
        to_json(list(map(_list_gradient_fields, systems))) if json else "\n".join(_format_report(systems))
    )
    if plot:
        panels: dict[str, list[Curve]] = {}
        for system in systems:
            for profile in system.profiles:
                logs = [math.log10(norm) if 0 < norm < math.inf else math.nan for norm in profile.norms]
                curve = Curve(f"{system.name}, {profile.path}", range(len(logs)), logs)
                panels.setdefault(f"log₁₀ of the norm, {_format_title(profile.cell)}", []).append(curve)
        draw_curves(plot, panels, x="lag")


def _list_gradient_fields(system: "ModelGradients") -> dict[str, Any]:
    names = ("path", "norms", "shares", "vanished", "exploded")
    reaches = [one.cell._asdict() | {name: getattr(one, name) for name in names} for one in system.profiles]
    clipping = {**system.clipping._asdict(), "factors": system.clipping.factors}
    return {"model": system.name, "reaches": reaches, "clipping": clipping}


def _format_report(systems: "list[ModelGradients]") -> Iterator[str]:
    header, widths = ("", "norm", *map(str, SHOWN_LAGS), ""), (23, *[6] * 6, 11)
    for system in systems:
        yield system.name
        yield format_table(
            map(_format_profile, system.profiles), header, widths=widths, indent=1, width=UNLIMITED
        )
        yield f" {_describe_clipping(system.clipping)}\n"
    yield "norm: at lag 0; then the share of it that arrives that many positions back."
    yield "Last column: the first lag at which the share is below or above a limit."


def _format_profile(profile: "GradientProfile") -> list[str]:
    """Return the norm, the shares, and the lag at which the gradient has vanished or exploded."""
    from nmt.lab.inspect.gradients import EXPLODED, VANISHED

    shares = [_format_number(profile.shares[lag]) if lag < len(profile.shares) else "" for lag in SHOWN_LAGS]
    end = "" if profile.vanished is None else f"< {VANISHED:g}: {profile.vanished}"
    if profile.exploded is not None:
        end = f"> {EXPLODED:g}: {profile.exploded}"
    return [f"{_format_title(profile.cell)} {profile.path}", _format_number(profile.norms[0]), *shares, end]


def _format_title(path: "CellPath") -> str:
    return f"{path.side} {path.layer} {ARROWS[path.direction]}"


def _format_number(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value < 1000 else f"{value:.0e}"


def _describe_clipping(clipping: "ClippingStatistics") -> str:
    low, high = min(clipping.norms), max(clipping.norms)
    norms = f"gradients of the weights, {len(clipping.norms)} batches: norm {low:.2g} to {high:.2g}"
    if clipping.limit is None:
        return f"{norms}, not clipped"
    cut = [factor for factor in clipping.factors if factor < 1]
    if not cut:
        return f"{norms}, none over {clipping.limit:g}"
    span = " to ".join(dict.fromkeys(f"{factor:.2g}" for factor in (min(cut), max(cut))))
    return f"{norms},\n {len(cut)} clipped to {clipping.limit:g}: every lag times {span}"


@app.command()
def exposure(
    model: Model,
    data: Data = None,
    positions: Positions = 20,
    json: Json = False,
    plot: Plot = None,
    trust_code: TrustCode = False,
) -> None:
    """Measure exposure bias: the extra loss per word when the model reads its own output.

    Forced: the loss of a reference word after the reference words before it,
    as in training. Free: its loss after the model's own best words, as in
    translation. The gap is what early mistakes cost later words. A correct
    translation in other words counts as a mistake, since there is only one
    reference.
    """
    from nmt.lab.inspect.inspect_model import inspect_exposure

    parts = inspect_exposure(model, data, positions=positions, plot=plot)
    fields = [{**part._asdict(), "gap": part.gap} for part in parts]
    typer.echo(to_json(fields) if json else _format_exposure(parts))
    if plot:
        single = [part for part in parts if part.last == part.position]
        x = [part.position for part in single]
        forced, free, gap = (
            Curve(name, x, [getattr(part, name) for part in single]) for name in ("forced", "free", "gap")
        )
        draw_curves(plot, {"nats per word": [forced, free], "gap": [gap]}, x="target position")


def _format_exposure(parts: "list[Exposure]") -> str:
    from nmt.lab.inspect.exposure import average_exposure

    names = [str(p.position) if p.last == p.position else f"{p.position}-{p.last}" for p in parts]
    rows = [
        [name, f"{part.words:,}", f"{part.forced:.3f}", f"{part.free:.3f}", f"{part.gap:+.3f}"]
        for name, part in zip([*names, "all"], [*parts, average_exposure(parts)], strict=True)
    ]
    header = ("position", "words", "forced", "free", "gap")
    return format_table(rows, header, align="rrrrr", widths=(10, 9, 9, 9, 9))


@app.command()
def gates(
    model: Model,
    data: Data = None,
    positions: Positions = 20,
    json: Json = False,
    plot: Plot = None,
    trust_code: TrustCode = False,
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

    cells = inspect_gates(model, data, positions=positions, plot=plot)
    typer.echo(to_json([cell.as_dict() for cell in cells]) if json else format_gate_tables(cells, positions))
    if plot:
        _draw_gates(plot, cells, positions)


def format_gate_tables(cells: "list[CellStatistics]", positions: int) -> str:
    """Format a block of tables for each cell."""
    return "\n\n".join("\n".join(_format_cell(cell, positions)) for cell in cells)


def _format_cell(cell: "CellStatistics", positions: int) -> Iterator[str]:
    yield f"{cell.path.title}: {cell.path.cell}, {cell.pieces:,} tokens"
    if cell.gates:
        rows = [
            [g.name, f"{g.mean:.3f}", _format_percent(g.open), _format_percent(g.closed)] for g in cell.gates
        ]
        yield _format_gate_table(["gate", "mean", "open", "closed"], rows)
    if cell.unnamed:
        yield format_table([[f"({describe_unnamed_gates(cell.unnamed)})"]], indent=2)
    header = ["state", "norm", "kept", "updated", "time scale", "longest"]
    yield _format_gate_table(header, list(map(_format_state, cell.state)))
    count = len(cell.state[0].norms)
    shown = [position for position in SHOWN_POSITIONS if position <= min(positions, count)]
    rest = [f"{positions + 1}-"] if count > positions else []
    rows = []
    for part in cell.state:
        norms = [part.norms[position - 1] for position in shown] + part.norms[positions:]
        rows.append([part.name, *(f"{norm:.2f}" for norm in norms)])
    yield _format_gate_table(["norm at", *map(str, shown), *rest], rows, width=6)


def _format_gate_table(header: list[str], rows: list[list[str]], width: int = 11) -> str:
    return format_table(rows, header, widths=(14, *[width] * 9), indent=2, width=UNLIMITED)


def _format_percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _format_state(part: "StateStatistics") -> list[str]:
    norm = f"{part.mean_norm:.2f}"
    if part.kept is None:
        return [part.name, norm, "-", "-", "-", "-"]
    kept = part.kept
    scales = ["infinite" if math.isinf(s) else f"{s:.2f}" for s in (kept.time_scale, kept.longest)]
    return [part.name, norm, f"{kept.mean:.3f}", f"{kept.updated:.3f}", *scales]


def _draw_gates(file: Path, cells: "list[CellStatistics]", positions: int) -> None:
    """Draw the means of each cell's gates on one axis, then the norms of all cells' states, by position."""
    gates, norms = dict[str, list[Curve]](), dict[str, list[Curve]]()
    for cell in cells:
        name = f"{cell.path.side} {cell.path.layer} {cell.path.direction}"
        x = range(1, min(positions, len(cell.state[0].norms)) + 1)
        if means := [Curve(one.name, x, one.means[: len(x)]) for one in cell.gates if one.open is not None]:
            gates[f"gates, {name}"] = means
        for part in cell.state:
            norms.setdefault(f"norm of {part.name}", []).append(Curve(name, x, part.norms[: len(x)]))
    draw_curves(file, gates | norms, x="position", shares=gates)


app.command()(sentence)
