"""`nmt perplexity`: measure the perplexity of a language model."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import CountOption, LanguageModel, TrustCode
from nmt.cli.terminal import format_table

if TYPE_CHECKING:
    from nmt.recipe.tasks.language_model import Perplexity

GENERATED = 20_000


def perplexity(
    model: LanguageModel,
    file: Annotated[Path, typer.Argument(help="Text, plain or compressed.")],
    length: Annotated[int, CountOption("--length", "-l", help="Tokens to generate, at most.")] = GENERATED,
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

    typer.echo(_report(measure_perplexity(load_language_model(model), file, max_tokens=length, seed=seed)))


def _report(result: "Perplexity") -> str:
    text, generated = result.text, result.sampled
    bits = text.nll / result.characters / math.log(2)
    per_text = f"{text.means()['perplexity']:.3f} per token ({text.tokens:,} tokens)"
    rows = [
        ["on the text", f"{per_text}, {bits:.3f} bits per character ({result.characters:,})"],
        ["on its output", f"{generated.means()['perplexity']:.3f} per token ({generated.tokens:,} tokens)"],
        ["gap", f"{text.means()['loss'] - generated.means()['loss']:+.3f} nats per token"],
    ]
    lines = [str(result.kept), format_table(rows, align="ll", widths=(16,), width=100)]
    if result.unknown:
        lines.append(
            f"{result.unknown:,} tokens are <unk>: not comparable with a model that knows all characters"
        )
    return "\n".join(lines)
