"""The run directory: used by one process at a time, for one recipe and one set of data."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nmt.data.sources import find_part, find_training_corpora
from nmt.errors import DataError, UsageError
from nmt.files import temporary_file, write_file
from nmt.outputs import check_output_directory
from nmt.recipe import reader
from nmt.recipe.automatic import fix_automatic_settings
from nmt.recipe.prepare_data import has_checkpoint, remove_vocabularies
from nmt.recipe.reader import RECIPE
from nmt.recipe.schema import FILE_SETTINGS, Recipe, to_plain
from nmt.recurrence.layer import StackSettings
from nmt.untrusted_files import check_links

LOCK = ".lock"


@contextmanager
def lock_directory(directory: Path) -> Iterator[int]:
    """Hold a directory's lock and yield its file descriptor. UsageError while another process holds it.

    The system releases the lock when the process, and every process that inherited the descriptor, has ended.
    """
    with (directory / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "?"
            raise UsageError(f"another process ({holder}, or a child of it) is using {directory}") from None
        except OSError:
            pass  # a file system without locks: train without
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


CHANGEABLE = (
    "data.root",
    "data.train",
    "data.train.*.pairs",
    "data.train.*.sentence_weights",
    "data.train.*.alignments",
    "data.workers",
    "data.valid",
    "data.test",
    "training.stop_after",
    "training.checkpoint_every",
    "training.keep",
    "training.guards.*",
    "training.threads",
    "training.device",
    "training.validation.patience",
    "training.validation.stop_on",
    "training.validation.stop_on.*",
    "training.validation.stop_when",
    "training.validation.samples",
    "training.validation.gates",
    "search.beam",
    "search.length_penalty",
    "search.batch",
    "evaluation.metrics",
)
"""Settings that may change when a run resumes (`*` is any name): its length, the location of its data (whose
checksums are compared), what is kept, shown and reported, when it is aborted. All others affect the weights
or the scores of validations."""

END = "training.stop_after"
CHANGEABLE_BY_NAME = (
    "training.learning_rate.*",
    END,
    "training.clip_norm",
    "training.weight_decay",
    "training.label_smoothing",
    "*.dropout.*",
)
"""Settings that affect the weights but may change when a run resumes, if the user asks for it by name."""


@contextmanager
def claim_run_directory(run: Path, recipe: Recipe, change: Sequence[str] = ()) -> Iterator[list[str]]:
    """Hold the run directory, write the recipe there, and yield the settings that have changed.

    In the recipe there, every `auto` has been replaced by what it means for this run.
    `change` names settings of `CHANGEABLE_BY_NAME`, or sections of them, that may change.
    Raises UsageError if it holds another run, or another process uses it; DataError if a link in it leads
    elsewhere. A run without a checkpoint starts again with any recipe.
    """
    _check_named(change, recipe)
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
        changes = _changes(run / RECIPE, relocate_cells(recipe, Path(os.path.abspath(run))))
        if not has_checkpoint(run):
            if changes:
                remove_vocabularies(run)
        else:
            _check_changes(run, changes, recipe, change)
        copy_cell_files(recipe, run, resumes=has_checkpoint(run))
        write_file(run / RECIPE, reader.dump(relocate_cells(recipe, Path())).encode())
        yield list(changes.values())


def _check_available(run: Path) -> None:
    if run.exists() and not run.is_dir():
        raise UsageError(f"{run} is a file; choose another directory with --output")
    ours = (RECIPE, temporary_file(Path(RECIPE)).name, LOCK)
    if run.exists() and not (run / RECIPE).is_file() and any(path.name not in ours for path in run.iterdir()):
        raise UsageError(f"{run} is not empty and is not a run; choose another directory with --output")


def _changes(file: Path, recipe: Recipe) -> dict[str, str]:
    """Return the settings that differ from those in the run's recipe, each with both values."""
    if not file.is_file():
        return {}
    old, new = (dict(_flatten_recipe(one)) for one in (reader.read_model_recipe(file.parent), recipe))
    names = [*old, *(name for name in new if name not in old)]
    return {
        name: f"{name} was {_format_setting(old, name)}, is {_format_setting(new, name)}"
        for name in names
        if old.get(name) != new.get(name)
    }


def _flatten_recipe(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    return _flatten(to_plain(recipe), ())


def _flatten(value: Any, path: Sequence[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        value = {entry["name"]: entry for entry in value}
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flatten(inner, (*path, name))
    else:
        yield ".".join(path), value


def _format_setting(leaves: Mapping[str, Any], name: str) -> str:
    return json.dumps(leaves[name], ensure_ascii=False).strip('"') if name in leaves else "not given"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _check_named(change: Sequence[str], recipe: Recipe) -> None:
    """Raise UsageError for names of settings that cannot change, not even by name."""
    names = [name for name, _ in _flatten_recipe(recipe)]
    for asked in change:
        inside = [name for name in names if _is_inside(name, asked)]
        if not inside or not all(_matches(name, (*CHANGEABLE, *CHANGEABLE_BY_NAME)) for name in inside):
            raise UsageError(
                f"--change: {asked} cannot change in a run that resumes, only "
                f"{', '.join(CHANGEABLE_BY_NAME)}; for other settings start a run with training.start_from"
            )


def _is_inside(name: str, section: str) -> bool:
    return f"{name}.".startswith(f"{section}.")


def _check_changes(run: Path, changes: Mapping[str, str], recipe: Recipe, change: Sequence[str]) -> None:
    """Raise UsageError if a setting has changed that affects the weights and that `change` does not name."""
    named = {name for name in changes for asked in change if _is_inside(name, asked)}
    fixed = {name: text for name, text in changes.items() if name not in named}
    wrong = {name: text for name, text in fixed.items() if not _matches(name, CHANGEABLE)}
    rate, end = recipe.training.learning_rate, fixed.get(END)
    if end and rate.has_end and rate.span is None:
        wrong[END] = f"{end} (the {rate.schedule} ends there too, so all rates would change)"
    if wrong:
        by_name = [f"--change {name}=VALUE" for name in wrong if _matches(name, CHANGEABLE_BY_NAME)]
        ways = ["choose another directory with --output", "delete this one to start again"]
        ways += [f"ask for it with {' '.join(by_name)}"] if by_name else []
        raise UsageError(
            "\n  ".join([f"{run} is a run of a different recipe:", *wrong.values()])
            + f"\n{', '.join(ways[:-1])}, or {ways[-1]}"
        )


def find_inputs(recipe: Recipe) -> list[Path]:
    """Return the files and models that training a recipe reads, as far as they exist, without its cells."""
    files = []
    for part in ("train", "valid", "test"):
        with suppress(DataError, UsageError):  # reported by those that read them
            corpora = (
                find_training_corpora(recipe.data) if part == "train" else [find_part(recipe.data, part)]
            )
            files += [file for corpus in corpora for file in corpus.all_files]
    named = (getattr(getattr(recipe, section, None), name, None) for section, name in FILE_SETTINGS)
    listed = (one if isinstance(one, list) else [one] for one in named if one)
    return files + [Path(file) for entry in listed for file in entry]


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
        kept, content = run / file.name, file.read_bytes()
        if resumes and kept.is_file() and kept.read_bytes() != content:
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
