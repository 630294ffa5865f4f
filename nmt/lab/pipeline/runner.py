"""The run of a step: its command in a process in the directory of the pipeline, its log and its time."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from nmt.errors import DataError, UsageError
from nmt.files import atomic_file, write_file
from nmt.lab.pipeline.steps import LOGS, STATE, PipelineStep
from nmt.lab.processes import ChildProcesses, read_error_message
from nmt.untrusted_files import read_json


class AttemptTimes(NamedTuple):
    """The time of a step that has not finished."""

    seconds: float  # of earlier attempts
    started: float  # the current attempt, in seconds since the epoch


class StepRunner:
    """A runner of steps in the directory of a pipeline; UsageError if it has other files."""

    def __init__(
        self,
        directory: Path,
        processes: ChildProcesses,
        program: Sequence[str] = (sys.executable, "-m", "nmt"),
    ) -> None:
        self.directory, self.processes, self.program = directory, processes, program
        if not (directory / STATE).exists():
            if any(not path.name.startswith(".") for path in directory.iterdir()):
                raise UsageError(
                    f"{directory} is not empty and is not a pipeline's; choose another with --output"
                )
            write_file(directory / STATE, b"{}\n")
        (directory / LOGS).mkdir(exist_ok=True)

    def run(self, step: PipelineStep) -> float:
        """Run a step and return its seconds, with those of attempts that were stopped.

        Raises DataError if it fails.
        """
        log, times = (self.directory / LOGS / f"{step.name}.{suffix}" for suffix in ("log", "json"))
        before, start = _read_seconds(times, log), time.monotonic()
        write_file(times, json.dumps(AttemptTimes(before, time.time())._asdict()).encode())
        self._run_command(step, log)
        for output in step.outputs:
            if not (self.directory / output).exists():
                raise DataError(f"it has not written {output}; see {log}")
        times.unlink()
        return before + time.monotonic() - start

    def _run_command(self, step: PipelineStep, log: Path) -> None:
        command = [*self.program, *step.words]
        with ExitStack() as stack:
            output = None
            if step.stdout:
                side = stack.enter_context(atomic_file(self.directory / step.stdout))
                output = stack.enter_context(side.open("wb"))
            messages = stack.enter_context(log.open("wb"))
            code = self.processes.run(
                command,
                messages.fileno(),
                output=None if output is None else output.fileno(),
                folder=self.directory,
            )
            if code:
                raise DataError(f"exit code {code}: {read_error_message(log)}")


def _read_seconds(times: Path, log: Path) -> float:
    """Return the seconds of attempts that were stopped; the last one ended with its last message."""
    try:
        known = read_json(times, AttemptTimes)
        return known.seconds + max(log.stat().st_mtime - known.started, 0.0)
    except (DataError, OSError):
        return 0.0
