"""Child processes of `nmt` that work in one directory and end with their parent."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nmt.errors import raise_termination
from nmt.operating_system import count_cores, request_stop, start_process
from nmt.recipe.run_directory import lock_directory
from nmt.untrusted_files import LOG_BYTES, read_bytes


class ChildProcesses:
    """A context in which child processes run in a directory, `jobs` at a time; on exit they are stopped.

    SIGTERM stops them too. `cores` are divided among the jobs; `detached` processes do not receive Ctrl-C.
    Raises UsageError while another process works in the same directory or, if it was killed, while its
    children are still running.
    """

    def __init__(
        self, directory: Path, jobs: int, *, cores: int = count_cores(), detached: bool = True
    ) -> None:
        self.directory, self.jobs, self.cores, self.detached = directory, jobs, cores, detached
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._closed = threading.Lock(), False
        self._on_exit = ExitStack()

    def __enter__(self) -> "ChildProcesses":
        self._directory_lock = self._on_exit.enter_context(lock_directory(self.directory))
        self._sigterm_handler = signal.signal(signal.SIGTERM, raise_termination)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for process in running:
            request_stop(process)
        for process in running:
            process.wait()
        signal.signal(signal.SIGTERM, self._sigterm_handler)
        self._on_exit.close()

    def run(
        self,
        command: Sequence[str],
        log: int,
        *,
        output: int | None = None,
        shares_cores: bool = True,
        folder: Path | None = None,
    ) -> int:
        """Run a command and return its exit code; with `shares_cores`, parallel ones share the cores equally.

        Stderr goes to the descriptor `log`, and stdout to `output`, or to `log` without it.
        """
        shared = self.jobs > 1 and shares_cores
        threads = {"OMP_NUM_THREADS": str(max(self.cores // self.jobs, 1))} if shared else {}
        with self._lock:
            if self._closed:
                return -1
            process = start_process(
                list(command),
                log=log,
                output=log if output is None else output,
                environment={**threads, **os.environ},
                inherited=self._directory_lock,  # locked until all of them have ended
                detached=self.detached,
                folder=folder,
            )
            self._running.add(process)
        code = process.wait()
        with self._lock:
            self._running.remove(process)
        return code


def read_error_message(log: Path) -> str:
    """Return the last error of `nmt` in a log as one line; without one, the last line."""
    lines = [line.strip() for line in read_bytes(log, LOG_BYTES).decode(errors="replace").split("\n")]
    lines = [line for line in lines if line] or ["no output"]
    errors = [i for i, line in enumerate(lines) if line.startswith("nmt: ")] or [len(lines) - 1]
    first = next(i for i in reversed(errors) if i - 1 not in errors)
    return " ".join(lines[first:])
