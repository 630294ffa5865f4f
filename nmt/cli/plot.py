"""`nmt plot`: draw the learning curves of runs."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import FileOption
from nmt.cli.paths import READ, WRITTEN_FILE
from nmt.lab.curves import read_curves
from nmt.lab.figure import check_picture, draw_curves


def plot(
    runs: Annotated[list[Path], typer.Argument(help="Run directories."), READ],
    output: Annotated[
        Path, FileOption("--output", "-o", help="Figure to write: .svg, .png or .pdf."), WRITTEN_FILE
    ] = Path("curves.svg"),
    metric: Annotated[
        list[str] | None,
        typer.Option(
            *("--metric", "-m"),
            metavar="NAME",
            help="What to draw; repeat for more. By default loss, bleu and learning_rate.",
        ),
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="update|epoch|seconds", help="The horizontal axis.")
    ] = "update",
) -> None:
    """Draw the learning curves of one or more runs.

    Every number in metrics.jsonl can be drawn. Seconds are training time, from
    times.jsonl. Needs matplotlib, which the extra `plot` installs.
    """
    check_picture(output)
    draw_curves(output, read_curves(runs, metric or [], against), x=against)
    typer.echo(output)
