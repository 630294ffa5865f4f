"""Verification that a killed and resumed run equals an uninterrupted one, bit for bit."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from nmt.errors import DataError, NmtError
from nmt.operating_system import KILLED_EXIT_CODE, kill_this_process
from nmt.recipe.run_directory import claim_run_directory
from nmt.recipe.schema import Recipe
from nmt.recipe.training import build_trainer, single_process
from nmt.settings import Duration
from nmt.training import checkpoint
from nmt.training.checkpoint import CheckpointSaver
from nmt.training.console import Progress, StepReport
from nmt.workers import start_spawned


class KillingProgress(Progress):
    """A progress display that kills the process (SIGKILL) after an update, once a checkpoint is on disk."""

    def __init__(self, log: Path, last: int, saver: CheckpointSaver) -> None:
        super().__init__(log)
        self.last, self.saver = last, saver

    def show_update(self, report: StepReport) -> None:
        super().show_update(report)
        if report.update == self.last:
            self.saver.wait()
            kill_this_process()


def verify_resume(recipe: Recipe, kill_at: int, report: Callable[[str], None]) -> int:
    """Train `2 * kill_at` updates, then again with a kill -9 halfway; DataError if the results differ.

    Runs in separate processes in a temporary directory, and calls `report` with the progress. Returns
    the number of values compared.
    """
    short = shorten_recipe(recipe, kill_at)
    with TemporaryDirectory(prefix="nmt-verify-resume-") as folder:
        uninterrupted, killed = Path(folder) / "whole", Path(folder) / "killed"
        report(f"1/3: {2 * kill_at} updates")
        _run(short, uninterrupted, None, 0)
        report(f"2/3: the same with a kill -9 after update {kill_at}")
        _run(short, killed, kill_at, KILLED_EXIT_CODE)
        report("3/3: resume the killed run")
        _run(short, killed, None, 0)
        return compare_results(read_results(uninterrupted), read_results(killed))


def shorten_recipe(recipe: Recipe, kill_at: int) -> Recipe:
    """Return a recipe of `2 * kill_at` updates, with a checkpoint before the kill and unchanged rates."""
    training: Any = recipe.training
    rate = training.learning_rate
    if rate.span is None and training.stop_after.unit != "m":
        rate = replace(rate, span=training.stop_after)
    training = replace(
        training,
        learning_rate=rate,
        stop_after=Duration(2 * kill_at, "u"),
        checkpoint_every=Duration(kill_at // 2, "u"),
    )
    return replace(recipe, training=training)


def _run(recipe: Recipe, run: Path, last: int | None, expected: int) -> None:
    """Train in a separate process, which must end with the exit code `expected`."""
    process = get_context("spawn").Process(target=_train, args=(recipe, run, last))
    start_spawned(process)
    try:
        process.join()
    finally:
        process.kill()
    if process.exitcode != expected:
        ending = f"exit code {process.exitcode} instead of {expected}"
        raise DataError(f"the training ended with {ending}; see its output above")


def _train(recipe: Recipe, run: Path, last: int | None) -> None:
    log = run / "train.log"
    try:
        with claim_run_directory(run, recipe):
            trainer = build_trainer(recipe, run, Progress(log), single_process(recipe))
            if last is not None:
                trainer.progress = KillingProgress(log, last, trainer.saver)
            trainer.train()
    except NmtError as error:
        sys.exit(str(error))


def read_results(run: Path) -> dict[str, bytes]:
    """Read the last checkpoint (without its time), the metrics and the translations of a run."""
    saved = checkpoint.read(checkpoint.follow_link(run / "checkpoints" / "last"))
    results = {}
    for kind, tensors in (("weights", saved.model), ("trainer's", saved.trainer)):
        for name, tensor in tensors.items():
            values = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
            results[f"{kind} {name}"] = values.tobytes()
    facts = {**saved.metadata, "run": {**saved.metadata["run"], "seconds": None}}
    results |= {f"checkpoint.json, {name}": json.dumps(value).encode() for name, value in facts.items()}
    for file in (run / "metrics.jsonl", *sorted((run / "validation").glob("*"))):
        lines = enumerate(file.read_bytes().split(b"\n"), 1)
        results |= {f"{file.relative_to(run)}, line {number}": line for number, line in lines}
    return results


def compare_results(uninterrupted: dict[str, bytes], killed: dict[str, bytes]) -> int:
    """Count the equal values of two runs; DataError for the first that differs."""
    for name in {**uninterrupted, **killed}:
        expected, value = uninterrupted.get(name), killed.get(name)
        if value != expected:
            raise DataError(
                f"resuming did not reproduce the uninterrupted run: {name} is {_format_value(value)} instead "
                f"of {_format_value(expected)}"
            )
    return len(uninterrupted)


def _format_value(value: bytes | None) -> str:
    if value is None:
        return "missing"
    try:
        return value[:200].decode("ascii")
    except UnicodeDecodeError:
        return value[:16].hex()
