"""Arguments and options that several verbs share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.paths import READ, WRITTEN_DIRECTORY, WRITTEN_FILE
from nmt.errors import UsageError
from nmt.lab.figure import check_picture
from nmt.trust import allow_code

if TYPE_CHECKING:
    from nmt.recipe.schema import Recipe

CountOption = partial(typer.Option, metavar="N", min=1)
"""An option with a positive number, or with another `min`."""
NumberOption = partial(typer.Option, metavar="X")
FileOption = partial(typer.Option, metavar="FILE")

Model = Annotated[Path, typer.Argument(help="A run, a model directory or hf:USER/NAME."), READ]
LanguageModel = Annotated[
    Path, typer.Argument(help="A run or a model directory of a language model, or hf:USER/NAME."), READ
]
RunDirectory = Annotated[Path, typer.Argument(help="A run directory."), READ]
RecipeWords = Annotated[
    list[str],
    typer.Argument(
        metavar="RECIPE... [KEY=VALUE...]",
        help="Recipe files, directories of `nmt new`, or names of `nmt recipes ls`, and settings that "
        "replace theirs, such as training.stop_after=5e (all: `nmt recipes reference`). Later ones take "
        "precedence.",
    ),
    READ,
]
RecipeOrRun = Annotated[
    list[str],
    typer.Argument(metavar="RECIPE... [KEY=VALUE...]|RUN", help="Recipes and settings, or a run directory."),
    READ,
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Directory to create."), WRITTEN_DIRECTORY
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
# The limit is longer than any sentence; every position takes memory.
Positions = Annotated[int, CountOption(max=10_000, help="Positions to report separately.")]


def _allow_code(context: typer.Context, allowed: bool) -> bool:
    """Trust the cell files that the command loads, until the command ends."""
    if allowed:
        context.with_resource(allow_code())
    return allowed


TrustCode = Annotated[
    bool,
    typer.Option("--trust-code", callback=_allow_code, help="Run the files of custom cells that are loaded."),
]
INT8_HELP = "8-bit weights: faster, and less exact (see the guide)."
Int8 = Annotated[bool, typer.Option("--int8", help=INT8_HELP)]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads.")]


def _check_plot(file: Path | None) -> Path | None:
    """Refuse a picture that could not be drawn before any work begins."""
    if file is not None:
        check_picture(file)
    return file


Plot = Annotated[
    Path | None, FileOption(help="Also draw a plot: .svg, .png or .pdf.", callback=_check_plot), WRITTEN_FILE
]


def parse_numbers(option: str, text: str, expected: str, is_valid: Callable[[float], bool]) -> list[float]:
    """Return the numbers of an option, separated by commas; UsageError if one is not valid."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(map(is_valid, numbers)):
        raise UsageError(f"{option}: expected {expected} (got '{text}')")
    return numbers


def read_recipe_or_run(words: list[str]) -> "Recipe | Path":
    """Return the recipe, or the run directory, that the arguments of a command line name."""
    from nmt.recipe.reader import is_project, read_any_recipe, split_arguments

    names, overrides = split_arguments(words)
    runs = [path for path in map(Path, names) if path.is_dir() and not is_project(path)]
    if runs and len(words) > 1:
        raise UsageError(
            f"{runs[0]} is a run, which has its own recipe and settings: remove the other arguments"
        )
    return runs[0] if runs else read_any_recipe(names, overrides)
