"""`nmt run`: train a recipe and measure it on its test set: translations scored, or a text's perplexity."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nmt.cli.perplexity import OWN, perplexity
from nmt.cli.train import LogTo, Output, Words, resolved, train_to_the_end

if TYPE_CHECKING:
    from nmt.recipe.build.training import Tested
    from nmt.recipe.schema import Recipe, TextRecipe

SAMPLES = 5


def run(words: Words, output: Output = None, log_to: LogTo = None) -> None:
    """Train a recipe (or go on with it), translate its test set with the best checkpoint, and score that.

    The translations are in test.hyp, the scores in scores.json of the run directory. Of a language model the
    perplexity of the test text is printed, as by `nmt perplexity`.
    """
    from nmt.recipe.schema import Recipe

    recipe, directory = resolved(words, output)
    if isinstance(recipe, Recipe):
        _run_translator(recipe, directory, log_to)
    else:
        _run_language_model(recipe, directory, log_to)


def _run_language_model(recipe: "TextRecipe", directory: Path, log_to: str | None) -> None:
    from nmt.recipe.prepare_data import find

    [text] = find(recipe, "test").files
    if not train_to_the_end(recipe, directory, log_to):
        return
    perplexity(directory, text, OWN, recipe.seed)
    typer.echo(f"\nLet it write:  nmt sample {directory}")


def _run_translator(recipe: "Recipe", directory: Path, log_to: str | None) -> None:
    import json

    from nmt.files import write_file
    from nmt.recipe.build import training as experiment

    experiment.read_test(recipe)  # what is wrong with it is said before hours of training, not after
    if not train_to_the_end(recipe, directory, log_to):
        return
    tested = experiment.test(directory)
    scores = [score._asdict() for score in tested.scores]
    write_file(directory / "scores.json", (json.dumps(scores, indent=2) + "\n").encode())
    _show(tested)
    typer.echo(f"\nTranslate with it:  echo '...' | nmt translate {directory}")


def _show(tested: "Tested") -> None:
    """Some translations of the test set, and its scores."""
    count = min(SAMPLES, len(tested.hyps))
    typer.echo(f"\n{count} of {len(tested.hyps):,} test translations:\n")
    for place in (i * len(tested.hyps) // count for i in range(count)):
        typer.echo(f"  source       {tested.sources[place]}")
        typer.echo(f"  reference    {tested.refs[place]}")
        typer.echo(f"  translation  {tested.hyps[place]}\n")
    for score in tested.scores:
        typer.echo(f"{score.name:<6} {score.value:6.2f}   {score.signature}")
