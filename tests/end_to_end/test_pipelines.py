"""The shipped pipelines with tiny models on the phrasebook, and one that is killed twenty times."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import pytest

from nmt.lab.pipeline.steps import REPORTS
from nmt.lab.processes import ChildProcesses
from tests.end_to_end.toy import done, nmt, write_lines

PHRASEBOOK = Path(__file__).parents[2] / "corpora/phrasebook"
RECIPE = """\
extends: quickstart-lstm
data: {root: corpus}
subwords: {size: 500}
encoder: {embedding: 8, hidden: 8}
decoder: {embedding: 8, hidden: 8}
training: {batch: {size: 16}, stop_after: 12u, validation: {every: 6u}, checkpoint_every: 2u, threads: 1}
search: {max_extra: 3, max_ratio: 1.0}
"""
PARTS = {"train": 300, "valid": 12, "test": 16}
DOMAIN = "domain=[corpus/valid.ko,corpus/valid.en]"
PIPELINES = {
    "distill": ["n_best=2", "search=[--beam=2]"],
    "back-translate": ["rounds=[1,2]", "target_text=corpus/valid.en", "source_text=corpus/valid.ko"],
    "ensemble": ["seeds=[1,2]"],
    "transfer": ["parent=tiny.yaml"],
    "domain": [
        DOMAIN,
        DOMAIN.replace("domain", "domain_valid", 1),
        DOMAIN.replace("domain", "domain_test", 1),
    ],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "corpus").mkdir()
    for part, count in PARTS.items():
        for language in ("ko", "en"):
            lines = (PHRASEBOOK / f"{part}.{language}").read_text("utf-8").split("\n")[:count]
            write_lines(tmp_path / "corpus" / f"{part}.{language}", lines)
    (tmp_path / "tiny.yaml").write_text(RECIPE, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run, each in this process."""
    called: list[list[str]] = []

    def call(
        self: ChildProcesses,
        words: Sequence[str],
        log: int,
        *,
        output: int | None = None,
        folder: Path = Path(),
    ) -> int:
        called.append(list(words[3:]))
        with chdir(folder):
            result = nmt(*words[3:])
        os.write(log, result.stderr.encode())
        os.write(log if output is None else output, result.stdout.encode())
        return result.exit_code

    monkeypatch.setattr(ChildProcesses, "run", call)
    return called


@pytest.mark.slow
@pytest.mark.parametrize("name", PIPELINES)
def test_a_shipped_pipeline_runs_and_reports(folder: Path, commands: list[list[str]], name: str) -> None:
    words = ["pipeline", name, "recipe=tiny.yaml", *PIPELINES[name]]
    planned = done(nmt(*words, "--dry-run")).splitlines()[1:]
    printed = done(nmt(*words))
    directory = folder / "pipelines" / name
    assert len(commands) == len(planned)
    report = json.loads((directory / REPORTS[1]).read_bytes())
    assert [step["command"] for step in report["steps"]] == planned
    assert {step["status"] for step in report["steps"]} == {"done"}
    assert report["scores"]
    for scores in report["scores"]:
        baseline, *others = scores["systems"]
        assert others
        assert all("p_value" in score for system in others for score in system["scores"])
        assert f"chrF2|{baseline['scores'][1]['signature']}" in printed
    assert max(map(len, printed.split("\n\nBLEU|")[0].splitlines())) <= 80
    commands.clear()
    done(nmt(*words))
    assert commands == []


def outputs(directory: Path) -> dict[str, bytes]:
    """The files that make the models and results; those of a run's own accounts have times."""
    names = ("model.safetensors", "test.hyp", "scores.json")
    found = [
        path
        for path in directory.glob("*")
        if path.is_file() and path.name[0] != "." and "report" not in path.name
    ]
    found += [path for path in directory.rglob("*") if path.name in names]
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs groups of processes")
def test_twenty_kills_of_a_pipeline_change_nothing(folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "nmt",
        "pipeline",
        "distill",
        "recipe=tiny.yaml",
        *PIPELINES["distill"],
        "-j2",
    ]
    environment = os.environ | {"PYTHONPATH": str(PHRASEBOOK.parents[1]), "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    subprocess.run([*command, "-o", "whole"], env=environment, check=True)
    longest = (time.monotonic() - start) / 5
    draw, killed = random.Random(1), 0
    for _ in range(20):
        with Path("messages").open("wb") as messages:
            process = subprocess.Popen(
                [*command, "-o", "killed"], env=environment, stderr=messages, start_new_session=True
            )
        try:
            assert process.wait(draw.uniform(0, longest)) == 0, Path("messages").read_text("utf-8")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    assert killed
    subprocess.run([*command, "-o", "killed"], env=environment, check=True)
    assert outputs(folder / "killed") == outputs(folder / "whole")
