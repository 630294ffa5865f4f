"""The run directory: used by one process at a time, for one recipe and one set of data."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from nmt.data.pairs import find_file
from nmt.data.sources import list_files
from nmt.errors import DataError, UsageError
from nmt.files import expand_home, temporary_file, write_file
from nmt.operating_system import lock_descriptor
from nmt.outputs import check_output_directory
from nmt.recipe import reader
from nmt.recipe.automatic import fix_automatic_settings
from nmt.recipe.file_settings import copy_cell_files, relocate_cells
from nmt.recipe.origin import (
    check_changes,
    check_named,
    find_changes,
    find_changes_since_checkpoint,
    flatten_recipe,
)
from nmt.recipe.prepare_data import has_checkpoint, remove_vocabularies
from nmt.recipe.reader import RECIPE
from nmt.recipe.schema import FILE_SETTINGS, Recipe
from nmt.untrusted_files import check_links

LOCK = ".lock"


def choose_run_directory(names: Sequence[str], output: Path | None) -> Path:
    """Return `output`, else runs/RECIPE for the last of the recipes' names; UsageError without any.

    For a directory of `nmt new`, or its recipe, that is `run` inside it.
    """
    if output is None and not names:
        raise UsageError("no recipe to name the run directory after: name a recipe, or give --output")
    last = expand_home(names[-1]) if names else Path()
    folder = last.parent if last.name == RECIPE else last
    if output is None and reader.is_project(folder):
        return folder / "run"
    return output or Path("runs") / Path(names[-1]).stem


@contextmanager
def lock_directory(directory: Path) -> Iterator[int]:
    """Hold a directory's lock and yield its file descriptor. UsageError while another process holds it.

    The system releases the lock when the process, and every process that inherited the descriptor, has ended.
    """
    with (directory / LOCK).open("a+", encoding="utf-8", newline="\n") as file:
        if not lock_descriptor(file.fileno()):
            holder = "?"
            with suppress(OSError):  # Windows lets nobody else read it
                file.seek(0)
                holder = file.read().strip() or holder
            raise UsageError(f"another process ({holder}, or a child of it) is using {directory}")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


@contextmanager
def claim_run_directory(run: Path, recipe: Recipe, change: Sequence[str] = ()) -> Iterator[list[str]]:
    """Hold the run directory, write the recipe there, and yield the settings that have changed.

    In the recipe there, every `auto` has been replaced by what it means for this run.
    `change` names settings of `CHANGEABLE_BY_NAME`, or sections of them, that may change.
    Raises UsageError if it holds another run, or another process uses it; DataError if a link in it leads
    elsewhere. A run without a checkpoint starts again with any recipe.
    """
    check_named(change, recipe)
    inputs = find_inputs(recipe)
    if has_checkpoint(run):  # the model that it started from is not read again
        inputs = [path for path in inputs if path.is_file()]
    check_output_directory("--output", run, inputs)
    _check_available(run)
    check_links(run)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot use {run} for a run: {error.strerror}; choose another --output") from None
    with lock_directory(run):
        begun = reader.read_model_recipe(run) if has_checkpoint(run) and (run / RECIPE).is_file() else None
        recipe = fix_automatic_settings(recipe, begun)
        changes = _find_changes(run, recipe)
        if not has_checkpoint(run):
            if changes:
                remove_vocabularies(run)
        else:
            changes |= find_changes_since_checkpoint(run, recipe)
            check_changes(run, changes, recipe, change)
        copy_cell_files(recipe, run, resumes=has_checkpoint(run))
        write_file(run / RECIPE, reader.dump(relocate_cells(recipe, Path())).encode())
        yield list(changes.values())


def _check_available(run: Path) -> None:
    if run.exists() and not run.is_dir():
        raise UsageError(f"{run} is a file; choose another directory with --output")
    ours = (RECIPE, temporary_file(Path(RECIPE)).name, LOCK)
    if run.exists() and not (run / RECIPE).is_file() and any(path.name not in ours for path in run.iterdir()):
        raise UsageError(f"{run} is not empty and is not a run; choose another directory with --output")


def _find_changes(run: Path, recipe: Recipe) -> dict[str, str]:
    """Return the settings that differ from those in the run's recipe."""
    if not (run / RECIPE).is_file():
        return {}
    old, new = reader.read_model_recipe(run), relocate_cells(recipe, Path(os.path.abspath(run)))
    return find_changes(flatten_recipe(old), flatten_recipe(new))


def find_inputs(recipe: Recipe) -> list[Path]:
    """Return the files and models that training a recipe reads, as far as they exist, without its cells."""
    files = []
    for name in list_files(recipe.data):
        with suppress(DataError, UsageError):  # reported by those that read them
            files.append(find_file(recipe.data.root_directory, name))
    return files + list_named_paths(recipe)


def list_named_paths(recipe: Recipe) -> list[Path]:
    """Return the files and models that settings of a recipe name, apart from its data and its cells."""
    named = (getattr(getattr(recipe, section, None), name, None) for section, name in FILE_SETTINGS)
    listed = (one if isinstance(one, list) else [one] for one in named if one)
    return [Path(file) for entry in listed for file in entry]
