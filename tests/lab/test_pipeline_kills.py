"""A pipeline that is killed many times ends like an uninterrupted one; its commands are of the shell."""

import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nmt.errors import UsageError
from nmt.lab.pipeline.engine import StepResult, run_steps
from nmt.lab.pipeline.runner import StepRunner
from nmt.lab.pipeline.steps import LOGS, PipelineStep
from nmt.lab.processes import ChildProcesses

KILLS, SECONDS = 20, 0.12
PROGRAM = ("sh", "-c", 'set -e; eval "$1"', "sh")
# Counts up in a file, as a training resumes, and is complete when the file has its name.
TRAIN = """
touch NAME.n; n=$(wc -l < NAME.n)
while [ $n -lt 10 ]; do sleep 0.01; n=$((n+1)); echo $n >> NAME.n; done; cp NAME.n .NAME; mv .NAME NAME
"""


def step(name: str, command: str, inputs: list[str], stdout: str | None = None) -> PipelineStep:
    return PipelineStep(name, [command.replace("NAME", name)], inputs, [stdout or name], stdout)


STEPS = [
    step("one", TRAIN, []),
    step("two", TRAIN, []),
    step("both", "cat one; sleep 0.02; cat two", ["one", "two"], "both"),
    step("sum", "cat both both | cksum", ["both"], "sum"),
]


def run(directory: Path, steps: list[PipelineStep] = STEPS, jobs: int = 2) -> list[StepResult]:
    directory.mkdir(exist_ok=True)
    with ChildProcesses(directory, jobs, detached=False) as processes:
        runner = StepRunner(directory, processes, PROGRAM)
        return run_steps(directory, steps, runner.run, jobs, lambda _: None)


def run_in_group(directory: Path) -> None:
    os.setsid()
    run(directory)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in directory.iterdir() if path.is_file() and path.name[0] != "."
    }


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell, and groups of processes")
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    draw, killed = random.Random(1), 0
    for _ in range(KILLS):
        process = multiprocessing.get_context("fork").Process(
            target=run_in_group, args=(tmp_path / "killed",)
        )
        process.start()
        process.join(draw.uniform(0.02, SECONDS))
        if process.is_alive():
            with suppress(ProcessLookupError):  # it has no group yet
                os.killpg(process.pid or 0, signal.SIGKILL)
            process.kill()
            killed += 1
        process.join()
    assert killed
    assert {result.status for result in run(tmp_path / "killed")} <= {"done", "unchanged"}
    run(tmp_path / "whole")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert {result.status for result in run(tmp_path / "killed")} == {"unchanged"}


def test_a_step_that_fails_leaves_no_output_and_says_why(tmp_path: Path) -> None:
    [result] = run(tmp_path, [step("a", "echo half; echo nmt: no space >&2; exit 3", [], "a.txt")])
    assert (result.status, result.message) == ("failed", "exit code 3: nmt: no space")
    assert contents(tmp_path) == {}
    assert (tmp_path / LOGS / "a.log").read_text("utf-8") == "nmt: no space\n"


def test_a_step_that_does_not_write_its_output_fails(tmp_path: Path) -> None:
    [result] = run(tmp_path, [step("a", "true", [])])
    assert result.status == "failed"
    assert result.message.startswith("it has not written a; see ")


def test_the_time_of_stopped_attempts_is_counted(tmp_path: Path) -> None:
    fails_once = "if [ -e NAME.n ]; then touch NAME; else touch NAME.n; exit 1; fi"
    run(tmp_path, [step("a", fails_once, [])])
    started = time.time() - 100  # as if it had run so long before it was stopped
    (tmp_path / LOGS / "a.json").write_text(f'{{"seconds": 0.0, "started": {started}}}', "utf-8")
    [result] = run(tmp_path, [step("a", fails_once, [])])
    assert 99 < result.seconds < 160


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="is not empty and is not a pipeline's"):
        run(tmp_path)


def test_ctrl_c_stops_the_commands(tmp_path: Path) -> None:
    class Interrupted(BaseException):
        """As by Ctrl-C."""

    def interrupt(result: StepResult) -> None:
        if result.name == "quick" and result.status == "done":
            raise Interrupted

    steps = [step("long", "sleep 600", []), step("quick", "touch NAME", [])]
    start = time.monotonic()
    with pytest.raises(Interrupted), ChildProcesses(tmp_path, 2, detached=False) as processes:
        run_steps(tmp_path, steps, StepRunner(tmp_path, processes, PROGRAM).run, 2, interrupt)
    assert time.monotonic() - start < 300
