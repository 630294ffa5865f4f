"""`nmt train`: a run of a recipe, begun or gone on with."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.recipe.schema import AnyRecipe

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE... [KEY=VALUE...]", help="Recipes (later ones win) and settings.", show_default=False
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The run directory; without it, runs/RECIPE.")
]
LogTo = Annotated[
    str | None,
    typer.Option("--log-to", metavar="tensorboard|trackio|wandb", help="Write every number there, too."),
]


def train(words: Words, output: Output = None, log_to: LogTo = None) -> None:
    """Train what a recipe describes. The same command again goes on where a run has stopped.

    A run directory holds recipe.yaml (as resolved), the vocabularies, checkpoints (with links best and last),
    metrics.jsonl, times.jsonl, train.log and the translations of each validation.
    """
    recipe, directory = resolved(words, output)
    train_to_the_end(recipe, directory, log_to)
    typer.echo(directory)


def resolved(words: list[str], output: Path | None) -> tuple["AnyRecipe", Path]:
    """The recipe that the words of a command line make, and its run directory."""
    from nmt.recipe.reader import read_any, split

    names, overrides = split(words)
    recipe = read_any(names, overrides)
    if not names and not output:
        raise UsageError("name a recipe, after which the run directory is called, or give --output")
    return recipe, output or Path("runs") / Path(names[-1]).stem


def train_to_the_end(recipe: "AnyRecipe", directory: Path, log_to: str | None) -> None:
    """Train, and leave with the signal's exit code where one stopped the run."""
    from nmt.recipe.assemble import experiment

    result = experiment.train(recipe, directory, log_to=log_to)
    if result.stop.exit_code:
        raise typer.Exit(result.stop.exit_code)
