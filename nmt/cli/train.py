"""`nmt train`: a run of a recipe, begun or gone on with."""

from pathlib import Path
from typing import Annotated

import typer

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
    directory = train_to_the_end(words, output, tensorboard)
    typer.echo(directory)


def train_to_the_end(
    words: list[str], output: Path | None, tensorboard: bool, *, tested: bool = False
) -> Path:
    """Train, and leave with the signal's exit code where one stopped the run; gives the run directory.

    With `tested`, a test set that cannot be read is found now, not after hours of training.
    """
    from nmt.recipe import experiment
    from nmt.recipe.reader import read_recipe, split

    names, overrides = split(words)
    recipe = read_recipe(names, overrides)
    if tested:
        experiment.read_test_set(recipe)
    directory = output or Path("runs") / Path(names[-1]).stem
    result = experiment.train(recipe, directory, with_tensorboard=tensorboard)
    if result.stop.exit_code:
        raise typer.Exit(result.stop.exit_code)
    return directory
