"""`nmt shortlist`: the target pieces that each source piece allows, for faster translation."""

from pathlib import Path
from typing import Annotated

import typer


def shortlist(
    run: Annotated[Path, typer.Argument(help="A run directory.", show_default=False)],
    best: Annotated[int, typer.Option(min=1, help="Likely translations kept of each source piece.")] = 200,
    frequent: Annotated[
        int, typer.Option(min=0, help="Most frequent target pieces, allowed in every sentence.")
    ] = 100,
) -> None:
    """Learn what source pieces are translated by, for `nmt translate --shortlist`.

    From the run's training pairs, by IBM Model 1; the file lies in the run.
    """
    from nmt.recipe.artifact import write_shortlist

    file, measured = write_shortlist(run, best=best, frequent=frequent)
    typer.echo(
        f"{file}: {file.stat().st_size:,} bytes; of the validation pairs, {measured.pieces:,.0f} pieces on "
        f"the list of a sentence, {measured.covered:.2%} of the references' pieces among them"
    )
