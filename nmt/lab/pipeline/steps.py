"""The steps of a pipeline: their commands, files, order and checksums."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from nmt import __version__
from nmt.errors import UsageError
from nmt.files import cached_sha256

STATE, CHECKSUMS = ".steps.json", ".checksums.json"
LOGS, REPORTS = "logs", ("report.md", "report.json")
NOT_CONTENT = re.compile(r"\..*|data|.*\.log|metrics\.jsonl|times\.jsonl")
"""Names in the directory of a run that hold neither its model nor its results: logs, times, encoded pairs."""


class PipelineStep(NamedTuple):
    """A command of `nmt` with what it reads and writes, relative to the directory of the pipeline."""

    name: str
    words: Sequence[str]  # of the command, without `nmt`
    inputs: Sequence[str]  # files, models, and outputs of other steps
    outputs: Sequence[str]
    stdout: str | None = None  # the output that gets what the command prints
    recipe: str = ""  # the resolved recipe of a model that it trains
    needs: Sequence[str] = ()  # the other steps whose outputs it reads

    @property
    def command(self) -> str:
        """The command line."""
        return shlex.join(["nmt", *self.words]) + (f" > {shlex.quote(self.stdout)}" if self.stdout else "")

    def settings(self, directory: Path) -> str:
        """Return what determines the outputs, apart from the inputs; the same if the directory is moved."""
        text = "\n".join([f"nmt {__version__}", self.command, self.recipe])
        return text.replace(os.path.abspath(directory), ".")


def sort_steps(steps: Sequence[PipelineStep]) -> list[PipelineStep]:
    """Return the steps in an order in which each follows those that it needs; UsageError for a cycle."""
    by_name = {step.name: step for step in steps}
    try:
        order = list(TopologicalSorter({step.name: step.needs for step in steps}).static_order())
    except CycleError as error:
        raise UsageError(f"steps depend on each other in a cycle: {' -> '.join(error.args[1])}") from None
    rank = {name: max((order.index(need) for need in by_name[name].needs), default=-1) for name in order}
    return [by_name[name] for name in sorted(order, key=lambda name: (rank[name], list(by_name).index(name)))]


def compute_checksum(path: Path, cache: Path) -> str:
    """Return the SHA-256 of a file, or of a run or model; FileNotFoundError if there is none."""
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(path)
        return cached_sha256([path], cache)[0]
    files, digest = list(_find_content(path)), sha256()
    sums = cached_sha256([file for file in files if not file.is_symlink()], cache)
    for file in files:
        known = file.readlink().as_posix() if file.is_symlink() else sums.pop(0)
        digest.update(f"{file.relative_to(path).as_posix()}\0{known}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _find_content(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if NOT_CONTENT.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _find_content(path)
        else:
            yield path
