"""kill -9 at random moments, again and again: what is left is gone on with to the end of a run never killed.

A moment is a call of a function, Python's or C's, in the thread that learns or in the one that saves: it is
drawn from all the calls that a run makes, and the process kills itself there. No test waits on the clock.
"""

import os
import random
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.training.hardware import seed_generators
from nmt.training.loop import Trainer
from tests.training.runs import Duration, TenBatches, make_guards, make_training
from tests.training.test_guards import NAN, Poisoned, batch_at
from tests.training.test_loop import same


def begun(run: Path, **parts: Any) -> Trainer:
    """As a new process begins: a fork seeds Python's generator by chance."""
    seed_generators(7)
    return make_training(run, **parts)


def eventful(run: Path) -> Trainer:
    """A run with a checkpoint after almost every update, skipped ones and a roll-back in each epoch."""
    guards = make_guards(skip=3, spike=3.0, window=4, rollbacks=99)
    settings = {"checkpoint_every": Duration(2, "u"), "guards": guards, "keep": 1}
    return begun(run, objective=Poisoned({batch_at(4): NAN, batch_at(9): 50.0}), settings=settings)


class Calls:
    """Counts the calls of all threads; at one of them the process kills itself."""

    def __init__(self, last: int | None = None) -> None:
        self.count, self.last = 0, last

    def __enter__(self) -> "Calls":
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self.count += 1
            if self.count == self.last:
                os.kill(os.getpid(), signal.SIGKILL)


def ended(life: Callable[[], object]) -> int:
    """Live in a forked process; gives what `os.waitpid` says of its end, 0 where all went well."""
    child = os.fork()
    if not child:
        try:
            life()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error}\n".encode())
            os._exit(1)
    return os.waitpid(child, 0)[1]


def killed_at(run: Path, call: int) -> bool:
    """Whether a run was killed at a call; else it has come to its end."""

    def life() -> None:
        with Calls(call):
            eventful(run).train()

    status = ended(life)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_runs_killed_at_random_moments_end_as_one_never_killed(tmp_path: Path, kills: int) -> None:
    straight = eventful(tmp_path / "straight")
    with Calls() as calls:
        straight.train()
    assert min(straight.run.guarded.skipped, straight.run.guarded.rolled_back) >= 2
    draw, done, runs = random.Random(kills), 0, 0
    while done < kills:
        runs += 1
        run = tmp_path / f"killed-{runs}"
        while done < kills and killed_at(run, draw.randrange(1, calls.count)):
            done += 1
        resumed = eventful(run)
        resumed.train()
        assert same(straight, resumed)


class Filling(TenBatches):
    """From the second epoch on the disk is full: no file can grow over 8,000 bytes; moments do."""

    training: Trainer

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        if epoch == 1:
            self.training.saver.wait()  # for that of the first epoch there is room
            resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
        return super().batches(epoch, start)


def test_a_full_disk_ends_the_run_with_the_reason_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    straight = begun(tmp_path / "straight")
    straight.train()

    def fill() -> None:
        epochs = Filling()
        epochs.training = begun(tmp_path / "full", epochs=epochs)
        with pytest.raises(DataError, match=r"u0000020: the checkpoint could not .*File too large"):
            epochs.training.train()

    assert ended(fill) == 0
    assert sorted(path.name for path in (tmp_path / "full" / "checkpoints").iterdir()) == [
        *("best", "last", "u0000010")
    ]
    resumed = begun(tmp_path / "full")
    resumed.train()
    assert same(straight, resumed)
