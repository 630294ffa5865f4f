"""Parallel work in several processes, with results in the order of the tasks. On Linux they are forked and
share the loaded model. Elsewhere forking a running program is not safe: they are spawned, and each loads a
model. A worker gets a task after its last result was received, so neither side blocks on a full pipe."""

import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from nmt.errors import DataError, NmtError
from nmt.operating_system import START_METHOD

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
Work = Callable[[TaskT], ResultT]

TASKS_AHEAD = 4  # tasks per worker that are running, or done and waiting for an earlier one


class TaskSource(Protocol):
    """An input that can be waited for."""

    def fileno(self) -> int: ...

    def is_ready(self) -> bool:
        """Return True if the next task can be read without waiting, as far as is known."""


class Workers(Generic[TaskT, ResultT]):
    """A context with worker processes that each run one task at a time.

    At most `ahead` tasks per process are in memory. `begin` is called once in each process and returns the
    function that does the work; if processes are spawned, it must be importable by name.
    """

    def __init__(
        self,
        begin: Callable[[], Work[TaskT, ResultT]],
        count: int,
        method: str = START_METHOD,
        *,
        ahead: int = TASKS_AHEAD,
    ) -> None:
        self._begin, self._count, self._method, self._held = begin, count, method, ahead * count
        self._processes: dict[Connection, BaseProcess] = {}

    def __enter__(self) -> "Workers[TaskT, ResultT]":
        context: Any = get_context(self._method)
        pipes = [context.Pipe() for _ in range(self._count)]
        for ours, theirs in pipes:
            # A forked process inherits all ends, and would keep the pipes of ended processes open.
            others = [end for pipe in pipes for end in pipe if end is not theirs]
            inherited = others if self._method == "fork" else []
            process = context.Process(target=_run_worker, args=(self._begin, theirs, inherited), daemon=True)
            if self._method == "spawn":
                start_spawned(process)
            else:
                process.start()
            self._processes[ours] = process
        for _, theirs in pipes:
            theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        for pipe, process in self._processes.items():
            pipe.close()
            process.kill()
            process.join()

    def map(
        self, tasks: Iterable[TaskT], source: "TaskSource | None" = None
    ) -> Iterator[tuple[TaskT, ResultT]]:
        """Yield each task with its result, in order; re-raise exceptions; DataError if a worker dies.

        With a `source`, which the tasks are read from, results are not held back while it has no input.
        """
        waiting, is_open = enumerate(tasks), True
        idle, busy = list(self._processes), dict[Connection, int]()
        given, results, next_result = dict[int, TaskT](), dict[int, ResultT](), 0
        while True:
            while is_open and idle and len(given) < self._held:
                if given and source is not None and not source.is_ready():
                    break
                if (task := next(waiting, None)) is None:
                    is_open = False
                    break
                pipe = idle.pop()
                busy[pipe], given[task[0]] = task[0], task[1]
                try:
                    pipe.send(task[1])
                except OSError:
                    raise self._death(pipe) from None
            if not given:
                return
            is_waiting = source is not None and is_open and idle and len(given) < self._held
            ready = wait([*busy, *([source.fileno()] if source and is_waiting else [])])
            for pipe in [pipe for pipe in busy if pipe in ready]:
                results[busy.pop(pipe)] = self._receive(pipe)
                idle.append(pipe)
            while next_result in results:
                yield given.pop(next_result), results.pop(next_result)
                next_result += 1

    def _receive(self, pipe: Connection) -> ResultT:
        try:
            result: ResultT | Exception = pipe.recv()
        except (EOFError, OSError):
            raise self._death(pipe) from None
        if isinstance(result, Exception):
            raise result
        return result

    def _death(self, pipe: Connection) -> DataError:
        process = self._processes[pipe]
        process.join()
        code = process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return DataError(
            f"a worker process {how}; if it ran out of memory, use fewer workers or smaller batches"
        )


def start_spawned(process: BaseProcess) -> None:
    """Start a process that does not import the program, unlike other spawned ones.

    Otherwise each would run a script again that has no `if __name__ == "__main__"`.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        process.start()
    finally:
        sys.modules["__main__"] = program


def _run_worker(
    begin: Callable[[], Work[TaskT, ResultT]], pipe: Connection, inherited: list[Connection]
) -> None:
    """Run tasks until the pipe is closed; Ctrl-C is handled by the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for end in inherited:
        end.close()
    try:
        try:
            work = begin()
        except NmtError as error:  # the answer to the first task
            pipe.recv()
            pipe.send(error)
            return
        while True:
            task = pipe.recv()
            try:
                result: ResultT | Exception = work(task)
            except NmtError as error:
                result = error
            except Exception:
                result = RuntimeError(f"in a worker process:\n{traceback.format_exc()}")
            pipe.send(result)
    except (EOFError, OSError):
        return
