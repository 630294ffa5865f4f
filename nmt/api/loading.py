"""The translation job of a model at a path: a run, a checkpoint, a model directory or an export."""

import os
from pathlib import Path
from reprlib import repr as shorten
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nmt.decoding.job import Job
from nmt.errors import UsageError
from nmt.export import directory
from nmt.files import expand_home

if TYPE_CHECKING:
    from nmt.recipe.tasks.translation import LoadedTranslator

Precision = Literal["float32", "int8"]


class LoadedJob(NamedTuple):
    """The job of a model, with the model itself unless it is an export."""

    job: Job
    path: Path
    translator: "LoadedTranslator | None"
    int8: bool

    def fingerprint(self) -> str:
        """Return the SHA-256 of all that the model's output depends on."""
        if self.translator is None:
            return directory.fingerprint(self.path)
        from nmt.recipe.artifact import model_fingerprint

        return model_fingerprint(self.translator) + " in int8" * self.int8


def check_path(what: str, path: Any) -> Path:
    """Return a path with `~` expanded; UsageError, which begins with `what`, if it is not a path."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or "\0" in name or not name:
        raise UsageError(f"{what} (got {shorten(path)})")
    return expand_home(name)


def load_job(
    path: Path, *, threads: int | None = None, shortlist: bool = False, int8: bool = False
) -> LoadedJob:
    """Load one model; an export needs no torch. With `threads` None those of torch stay as they are."""
    if directory.is_exported(path):
        if shortlist:
            raise UsageError(f"{path} is an exported model, which has no shortlist: remove --shortlist")
        return LoadedJob(directory.load_export(path, threads=threads or 1, int8=int8), path, None, int8)
    import torch

    from nmt.recipe.tasks.translation import build_job, load_translator, load_with_shortlist

    if threads is not None:
        torch.set_num_threads(threads)
    loaded = load_with_shortlist(path) if shortlist else load_translator(path)
    return LoadedJob(build_job(loaded, int8=int8), path, loaded, int8)
