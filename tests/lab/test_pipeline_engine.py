"""Steps run when something has changed, resume, fail alone and run in parallel."""

import json
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.lab.pipeline.engine import StepResult, run_steps
from nmt.lab.pipeline.runner import StepRunner
from nmt.lab.pipeline.steps import STATE, PipelineStep, sort_steps
from nmt.lab.processes import ChildProcesses

STEPS = [
    PipelineStep("model", ["train", "r"], ["in"], ["model"]),
    PipelineStep("out", ["translate", "model"], ["model"], ["out"], needs=["model"]),
    PipelineStep("other", ["clean", "in"], ["in"], ["other"]),
]


class Commands:
    """Instead of commands: each step writes its outputs, which hold what it has read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.names = folder, list[str]()
        self.failing: str | None = None
        (folder / "in").write_text("text", "utf-8")

    def __call__(self, step: PipelineStep) -> float:
        self.names.append(step.name)
        if step.name == self.failing:
            raise DataError("exit code 1: no space")
        read = ""
        for name in step.inputs:
            path = self.folder / name
            read += (path / "weights" if path.is_dir() else path).read_text("utf-8")
        for name in step.outputs:
            if name == "model":
                (self.folder / name).mkdir(exist_ok=True)
                (self.folder / name / "weights").write_text(f"weights of {read}", "utf-8")
                (self.folder / name / "train.log").write_text("", "utf-8")
            else:
                (self.folder / name).write_text(f"{step.name} of {read}", "utf-8")
        return 60.0


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def run(commands: Commands, steps: list[PipelineStep] = STEPS, jobs: int = 1) -> dict[str, StepResult]:
    """Run the steps, and forget the commands of earlier calls."""
    commands.names.clear()
    return {
        result.name: result for result in run_steps(commands.folder, steps, commands, jobs, lambda _: None)
    }


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_step_is_run_once(commands: Commands, jobs: int) -> None:
    assert {result.status for result in run(commands, jobs=jobs).values()} == {"done"}
    assert sorted(commands.names) == ["model", "other", "out"]
    again = run(commands, jobs=jobs)
    assert commands.names == []
    assert {(result.status, result.seconds) for result in again.values()} == {("unchanged", 60.0)}


def changed_input(folder: Path) -> list[PipelineStep]:
    (folder / "in").write_text("other text", "utf-8")
    return STEPS


def changed_output(folder: Path) -> list[PipelineStep]:
    (folder / "model" / "weights").write_text("torn", "utf-8")
    return STEPS


def missing_output(folder: Path) -> list[PipelineStep]:
    (folder / "other").unlink()
    return STEPS


def changed_command(folder: Path) -> list[PipelineStep]:
    return [*STEPS[:2], STEPS[2]._replace(words=["clean", "in", "--max-words=9"])]


def changed_recipe(folder: Path) -> list[PipelineStep]:
    return [STEPS[0]._replace(recipe="seed: 2"), *STEPS[1:]]


def log_of_a_run(folder: Path) -> list[PipelineStep]:
    (folder / "model" / "train.log").write_text("looked at", "utf-8")
    return STEPS


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (changed_input, ["model", "out", "other"]),
        (changed_output, ["model"]),  # it becomes what it was, so nothing after it has changed
        (missing_output, ["other"]),
        (changed_command, ["other"]),
        (changed_recipe, ["model"]),
        (log_of_a_run, []),
    ],
)
def test_only_what_has_changed_is_run_again(commands: Commands, change, names: list[str]) -> None:  # type: ignore[no-untyped-def]
    run(commands)
    run(commands, change(commands.folder))
    assert sorted(commands.names) == sorted(names)


def test_another_version_runs_all_again(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    run(commands)
    monkeypatch.setattr("nmt.lab.pipeline.steps.__version__", "9.9")
    run(commands)
    assert len(commands.names) == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_stops_only_what_needs_it(commands: Commands, jobs: int) -> None:
    commands.failing = "model"
    results = run(commands, jobs=jobs)
    assert {name: result.status for name, result in results.items()} == {
        **{"model": "failed", "out": "not run", "other": "done"},
    }
    assert results["model"].message == "exit code 1: no space"
    assert results["out"].message == "it needs model"
    commands.failing = None
    run(commands, jobs=jobs)
    assert commands.names == ["model", "out"]


def test_what_is_finished_is_on_disk_before_the_next_step_starts(commands: Commands) -> None:
    class Killed(BaseException):
        """As by kill -9: nothing after it is executed."""

    def stop(step: PipelineStep) -> float:
        if step.name == "out":
            assert "model" in json.loads((commands.folder / STATE).read_bytes())
            raise Killed
        return commands(step)

    with pytest.raises(Killed):
        run_steps(commands.folder, STEPS, stop, 1, lambda _: None)
    run(commands)
    assert sorted(commands.names) == ["other", "out"]


def test_an_input_that_changes_while_a_step_runs_is_reported(commands: Commands) -> None:
    def edit(step: PipelineStep) -> float:
        if step.name == "other":
            (commands.folder / "in").write_text("edited", "utf-8")
        return commands(step)

    results = run_steps(commands.folder, STEPS[2:], edit, 1, lambda _: None)
    assert results[0].message == "in changed while the step ran"
    assert run(commands)["other"].status == "done"


def test_independent_steps_run_at_the_same_time(commands: Commands) -> None:
    together = threading.Barrier(2, timeout=60)

    def meet(step: PipelineStep) -> float:
        if step.name != "out":
            together.wait()
        return commands(step)

    results = run_steps(commands.folder, STEPS, meet, 2, lambda _: None)
    assert {result.status for result in results} == {"done"}


def test_a_damaged_state_is_reported(commands: Commands) -> None:
    (commands.folder / STATE).write_text("{", "utf-8")
    with pytest.raises(DataError, match=r"steps\.json is damaged: remove it"):
        run(commands)


def test_a_bug_in_a_step_is_not_taken_for_its_failure(commands: Commands) -> None:
    def broken(step: PipelineStep) -> float:
        raise ZeroDivisionError("bug")

    with pytest.raises(RuntimeError, match="ZeroDivisionError: bug"):
        run_steps(commands.folder, STEPS, broken, 1, lambda _: None)


def test_the_settings_of_a_step_are_the_same_in_a_moved_directory(tmp_path: Path) -> None:
    here, there = (STEPS[0]._replace(words=["train", f"{tmp_path / name}/x"]) for name in "ab")
    assert here.settings(tmp_path / "a") == there.settings(tmp_path / "b")


def test_steps_are_sorted_by_what_they_need_else_as_written() -> None:
    steps = [STEPS[1], STEPS[2], STEPS[0]]
    assert [step.name for step in sort_steps(steps)] == ["other", "model", "out"]


def test_a_clock_that_is_set_back_gives_no_negative_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = count(1_000_000, -1000)
    with ChildProcesses(tmp_path, 1) as processes:
        folder = tmp_path / "pipeline"
        folder.mkdir()
        runner = StepRunner(folder, processes, program=[sys.executable, "-c", ""])
        monkeypatch.setattr(time, "time", lambda: float(next(clock)))
        assert runner.run(PipelineStep("one", [], [], [])) >= 0
