"""The steps of a pipeline as tasks of doit, which runs those that have changed, several at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from doit.control import TaskControl
from doit.dependency import DatabaseException, Dependency, FileChangedChecker, JsonDB
from doit.exceptions import BaseFail, TaskError, TaskFailed, UnmetDependency
from doit.reporter import ZeroReporter
from doit.runner import MThreadRunner, Runner
from doit.task import Task

from nmt.errors import DataError, NmtError
from nmt.files import write_file
from nmt.lab.pipeline.steps import CHECKSUMS, STATE, PipelineStep, compute_checksum

Status = Literal["running", "done", "unchanged", "failed", "not run"]


class StepResult(NamedTuple):
    """The outcome of a step."""

    name: str
    status: Status
    seconds: float = 0.0  # of its command, when it was run
    message: str = ""


def run_steps(
    directory: Path,
    steps: Sequence[PipelineStep],
    run: Callable[[PipelineStep], float],
    jobs: int,
    show: Callable[[StepResult], None],
) -> list[StepResult]:
    """Run the steps that are not finished or have changed, `jobs` at a time, and return all outcomes.

    `run` runs the command of a step and returns its seconds. A failure stops only the steps that depend on
    it. The state is saved after every step, so the same call resumes after a kill.
    """
    checksum = partial(_compute_checksum, directory)
    try:
        states = Dependency(_StateFile, str(directory / STATE), partial(_ChecksumChecker, checksum))
    except DatabaseException:
        raise DataError(f"{directory / STATE} is damaged: remove it to run all steps again") from None
    tasks = [_build_task(directory, step, run, checksum) for step in steps]
    control = TaskControl(tasks)
    control.process(None)
    listener = _Listener(states, show)
    if jobs == 1:
        runner = Runner(states, listener, continue_=True)
    else:
        runner = MThreadRunner(states, listener, continue_=True, num_process=jobs)
    runner.run_all(control.task_dispatcher())
    return [listener.results[step.name] for step in steps]


def _build_task(
    directory: Path, step: PipelineStep, run: Callable[[PipelineStep], float], checksum: Callable[[str], str]
) -> Task:
    """Build a task that is current while its settings, its inputs and its outputs have not changed."""
    settings = step.settings(directory)

    def execute() -> dict[str, Any] | TaskFailed:
        try:
            before = {name: checksum(name) for name in step.inputs}
            seconds = run(step)
            changed = [name for name in step.inputs if checksum(name) != before[name]]
            if changed:
                return TaskFailed(f"{changed[0]} changed while the step ran")
            outputs = {output: checksum(output) for output in step.outputs}
        except (NmtError, OSError) as error:
            return TaskFailed(str(error))
        return {"settings": settings, "outputs": outputs, "seconds": seconds}

    def is_current(task: Task, values: dict[str, Any]) -> bool:
        try:
            outputs = {output: checksum(output) for output in step.outputs}
        except (NmtError, OSError):
            return False
        return values.get("settings") == settings and values.get("outputs") == outputs

    return Task(
        step.name,
        [(execute,)],
        file_dep=list(step.inputs),
        targets=list(step.outputs),
        uptodate=[is_current],
        io={"capture": False},
        verbosity=0,
    )


def _compute_checksum(directory: Path, name: str) -> str:
    return compute_checksum(directory / name, directory / CHECKSUMS)


class _StateFile(JsonDB):  # type: ignore[misc] # doit has no types
    """The state of all tasks in a JSON file, which is replaced and never partly written."""

    def dump(self) -> None:
        write_file(Path(self.name), (self.codec.encode(self._db) + "\n").encode())


class _ChecksumChecker(FileChangedChecker):  # type: ignore[misc]
    """A comparison of inputs, which may be directories, by their checksums."""

    def __init__(self, checksum: Callable[[str], str]) -> None:
        self.info = checksum

    def exists(self, file_path: str) -> bool:
        """Return True: outputs are compared by their checksums."""
        return True

    def check_modified(self, file_path: str, file_stat: str, state: str) -> bool:
        return file_stat != state

    def get_state(self, dep: str, current_state: str | None) -> str | None:
        state = self.info(dep)
        return None if state == current_state else state


class _Listener(ZeroReporter):  # type: ignore[misc]
    """A reporter of doit that records the results, and saves the state after every step."""

    def __init__(self, states: Dependency, show: Callable[[StepResult], None]) -> None:
        super().__init__(None, {})
        self.states, self.show = states, show
        self.results: dict[str, StepResult] = {}

    def record_result(self, task: Task, status: Status, message: str = "") -> None:
        self.states.backend.dump()
        seconds = self.states.get_values(task.name).get("seconds", 0.0)
        self.results[task.name] = StepResult(task.name, status, seconds, message)
        self.show(self.results[task.name])

    def execute_task(self, task: Task) -> None:
        self.show(StepResult(task.name, "running"))

    def add_success(self, task: Task) -> None:
        self.record_result(task, "done")

    def skip_uptodate(self, task: Task) -> None:
        self.record_result(task, "unchanged")

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        if isinstance(fail, UnmetDependency):
            self.record_result(task, "not run", f"it needs {fail.message}")
        elif isinstance(fail, TaskError) and fail.traceback:
            raise RuntimeError(fail.get_msg())
        else:
            self.record_result(task, "failed", fail.message)
