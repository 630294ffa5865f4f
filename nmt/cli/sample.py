"""`nmt sample`: generate text with a language model."""

from typing import Annotated

import typer

from nmt.cli.options import CountOption, LanguageModel, NumberOption, TrustCode


def sample(
    model: LanguageModel,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="Beginning of the text.")] = "",
    length: Annotated[
        int, CountOption("--length", "-l", help="Tokens to sample; the end of a line is one.")
    ] = 200,
    count: Annotated[int, CountOption("--count", "-n", help="Texts, separated by blank lines.")] = 1,
    temperature: Annotated[float, NumberOption(min=0.01, help="Below 1 makes likely tokens likelier.")] = 1.0,
    top_k: Annotated[int, CountOption(min=0, help="Sample from the best tokens; 0: all.")] = 0,
    top_p: Annotated[float, NumberOption(max=1.0, help="Sample from this probability mass.")] = 1.0,
    seed: Annotated[int, CountOption(min=0, help="Random seed.")] = 1,
    trust_code: TrustCode = False,
) -> None:
    """Generate text with a language model by sampling one token after another."""
    from nmt.decoding.options import Options
    from nmt.recipe.tasks.language_model import load_language_model, sample_lines

    options = Options(sample=True, n_best=count, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    prompt = prompt.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    texts = sample_lines(load_language_model(model), options, length, prompt)
    typer.echo("\n\n".join("\n".join(lines) for lines in texts))
