"""`nmt perplexity`: a language model on a text, and on its own."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.sample import Model

OWN = 20_000

if TYPE_CHECKING:
    from nmt.recipe.tasks.language_model import Perplexity


def perplexity(
    model: Model,
    file: Annotated[Path, typer.Argument(help="Text, plain or compressed.", show_default=False)],
    length: Annotated[
        int, typer.Option("--length", "-l", min=1, help="Most pieces of its own text that are measured.")
    ] = OWN,
    seed: Annotated[int, typer.Option(min=0, help="Of its own text.")] = 1,
) -> None:
    """How well a language model expects a text, reading the truth, and its own text, reading that.

    The first is exp of the mean of -log p(piece | the true pieces before), the end of each line counted as a
    piece. The second is the same of as much text drawn from the model, each piece given the drawn ones before
    it: how sure it is when it runs freely. A model of the very distribution of the text has the same in both;
    one that is surer of its own text than it is right about the true one has less in the second.
    """
    from nmt.recipe.artifact import load_language_model
    from nmt.recipe.tasks.language_model import perplexity

    show(perplexity(load_language_model(model), file, most=length, seed=seed))


def show(found: "Perplexity") -> None:
    """Print what was measured."""
    text, own = found.text, found.own
    typer.echo(found.kept)
    typer.echo(
        f"on the text      {text.means()['perplexity']:.3f} per piece ({text.tokens:,} pieces), "
        f"{text.nll / found.characters / math.log(2):.3f} bits per character ({found.characters:,})"
    )
    typer.echo(f"on its own text  {own.means()['perplexity']:.3f} per piece ({own.tokens:,} pieces)")
    typer.echo(f"the gap          {text.means()['loss'] - own.means()['loss']:+.3f} nats per piece")
    if found.unknown:
        typer.echo(f"{found.unknown:,} pieces are <unk>: do not compare with a model that has all characters")
