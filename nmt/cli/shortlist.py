"""`nmt shortlist`: learn likely target tokens, for faster translation."""

from typing import Annotated

import typer

from nmt.cli.options import CountOption, RunDirectory


def shortlist(
    run: RunDirectory,
    best: Annotated[int, CountOption(help="Translations kept per source token.")] = 200,
    frequent: Annotated[
        int, CountOption(min=0, help="Most frequent target tokens to allow in every sentence.")
    ] = 100,
) -> None:
    """Learn the likely translations of each token, for `nmt translate --shortlist`.

    They are estimated from the run's training pairs with IBM Model 1, and
    written to the run directory.
    """
    from nmt.recipe.artifact import write_shortlist

    file, measured = write_shortlist(run, best=best, frequent=frequent)
    typer.echo(
        f"{file}: {file.stat().st_size:,} bytes; {measured.tokens:,.0f} tokens per validation sentence, "
        f"with {measured.covered:.2%} of the reference tokens among them"
    )
