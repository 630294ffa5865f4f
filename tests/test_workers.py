"""Work in other processes: in order, and nobody is left behind or waited for in vain."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from nmt.errors import DataError, UsageError
from nmt.workers import TASKS_AHEAD, Workers

HUGE = 1_000_000  # more than a pipe holds
SCRIPT = """
import math
from functools import partial
from nmt.workers import Workers

with Workers(partial(partial, math.sqrt), 2, "spawn") as workers:
    print([*workers.map([1, 4])])
"""


def doubling() -> Callable[[str], str]:
    return lambda text: text * 2


def unable() -> Callable[[str], str]:
    raise DataError("the model is damaged")


def failing(error: Exception, at: int) -> Callable[[], Callable[[int], int]]:
    def work(task: int) -> int:
        if task == at:
            raise error
        return task

    return lambda: work


def dying(at: int) -> Callable[[int], int]:
    def work(task: int) -> int:
        if task == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    return work


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_results_come_in_the_order_of_the_tasks(method: str) -> None:
    tasks = [str(number) * (number % 5) for number in range(20)]
    with Workers(doubling, 2, method) as workers:
        assert list(workers.map(tasks)) == [(task, task * 2) for task in tasks]


def test_tasks_and_results_larger_than_a_pipe_do_not_block() -> None:
    with Workers(doubling, 3) as workers:
        assert [len(result) for _, result in workers.map(["x" * HUGE] * 7)] == [2 * HUGE] * 7


def test_tasks_are_read_no_further_ahead_than_they_are_worked_at() -> None:
    read = count()
    with Workers(doubling, 2) as workers:
        assert len(list(islice(workers.map(str(next(read)) for _ in count()), 50))) == 50
    assert next(read) <= 50 + 2 * TASKS_AHEAD


def test_no_task_gives_no_result() -> None:
    with Workers(doubling, 2) as workers:
        assert list(workers.map([])) == []


def test_what_a_worker_says_to_people_is_said() -> None:
    with (
        pytest.raises(UsageError, match="no attention"),
        Workers(failing(UsageError("no attention"), 3), 2) as w,
    ):
        list(w.map(range(9)))


def test_a_bug_in_a_worker_shows_where() -> None:
    with pytest.raises(RuntimeError, match="in work"), Workers(failing(ZeroDivisionError(), 0), 2) as workers:
        list(workers.map(range(9)))


def test_a_worker_that_dies_is_an_error_that_says_how_and_what_was_before_it_is_given() -> None:
    with Workers(partial(dying, 5), 1) as workers:
        found = workers.map(range(9))
        assert [next(found) for _ in range(5)] == [(task, task) for task in range(5)]
        with pytest.raises(DataError, match="killed by SIGKILL"):
            next(found)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_error_before_the_first_task_is_reported_as_it_is(method: str) -> None:
    with Workers(unable, 2, method) as workers, pytest.raises(DataError, match="model is damaged"):
        list(workers.map([1, 2, 3]))


def test_workers_end_when_their_parent_is_killed() -> None:
    read, write = os.pipe()

    def parent() -> None:
        os.close(read)
        with Workers(doubling, 2) as workers:
            next(workers.map(["a"] * 5))
            os.kill(os.getpid(), signal.SIGKILL)

    process = get_context("fork").Process(target=parent)
    process.start()
    os.close(write)
    with os.fdopen(read, "rb") as held:
        assert held.read() == b""  # its end comes when nobody has it open any more
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_no_worker_is_left_when_the_block_is_left_by_an_error() -> None:
    processes: list[BaseProcess] = []

    def interrupted() -> None:
        with Workers(doubling, 2) as workers:
            next(workers.map(["a"] * 5))
            processes.extend(workers._processes.values())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


def test_spawned_processes_do_not_run_a_script_again(tmp_path: Path) -> None:
    """Python imports it in each, which ends with an error unless it checks `__name__`."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"[(1, 1.0), (4, 2.0)]\n", b"")
