"""`nmt sample`: a language model run on its own output."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="A language model's run or model directory.", show_default=False)]


def sample(
    model: Model,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="How the text begins.")] = "",
    length: Annotated[
        int, typer.Option("--length", "-l", min=1, help="Pieces drawn, a line's end counted as one.")
    ] = 200,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Texts, a blank line between them.")] = 1,
    temperature: Annotated[
        float, typer.Option(min=0.01, help="Below 1 the probable becomes more so; above 1 less.")
    ] = 1.0,
    top_k: Annotated[
        int, typer.Option(min=0, help="Draw from so many best pieces; 1: the best, 0: all.")
    ] = 0,
    top_p: Annotated[
        float, typer.Option(max=1.0, help="Draw from the fewest best pieces that have this probability.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another text.")] = 1,
) -> None:
    """Write text: every piece is drawn from what the language model expects, and is what it reads next."""
    from nmt.decoding.options import Options
    from nmt.recipe.artifact import load_language_model
    from nmt.recipe.tasks.language_model import sampled

    options = Options(sample=True, n_best=count, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    texts = sampled(load_language_model(model), options, length, prompt)
    typer.echo("\n\n".join("\n".join(lines) for lines in texts))
