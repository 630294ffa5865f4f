"""`nmt tune`: choose the search of a translator, and calibrate the quality of its lines."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nmt.cli.options import CountOption, Json, Model, NumberOption, Plot, Threads, TrustCode, parse_numbers
from nmt.cli.progress import spinner
from nmt.cli.terminal import UNLIMITED, echo_note, format_table, to_json
from nmt.evaluation.metrics import METRICS, find_metric
from nmt.lab.figure import Curve, draw_curves

if TYPE_CHECKING:
    from nmt.evaluation.quality import QualityEvidence
    from nmt.lab.tune.search_grid import GridPoint
    from nmt.lab.tune.tune_model import TuningResult


def tune(
    model: Model,
    write: Annotated[bool, typer.Option("--write", help="Write the choice into the model.")] = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PAIRS",
            help="Sentence pairs, written as for `data.valid`; by default the validation pairs.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"{', '.join(METRICS)}; by default that of validation."),
    ] = None,
    beams: Annotated[
        str | None, typer.Option(metavar="N,...", help="Beam sizes; by default 1,2,3,5,8.")
    ] = None,
    length_penalties: Annotated[
        str | None, typer.Option(metavar="X,...", help="GNMT's alpha; by default 0 to 1.5 in steps of 0.25.")
    ] = None,
    lines: Annotated[int, CountOption(help="Pairs at most, spread evenly.")] = 2000,
    good: Annotated[
        float, NumberOption(min=0.0, max=100.0, help="chrF from which on a line is good, for its quality.")
    ] = 50.0,
    json: Json = False,
    plot: Plot = None,
    threads: Threads = 1,
    trust_code: TrustCode = False,
) -> None:
    """Choose beam size and length penalty on validation pairs, and calibrate the quality of lines.

    The simplest setting is chosen: the smallest beam with a score within the noise
    of the best one (a standard error of their difference, paired bootstrap). For
    lines translated so, the probability of being good is fitted, which
    `nmt translate --quality` prints. --write keeps both with the model, for all
    later commands. --plot draws the reliability of the quality. Test sets are not
    read.
    """
    import torch

    from nmt.lab.tune.tune_model import TuningRequest, tune_model, write_tuning

    if metric is not None:
        find_metric(metric)
    grid = read_grid(beams, length_penalties)
    request = TuningRequest(data=data, metric=metric, lines=lines, threshold=good)._replace(**grid)
    torch.set_num_threads(threads)
    with spinner("tuning") as report:
        result = tune_model(model, request, report)
    typer.echo(to_json(list_facts(result), indent=2) if json else format_result(result))
    if result.problem:
        echo_note(result.problem)
    if plot:
        _plot_quality(plot, result)
    if write:
        echo_note(f"written to {write_tuning(model, result.tuning)}")


def read_grid(beams: str | None, length_penalties: str | None) -> dict[str, Any]:
    """Return the fields of a request that the options give."""
    from nmt.decoding.options import STRONGEST, WIDEST

    grid: dict[str, Any] = {}
    if beams is not None:
        expected = f"whole numbers from 1 to {WIDEST:,}, such as 1,3,5"
        sizes = parse_numbers("--beams", beams, expected, lambda size: size in range(1, WIDEST + 1))
        grid["beams"] = list(map(int, sizes))
    if length_penalties is not None:
        expected = f"numbers from 0 to {STRONGEST:g}, such as 0,0.5,1"
        grid["penalties"] = parse_numbers(
            "--length-penalties", length_penalties, expected, lambda alpha: 0 <= alpha <= STRONGEST
        )
    return grid


def format_result(result: "TuningResult") -> str:
    """Format the scores of all settings, and what was chosen."""
    tuning, points = result.tuning, result.points
    chosen = tuning.search.chosen
    rows = [
        _format_row(point, is_chosen=point[:2] == (chosen.beam, chosen.length_penalty)) for point in points
    ]
    header = ("beam", "length penalty", points[0].score.name, "±", "behind", "±", "ms/line", "")
    table = format_table(rows, header, align="rrrrrrrl", width=UNLIMITED)
    return "\n".join([table, f"\n{points[0].score.signature}", *tuning.describe()])


def _format_row(point: "GridPoint", *, is_chosen: bool) -> Sequence[str]:
    mark = "chosen" if is_chosen else "within noise" if point.is_good else ""
    values = (point.score.value, point.noise, point.behind, point.behind_noise)
    numbers = [f"{value:.2f}" for value in values]
    return [str(point.beam), f"{point.length_penalty:g}", *numbers, f"{point.milliseconds:.1f}", mark]


def list_facts(result: "TuningResult") -> dict[str, Any]:
    """Return the result as JSON values."""
    points = [point._asdict() | {"is_good": point.is_good} for point in result.points]
    return {"settings": points, "tuning": asdict(result.tuning), "problem": result.problem}


def _plot_quality(file: Path, result: "TuningResult") -> None:
    if result.tuning.quality is None:
        echo_note(f"{file} was not written: the quality of lines is not calibrated")
    else:
        draw_reliability(file, result.tuning.quality.evidence)


def draw_reliability(file: Path, evidence: "QualityEvidence") -> None:
    """Draw the share of good lines, and the number of lines, over the estimated quality."""
    x = [one.quality for one in evidence.bins]
    panels = {
        "share of good lines": [
            Curve("validation", x, [one.good for one in evidence.bins]),
            Curve("exact", [0.0, 1.0], [0.0, 1.0]),
        ],
        "lines": [Curve("validation", x, [one.lines for one in evidence.bins])],
    }
    draw_curves(file, panels, x="quality")
