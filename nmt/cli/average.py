"""`nmt average`: average checkpoints into a model directory."""

from typing import Annotated

import typer

from nmt.cli.options import Output, RunDirectory


def average(
    run: RunDirectory,
    output: Output,
    checkpoints: Annotated[
        list[str] | None,
        typer.Option(
            *("--checkpoint", "-c"),
            metavar="NAME",
            help="Checkpoint such as u0001000; repeat for more. By default all.",
        ),
    ] = None,
) -> None:
    """Average the weights of checkpoints into a model directory.

    `nmt translate` and the other verbs read a model directory like a run. It
    holds the weights, the recipe and the vocabularies, so it can be shared.
    """
    from nmt.recipe.artifact import average_checkpoints

    names = average_checkpoints(run, checkpoints or [], output)
    typer.echo(f"{output}: the mean of {', '.join(names)}")
