"""A run killed or stopped anywhere and begun again ends, bit for bit, as the run that was never stopped."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import pytest

from nmt.cli import main
from nmt.errors import Interruption
from tests.end_to_end.toy import done, nmt, reversed_, write_corpus, write_phrases

LIMIT = 120.0  # seconds after which a process that does not do its part is given up

RECIPE = """\
data: {root: corpus, src: src, tgt: tgt, train: train, valid: valid}
subwords: {kind: pretokenized}
encoder: {cell: gru, embedding: 16, hidden: 16, dropout: {embedding: 0.2, state: 0.1}}
decoder: {cell: lstm-peephole, embedding: 16, hidden: 32, input_feeding: true, dropout: {output: 0.2}}
training:
  learning_rate: {peak: 1e-2, schedule: plateau}
  batch: {size: 8}
  stop_after: 24u
  checkpoint_every: 1u
  keep: 3
  validation: {every: 12u, samples: 1}
  teacher_forcing: {schedule: linear, span: 100u, feedback: sample}
  threads: 1
search: {max_ratio: 1.0, max_extra: 2}
"""


class Runs(NamedTuple):
    """A recipe, and a run of it that nothing disturbed."""

    recipe: Path
    whole: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    home = tmp_path_factory.mktemp("runs")
    write_corpus(home / "corpus", reversed_, train=100, held_out=6)
    recipe, whole = home / "run.yaml", home / "whole"
    recipe.write_text(RECIPE, encoding="utf-8")
    done(nmt("train", recipe, "-o", whole))
    return Runs(recipe, whole)


class Stopped(NamedTuple):
    """How a process ended, and what it printed on standard error."""

    code: int | None
    stderr: str


def stopped(recipe: Path, run: Path, how: signal.Signals) -> Stopped:
    """Train in a process of its own, forked, that gets a signal once its second checkpoint is there."""
    printed = run.with_suffix(".stderr")

    def train() -> None:
        descriptor = os.open(printed, os.O_CREAT | os.O_WRONLY)
        os.dup2(descriptor, 2)
        sys.stderr = os.fdopen(descriptor, "w", encoding="utf-8")
        sys.argv = ["nmt", "train", str(recipe), "-o", str(run)]
        main()

    process = multiprocessing.get_context("fork").Process(target=train)
    process.start()
    try:
        wait_for(run / "checkpoints" / "u0000002", process)
        assert process.pid is not None
        os.kill(process.pid, how)
        process.join(LIMIT)
    finally:
        process.kill()
    return Stopped(process.exitcode, printed.read_text(encoding="utf-8"))


def wait_for(path: Path, process: BaseProcess) -> None:
    end = time.monotonic() + LIMIT
    while not path.exists():
        assert process.is_alive()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.002)


def same_end(run: Path, whole: Path) -> None:
    """Every lasting file of the two runs is the same, byte for byte."""
    assert names(run / "checkpoints") == names(whole / "checkpoints")
    assert names(run / "validation") == names(whole / "validation")
    last = ("checkpoints/last/model.safetensors", "checkpoints/last/trainer.safetensors")
    for name in (*last, "checkpoints/best/model.safetensors", "metrics.jsonl", "source.vocab", "recipe.yaml"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    for hyp in (whole / "validation").iterdir():
        assert (run / "validation" / hyp.name).read_bytes() == hyp.read_bytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".refused")}


@pytest.fixture(scope="module")
def killed(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed; tests go on with a copy."""
    run = tmp_path_factory.mktemp("killed") / "run"
    assert stopped(runs.recipe, run, signal.SIGKILL).code == -signal.SIGKILL
    return run


def test_a_killed_run_is_resumed_exactly(runs: Runs, killed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(killed, run, symlinks=True)
    again = nmt("train", runs.recipe, "-o", run)
    assert done(again) == f"{run}\n"
    assert f"resuming from {run}/checkpoints/u00000" in again.stderr
    same_end(run, runs.whole)


@pytest.mark.parametrize("file", ["model.safetensors", "trainer.safetensors", "checkpoint.json"])
def test_a_damaged_checkpoint_is_refused_and_the_previous_one_used(
    file: str, runs: Runs, killed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(killed, run, symlinks=True)
    *_, before, latest = sorted((run / "checkpoints").glob("u*"))
    content = (latest / file).read_bytes()
    (latest / file).write_bytes(content[: len(content) // 2])
    again = nmt("train", runs.recipe, "-o", run)
    assert again.exit_code == 0
    said = again.stderr
    assert f"{latest / file}: refused: " in said
    assert f"resuming from {before}" in said
    same_end(run, runs.whole)


def test_a_run_with_only_damaged_checkpoints_is_not_restarted(
    runs: Runs, killed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(killed, run, symlinks=True)
    for checkpoint in (run / "checkpoints").glob("u*"):
        os.truncate(checkpoint / "model.safetensors", 100)
    again = nmt("train", runs.recipe, "-o", run)
    assert again.exit_code == 1
    assert "no complete checkpoint is left" in again.stderr
    assert not list((run / "checkpoints").glob("*.refused"))


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_after_the_update_and_prints_how_to_resume(
    how: signal.Signals, code: int, runs: Runs, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = stopped(runs.recipe, run, how)
    assert process.code == code, process.stderr
    assert "stopping after this update and saving a checkpoint" in process.stderr
    assert f"{how.name} received; run the same command again to resume" in process.stderr
    assert "Traceback" not in process.stderr
    done(nmt("train", runs.recipe, "-o", run))
    same_end(run, runs.whole)


SAMPLED = """\
data: {root: text, src: de, tgt: en, train: train, valid: valid}
subwords: {size: 60, sampling: 0.3}
encoder: {cell: gru, embedding: 16, hidden: 16}
decoder: {cell: gru, embedding: 16, hidden: 16}
training:
  batch: {by: tokens, size: 200}
  accumulate: 2
  stop_after: 9u
  checkpoint_every: 2u
  validation: {every: 9u, metric: loss}
  threads: 1
"""


def test_a_run_with_subword_sampling_is_resumed_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_phrases(tmp_path / "text", {"train": 60, "valid": 6})
    recipe, whole, run = tmp_path / "sampled.yaml", tmp_path / "whole", tmp_path / "run"
    recipe.write_text(SAMPLED, encoding="utf-8")
    done(nmt("train", recipe, "-o", whole))
    with monkeypatch.context() as broken:
        fail_after(5, broken)
        assert nmt("train", recipe, "-o", run).exit_code == 130
    assert names(run / "checkpoints") == {"u0000002", "u0000004", "last"}
    done(nmt("train", recipe, "-o", run))
    for name in (
        "checkpoints/last/model.safetensors",
        "checkpoints/last/trainer.safetensors",
        "metrics.jsonl",
    ):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def fail_after(updates: int, broken: pytest.MonkeyPatch) -> None:
    """The update after so many never ends: what a power cut does, but for what is not yet on the disk."""
    from nmt.training.update import Learner

    made, update = list[None](), Learner.update

    def make(*arguments: object, **settings: object) -> object:
        if len(made) == updates:
            raise Interruption
        made.append(None)
        return update(*arguments, **settings)  # type: ignore[arg-type]

    broken.setattr(Learner, "update", make)
