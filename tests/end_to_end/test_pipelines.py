"""The shipped pipelines with tiny models on the phrasebook, and one that is killed twenty times."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import pytest

from nmt.lab.pipeline.steps import LOGS, NOT_CONTENT, REPORTS
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
TIME = re.compile(rb'"seconds": [\d.]+|"seal": "\w+"')
"""Of a checkpoint: the time of its training, and the checksum that it is in."""
PARTS = {"train": 300, "valid": 12, "test": 16}
KILLS = {"run": 3, "translate": 1, "clean": 1, "score": 0}
"""Kills of a step by its verb, besides the first one, which is at its beginning."""
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


def read_outputs(directory: Path) -> dict[str, bytes]:
    """The files of a pipeline and its models, apart from logs, and without the time in checkpoints."""
    files = [path.relative_to(directory) for path in directory.rglob("*") if path.is_file()]
    content = [file for file in files if not any(map(NOT_CONTENT.fullmatch, file.parts))]
    return {
        file.as_posix(): TIME.sub(b"", (directory / file).read_bytes())
        if file.name == "checkpoint.json"
        else (directory / file).read_bytes()
        for file in content
        if file.parts[0] not in (LOGS, *REPORTS)
    }


def read_report(directory: Path) -> dict[str, object]:
    """The report without its times, and the directory in its command."""
    report = json.loads((directory / REPORTS[1]).read_bytes())
    steps = [{name: step[name] for name in ("name", "command")} for step in report["steps"]]
    return {"scores": report["scores"], "steps": steps}


def find_running(messages: Path) -> tuple[int, str]:
    """Number and name of the step that has begun and not ended, by the messages of a pipeline, or (0, "")."""
    states = re.findall(r"^ *(\d+)/\d+  (\S+): (\w+)", messages.read_text("utf-8"), re.MULTILINE)
    return (int(states[-1][0]), states[-1][1]) if states and states[-1][2] == "running" else (0, "")


def kill_in_step(command: Sequence[str], number: int, seconds: float) -> str:
    """Run a pipeline, kill its processes that long after a step has begun, and return what was running.

    The kill is earlier if the step ends before. If it was finished already, the next one is killed soon.
    """
    messages = Path("messages")
    with messages.open("wb") as stream:
        process = subprocess.Popen(command, env=environment(), stderr=stream, start_new_session=True)
    while (begun := find_running(messages))[0] < number:
        assert process.poll() is None, messages.read_text("utf-8")
        time.sleep(0.01)
    if begun[0] > number:  # so that it is not finished before its turn
        seconds = min(seconds, 0.3)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and find_running(messages) == begun:
        time.sleep(0.01)
    running = find_running(messages)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return running[1]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(PHRASEBOOK.parents[1]), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs groups of processes")
def test_twenty_kills_in_all_steps_of_a_pipeline_change_nothing(folder: Path) -> None:
    options = [text.replace("[1,2]", "[1]") for text in PIPELINES["back-translate"]]
    words = [sys.executable, "-m", "nmt", "pipeline", "back-translate", "recipe=tiny.yaml", *options]
    command = [*words, "-o", "out"]
    subprocess.run(command, env=environment(), check=True)
    Path("out").rename("whole")  # recipes in it have the path of the directory
    steps = json.loads(Path("whole", REPORTS[1]).read_bytes())["steps"]
    draw, found = random.Random(1), list[str]()
    for number, step in enumerate(steps, 1):
        verb = step["command"].split()[1]
        times = [draw.uniform(0, 0.5), *(draw.uniform(0, step["seconds"]) for _ in range(KILLS[verb]))]
        found += [kill_in_step(command, number, seconds) for seconds in times]
    print("killed in", Counter(found))
    assert set(found) >= {step["name"] for step in steps}
    assert len(found) >= 20
    subprocess.run(command, env=environment(), check=True)
    assert read_outputs(folder / "out") == read_outputs(folder / "whole")
    assert read_report(folder / "out") == read_report(folder / "whole")
