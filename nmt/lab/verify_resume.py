"""Shows on one's own machine that a run of a recipe is gone on with exactly: one is killed, one is not."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from nmt.errors import DataError, NmtError
from nmt.recipe.build.training import by_itself, training
from nmt.recipe.run_directory import claimed
from nmt.recipe.schema import Recipe
from nmt.settings import Duration
from nmt.training import checkpoint
from nmt.training.checkpoint import CheckpointSaver
from nmt.training.console import Progress, StepReport


class Doomed(Progress):
    """The process is killed (SIGKILL) after this update, with a checkpoint of one before it on the disk."""

    def __init__(self, log: Path, last: int, saver: CheckpointSaver) -> None:
        super().__init__(log)
        self.last, self.saver = last, saver

    def show_update(self, report: StepReport) -> None:
        """After every update."""
        super().show_update(report)
        if report.update == self.last:
            self.saver.wait()
            os.kill(os.getpid(), signal.SIGKILL)


def verify_resume(recipe: Recipe, kill_at: int, say: Callable[[str], None]) -> int:
    """Train twice `kill_at` updates whole, and again with a kill -9 half-way; DataError if that shows.

    All of it in a temporary directory, by processes of their own. `say` is told what is under way. Gives how
    many things were compared.
    """
    short = shortened(recipe, kill_at)
    with TemporaryDirectory(prefix="nmt-verify-resume-") as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        say(f"1/3: {2 * kill_at} updates")
        _run(short, whole, None, 0)
        say(f"2/3: the same with a kill -9 after update {kill_at}")
        _run(short, killed, kill_at, -signal.SIGKILL)
        say("3/3: what was killed goes on")
        _run(short, killed, None, 0)
        return compare(contents(whole), contents(killed))


def shortened(recipe: Recipe, kill_at: int) -> Recipe:
    """The recipe for twice as many updates, with a checkpoint half-way to the kill and the same rates."""
    whole = recipe.training
    rate = whole.learning_rate
    if rate.span is None and whole.stop_after.unit != "m":
        rate = replace(rate, span=whole.stop_after)
    training: Any = replace(
        whole,
        learning_rate=rate,
        stop_after=Duration(2 * kill_at, "u"),
        checkpoint_every=Duration(kill_at // 2, "u"),
    )
    return replace(recipe, training=training)


def _run(recipe: Recipe, run: Path, last: int | None, wanted: int) -> None:
    """Train in a process of its own, which must end with this exit code."""
    process = get_context("spawn").Process(target=_train, args=(recipe, run, last))
    process.start()
    try:
        process.join()
    finally:
        process.kill()
    if process.exitcode != wanted:
        raise DataError(
            f"the training ended with exit code {process.exitcode}, not {wanted}; what it said stands above"
        )


def _train(recipe: Recipe, run: Path, last: int | None) -> None:
    log = run / "train.log"
    try:
        with claimed(run, recipe):
            whole = training(recipe, run, Progress(log), by_itself(recipe))
            if last is not None:
                whole.progress = Doomed(log, last, whole.saver)
            whole.train()
    except NmtError as error:
        sys.exit(str(error))


def contents(run: Path) -> dict[str, bytes]:
    """All that a run has come to: its last checkpoint but for the time it took, metrics, translations."""
    saved = checkpoint.read(run / "checkpoints" / "last")
    found = {f"weights {name}": _bytes(tensor) for name, tensor in saved.model.items()}
    found |= {f"trainer's {name}": _bytes(tensor) for name, tensor in saved.trainer.items()}
    facts = {**saved.metadata, "run": {**saved.metadata["run"], "seconds": None}}
    found |= {f"checkpoint.json, {name}": json.dumps(value).encode() for name, value in facts.items()}
    for file in (run / "metrics.jsonl", *sorted((run / "validation").glob("*"))):
        lines = enumerate(file.read_bytes().split(b"\n"), 1)
        found |= {f"{file.relative_to(run)}, line {number}": line for number, line in lines}
    return found


def _bytes(tensor: Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


def compare(whole: dict[str, bytes], killed: dict[str, bytes]) -> int:
    """How many things are the same in two runs; DataError names the first that is not."""
    for name in [*whole, *(name for name in killed if name not in whole)]:
        if whole.get(name) != killed.get(name):
            raise DataError(
                f"not the same after the kill: {name} was {_shown(whole.get(name))}, is "
                f"{_shown(killed.get(name))}; the run is not gone on with exactly"
            )
    return len(whole)


def _shown(value: bytes | None) -> str:
    if value is None:
        return "not there"
    try:
        return value[:200].decode("ascii")
    except UnicodeDecodeError:
        return value[:16].hex()
