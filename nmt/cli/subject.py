"""What a verb that examines looks at: a recipe with its settings, or a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UsageError

if TYPE_CHECKING:
    from nmt.recipe.schema import AnyRecipe

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE... [KEY=VALUE...]|RUN", help="Recipes and settings, or a run.", show_default=False
    ),
]


def subject(words: list[str]) -> "AnyRecipe | Path":
    """The recipe that the words of a command line make, or the run that they name."""
    from nmt.recipe.reader import read_any, split

    names, overrides = split(words)
    runs = [Path(name) for name in names if Path(name).is_dir()]
    if runs and len(words) > 1:
        raise UsageError(f"{runs[0]} is a run, which has its own recipe and settings: name it alone")
    return runs[0] if runs else read_any(names, overrides)
