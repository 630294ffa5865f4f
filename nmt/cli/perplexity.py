"""`nmt perplexity`: measure the perplexity of a language model."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import CountOption, LanguageModel, TrustCode
from nmt.cli.paths import READ
from nmt.cli.run import format_report
from nmt.decoding import SAMPLED_TOKENS


def perplexity(
    model: LanguageModel,
    file: Annotated[Path, typer.Argument(help="Text, plain or compressed."), READ],
    length: Annotated[
        int, CountOption("--length", "-l", help="Tokens to generate, at most.")
    ] = SAMPLED_TOKENS,
    seed: Annotated[int, CountOption(min=0, help="Random seed of the generated text.")] = 1,
    trust_code: TrustCode = False,
) -> None:
    """Measure a language model's perplexity on a text, and on text that it generates.

    The first is exp of the mean of -log p(token | the true tokens before it);
    the end of each line counts as a token. The second is the same over as much
    text sampled from the model, each token given the sampled ones before it.

    A model of the exact distribution of the text has the same perplexity on
    both. A model that is more confident of its output than it is right about the
    text has a lower one on its output.
    """
    from nmt.recipe.tasks.language_model import load_language_model, measure_perplexity

    loaded = load_language_model(model)
    typer.echo(format_report(measure_perplexity(loaded, file, max_tokens=length, seed=seed).report()))
