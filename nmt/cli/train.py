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
Tensorboard = Annotated[bool, typer.Option("--tensorboard", help="Write every number for tensorboard, too.")]


def train(words: Words, output: Output = None, tensorboard: Tensorboard = False) -> None:
    """Train what a recipe describes. The same command again goes on where a run has stopped.

    A run directory holds recipe.yaml (as resolved), the vocabularies, checkpoints (with links best and last),
    metrics.jsonl, train.log and the translations of each validation.
    """
    recipe, directory = resolved(words, output)
    if train_to_the_end(recipe, directory, tensorboard):
        typer.echo(directory)


def resolved(words: list[str], output: Path | None) -> tuple["AnyRecipe", Path]:
    """The recipe that the words of a command line make, and its run directory."""
    from nmt.recipe.reader import read_any, split

    names, overrides = split(words)
    recipe = read_any(names, overrides)
    if not names and not output:
        raise UsageError("name a recipe, after which the run directory is called, or give --output")
    return recipe, output or Path("runs") / Path(names[-1]).stem


def train_to_the_end(recipe: "AnyRecipe", directory: Path, tensorboard: bool) -> bool:
    """Train, and leave with the signal's exit code where one stopped the run; gives whether to go on.

    Of several processes that a launcher started only the first does.
    """
    from nmt.recipe.assemble import experiment
    from nmt.training.processes import place

    result = experiment.train(recipe, directory, with_tensorboard=tensorboard)
    if result.stop.exit_code:
        raise typer.Exit(result.stop.exit_code)
    return place().rank == 0
