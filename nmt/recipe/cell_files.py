"""The files of a recipe's user-defined cells, which a run keeps a copy of."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.errors import UsageError
from nmt.files import write_file
from nmt.recipe.schema import Recipe
from nmt.recurrence.layer import StackSettings
from nmt.trust import CODE_BYTES
from nmt.untrusted_files import read_bytes


def find_cell_files(recipe: Recipe) -> list[Path]:
    """Return the files of a recipe's user-defined cells, each once; UsageError if two have the same name."""
    found: dict[str, Path] = {}
    for cell in _cells(recipe):
        file, colon, _ = cell.rpartition(":")
        if colon and found.setdefault(Path(file).name, Path(file)) != Path(file):
            raise UsageError(
                f"{file} and {found[Path(file).name]} have the same name, and a run keeps both: rename one"
            )
    return list(found.values())


def relocate_cells(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with its cell files in `folder`; with `Path()`, next to the recipe."""

    def move(cell: str) -> str:
        file, colon, name = cell.rpartition(":")
        return f"{folder / Path(file).name}:{name}" if colon else cell

    sides: dict[str, Any] = {}
    for name, side in find_stack_settings(recipe).items():
        cell = move(side.cell) if isinstance(side.cell, str) else [move(one) for one in side.cell]
        sides[name] = replace(side, cell=cell)
    return replace(recipe, **sides)


def copy_cell_files(recipe: Recipe, run: Path, *, resumes: bool) -> None:
    """Copy the files into a run; UsageError if one differs from the file that the run started with."""
    for file in find_cell_files(recipe):
        kept, content = run / file.name, read_bytes(file, CODE_BYTES, inside=False)
        if resumes and os.path.lexists(kept) and read_bytes(kept, CODE_BYTES) != content:
            raise UsageError(
                f"{file} differs from the file that {run} started with ({kept}): a new cell needs a new run; "
                "choose another directory with --output"
            )
        if os.path.abspath(file) != os.path.abspath(kept):
            write_file(kept, content)


def _cells(recipe: Recipe) -> list[str]:
    return [cell for side in find_stack_settings(recipe).values() for cell in side.cells]


def find_stack_settings(recipe: Recipe) -> dict[str, StackSettings]:
    """Return the sections that describe stacks of cells, by name."""
    return {name: side for name, side in vars(recipe).items() if isinstance(side, StackSettings)}
