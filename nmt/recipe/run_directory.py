"""The run directory: claimed by one process, one recipe and one set of data."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nmt.errors import UsageError
from nmt.files import temporary_file, write_file
from nmt.recipe import custom_cells as own_cells
from nmt.recipe import reader
from nmt.recipe.prepare_data import begun, forget
from nmt.recipe.schema import Recipe, to_plain

LOCK = ".lock"


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold a directory's lock; gives its file descriptor. UsageError while another process holds it.

    The system lets the lock go when the process ends, however it ends, and every process that the descriptor
    was passed on to.
    """
    with (directory / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "?"
            raise UsageError(f"another process ({holder}, or a child of it) is using {directory}") from None
        except OSError:
            pass  # a file system without locks: better to train unguarded than not at all
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


RECIPE = "recipe.yaml"

FREE = (
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
"""Settings that a run may go on with changed (`*` is any name): how long it is, where its pairs lie (their
checksums are compared), what is kept, shown and reported, when it gives up. All others decide on what
was learnt or what validations found."""


@contextmanager
def claimed(run: Path, recipe: Recipe) -> Iterator[list[str]]:
    """The run directory while a process works in it, with the recipe written there; gives what changed.

    Raises UsageError if it is another run's, or another process is at work in it. A run that has no
    checkpoint yet has nothing to lose: it begins anew with whatever recipe comes.
    """
    _check_free(run)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot use {run} for a run: {error.strerror}; choose another --output") from None
    with locked(run):
        changes = _changes(run / RECIPE, own_cells.moved(recipe, Path(os.path.abspath(run))))
        if not begun(run):
            if changes:
                forget(run)
        else:
            _check_changes(run, changes, recipe)
        own_cells.keep(recipe, run, begun=begun(run))
        write_file(run / RECIPE, reader.dump(own_cells.moved(recipe, Path())).encode())
        yield list(changes.values())


def _check_free(run: Path) -> None:
    if run.exists() and not run.is_dir():
        raise UsageError(f"{run} is a file; choose another directory with --output")
    ours = (RECIPE, temporary_file(Path(RECIPE)).name, LOCK)
    if run.exists() and not (run / RECIPE).is_file() and any(path.name not in ours for path in run.iterdir()):
        raise UsageError(f"{run} is not empty and is not a run; choose another directory with --output")


def _changes(file: Path, recipe: Recipe) -> dict[str, str]:
    """The settings that differ from those in the run's recipe, each with both values."""
    if not file.is_file():
        return {}
    old, new = (dict(_leaves(one)) for one in (reader.read_any([str(file)]), recipe))
    names = [*old, *(name for name in new if name not in old)]
    return {
        name: f"{name} was {_shown(old, name)}, is {_shown(new, name)}"
        for name in names
        if old.get(name) != new.get(name)
    }


def _leaves(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    return _flat(to_plain(recipe), ())


def _flat(value: Any, path: Sequence[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        value = {entry["name"]: entry for entry in value}
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, (*path, name))
    else:
        yield ".".join(path), value


def _shown(leaves: Mapping[str, Any], name: str) -> str:
    return json.dumps(leaves[name], ensure_ascii=False).strip('"') if name in leaves else "not given"


def _is_free(name: str) -> bool:
    return any(fnmatchcase(name, free) for free in FREE)


def _check_changes(run: Path, changes: Mapping[str, str], recipe: Recipe) -> None:
    """Refuse to go on with settings on which it hung what was learnt."""
    fixed = [change for name, change in changes.items() if not _is_free(name)]
    rate, end = recipe.training.learning_rate, changes.get("training.stop_after")
    if end and rate.has_end and rate.span is None:
        fixed.append(f"{end} (the {rate.schedule} ends there too, so all rates would be others)")
    if fixed:
        raise UsageError(
            "\n  ".join([f"{run} is a run of a different recipe:", *fixed])
            + "\nchoose another directory with --output, or delete this one to start again"
        )
