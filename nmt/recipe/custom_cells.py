"""Cells of a user's own travel with the runs that use them: their files are kept beside recipe.yaml."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.errors import UsageError
from nmt.files import write_file
from nmt.recipe.schema import Recipe
from nmt.recurrence.layer import StackSettings


def files(recipe: Recipe) -> list[Path]:
    """The files of a recipe's own cells, each once; UsageError if two of them have one name."""
    found: dict[str, Path] = {}
    for cell in _cells(recipe):
        file, own, _ = cell.rpartition(":")
        if own and found.setdefault(Path(file).name, Path(file)) != Path(file):
            raise UsageError(
                f"{file} and {found[Path(file).name]} have the same name, and a run keeps both: rename one"
            )
    return list(found.values())


def moved(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its own cells read from `folder`; with `Path()`, from beside the recipe."""

    def move(cell: str) -> str:
        file, own, name = cell.rpartition(":")
        return f"{folder / Path(file).name}:{name}" if own else cell

    sides: dict[str, Any] = {}
    for name, side in stacks(recipe).items():
        cell = move(side.cell) if isinstance(side.cell, str) else [move(one) for one in side.cell]
        sides[name] = replace(side, cell=cell)
    return replace(recipe, **sides)


def keep(recipe: Recipe, run: Path, *, begun: bool) -> None:
    """Copy the files into a run; UsageError if one is not what the run was begun with."""
    for file in files(recipe):
        kept, content = run / file.name, file.read_bytes()
        if begun and kept.is_file() and kept.read_bytes() != content:
            raise UsageError(
                f"{file} differs from the file that {run} started with ({kept}): a new cell needs a new run; "
                "choose another directory with --output"
            )
        if os.path.abspath(file) != os.path.abspath(kept):
            write_file(kept, content)


def _cells(recipe: Recipe) -> list[str]:
    return [cell for side in stacks(recipe).values() for cell in side.cells]


def stacks(recipe: Recipe) -> dict[str, StackSettings]:
    """The sections that describe layers of cells, by name."""
    return {name: side for name, side in vars(recipe).items() if isinstance(side, StackSettings)}
