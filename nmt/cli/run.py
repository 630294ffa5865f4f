"""`nmt run`: train a recipe, translate its test set, score it."""

from typing import TYPE_CHECKING

import typer

from nmt.cli.train import Output, Tensorboard, Words, train_to_the_end

if TYPE_CHECKING:
    from nmt.recipe.experiment import Tested

SAMPLES = 5


def run(words: Words, output: Output = None, tensorboard: Tensorboard = False) -> None:
    """Train a recipe (or go on with it), translate its test set with the best checkpoint, and score that.

    The translations are in test.hyp, the scores in scores.json of the run directory.
    """
    import json

    from nmt.recipe import experiment

    directory = train_to_the_end(words, output, tensorboard, tested=True)
    tested = experiment.test(directory)
    scores = [score._asdict() for score in tested.scores]
    (directory / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
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
