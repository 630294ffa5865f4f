"""`nmt average`: the mean of several checkpoints, as a model directory."""

from pathlib import Path
from typing import Annotated

import typer


def average(
    run: Annotated[Path, typer.Argument(help="A run directory.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model directory to make.", show_default=False)
    ],
    checkpoints: Annotated[
        list[str] | None,
        typer.Option("--checkpoint", "-c", help="One to average (u0001000); without it, all that are kept."),
    ] = None,
) -> None:
    """Average checkpoints into a model directory that can be passed on and translated with."""
    from nmt.recipe.artifact import average_checkpoints

    names = average_checkpoints(run, checkpoints or [], output)
    typer.echo(f"{output}: the mean of {', '.join(names)}")
