"""`nmt plot`: learning curves of one run or several, in one figure."""

from pathlib import Path
from typing import Annotated

import typer


def plot(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture: .svg, .png or .pdf.")] = Path(
        "curves.svg"
    ),
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", help="What to draw, a panel each; repeat it. Else loss, bleu, learning_rate."
        ),
    ] = None,
    against: Annotated[
        str, typer.Option(metavar="update|epoch|seconds", help="The horizontal axis.")
    ] = "update",
) -> None:
    """Draw the curves of runs, several runs in one figure.

    Every number of metrics.jsonl can be drawn. Seconds are those spent learning,
    from times.jsonl. Needs matplotlib, which the extra `plot` brings.
    """
    from nmt.lab.curves import read_curves
    from nmt.lab.figure import check_picture, draw_curves

    check_picture(output)
    draw_curves(output, read_curves(runs, metric or [], against), x=against)
    typer.echo(output)
