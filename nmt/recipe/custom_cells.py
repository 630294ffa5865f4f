"""User-defined cells: their files are copied next to recipe.yaml of the runs that use them."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.errors import UsageError
from nmt.files import write_file
from nmt.recipe.schema import Recipe
from nmt.recurrence.layer import StackSettings


def custom_cell_files(recipe: Recipe) -> list[Path]:
    """The files of a recipe's user-defined cells, each once; UsageError if two have the same name."""
    found: dict[str, Path] = {}
    for cell in _cells(recipe):
        file, own, _ = cell.rpartition(":")
        if own and found.setdefault(Path(file).name, Path(file)) != Path(file):
            raise UsageError(
                f"{file} and {found[Path(file).name]} have the same name, and a run keeps both: rename one"
            )
    return list(found.values())


def relocate_cells(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its user-defined cells read from `folder`; with `Path()`, from next to the recipe."""

    def move(cell: str) -> str:
        file, own, name = cell.rpartition(":")
        return f"{folder / Path(file).name}:{name}" if own else cell

    sides: dict[str, Any] = {}
    for name, side in stack_settings(recipe).items():
        cell = move(side.cell) if isinstance(side.cell, str) else [move(one) for one in side.cell]
        sides[name] = replace(side, cell=cell)
    return replace(recipe, **sides)


def copy_cell_files(recipe: Recipe, run: Path, *, resumes: bool) -> None:
    """Copy the files into a run; UsageError if one differs from the file that the run started with."""
    for file in custom_cell_files(recipe):
        kept, content = run / file.name, file.read_bytes()
        if resumes and kept.is_file() and kept.read_bytes() != content:
            raise UsageError(
                f"{file} differs from the file that {run} started with ({kept}): a new cell needs a new run; "
                "choose another directory with --output"
            )
        if os.path.abspath(file) != os.path.abspath(kept):
            write_file(kept, content)


def _cells(recipe: Recipe) -> list[str]:
    return [cell for side in stack_settings(recipe).values() for cell in side.cells]


def stack_settings(recipe: Recipe) -> dict[str, StackSettings]:
    """The sections that describe stacks of cells, by name."""
    return {name: side for name, side in vars(recipe).items() if isinstance(side, StackSettings)}
