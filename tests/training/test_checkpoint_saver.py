"""Saving beside training: what is saved, in which order, what fails; and checkpoints by the minute."""

import os
import threading
from pathlib import Path

import pytest
import torch

from nmt.errors import DataError
from nmt.training import checkpoint
from nmt.training.checkpoint import CheckpointSaver
from tests.training.runs import Duration, make_training


class Gate:
    """Takes the place of making the metrics durable, the first thing a save does: it waits, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.open, self.error = threading.Event(), error

    def __call__(self) -> None:
        self.open.wait()
        if self.error is not None:
            raise self.error


def save(saver: CheckpointSaver, update: int, weight: torch.Tensor, *, good: int | None = None) -> None:
    saver.save(update, {"w": weight}, {"m": weight}, {"update": update}, best=None, good=good)


def test_what_is_saved_is_as_it_was_when_saving_began(tmp_path: Path) -> None:
    gate, weight = Gate(), torch.ones(3)
    with CheckpointSaver(tmp_path, 2, gate) as saver:
        save(saver, 1, weight)
        weight.zero_()  # training goes on at once
        assert checkpoint.list_checkpoints(tmp_path) == []
        gate.open.set()
    assert torch.equal(checkpoint.read(tmp_path / "u0000001").model["w"], torch.ones(3))


def test_one_save_waits_for_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, weight = Gate(), torch.ones(3)
    with CheckpointSaver(tmp_path, 2, gate) as saver:
        save(saver, 1, weight)
        wait = saver.wait
        monkeypatch.setattr(saver, "wait", lambda: (gate.open.set(), wait()))
        save(saver, 2, weight + 1)
        assert (tmp_path / "u0000001").is_dir()
    values = [checkpoint.read(path).model["w"][0].item() for path in checkpoint.list_checkpoints(tmp_path)]
    assert values == [1.0, 2.0]


def test_shapes_and_types_may_change_from_save_to_save(tmp_path: Path) -> None:
    with CheckpointSaver(tmp_path, 9, lambda: None) as saver:
        for update, weight in enumerate([torch.ones(3), torch.ones(2), torch.ones(2, dtype=torch.int64)], 1):
            save(saver, update, weight)
    kept = [checkpoint.read(path).model["w"] for path in checkpoint.list_checkpoints(tmp_path)]
    assert [(tuple(tensor.shape), tensor.dtype) for tensor in kept] == [
        ((3,), torch.float32),
        ((2,), torch.float32),
        ((2,), torch.int64),
    ]


def test_what_fails_in_the_background_is_raised_and_once(tmp_path: Path) -> None:
    gate = Gate(DataError("full"))
    gate.open.set()
    saver = CheckpointSaver(tmp_path, 2, gate)
    save(saver, 1, torch.ones(3))
    with pytest.raises(DataError, match="full"):
        saver.wait()
    saver.wait()


def saves_once(saver: CheckpointSaver, then: Exception | None = None) -> None:
    with saver:
        save(saver, 1, torch.ones(3))
        if then:
            raise then


def test_a_failure_of_the_last_save_is_raised_at_the_end(tmp_path: Path) -> None:
    gate = Gate(DataError("full"))
    gate.open.set()
    with pytest.raises(DataError, match="full"):
        saves_once(CheckpointSaver(tmp_path, 2, gate))


def test_an_error_of_training_lets_the_save_under_way_end(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        saves_once(CheckpointSaver(tmp_path, 2, lambda: None), ZeroDivisionError())
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == ["u0000001"]


def test_a_checkpoint_that_is_spared_is_not_deleted(tmp_path: Path) -> None:
    with CheckpointSaver(tmp_path, 1, lambda: None) as saver:
        for update in (1, 2, 3):
            save(saver, update, torch.ones(3), good=1)
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == ["u0000001", "u0000003"]


class Clock:
    """Every look at it is half a minute later, so that an update takes that long."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 30.0
        return self.now


def test_checkpoints_come_by_the_minute_and_a_run_may_end_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.loop.time.perf_counter", Clock())
    settings = {
        "checkpoint_every": Duration(2, "m"),
        "stop_after": Duration(5, "m"),
        "every": Duration(9, "e"),
        "keep": 9,
    }
    result = make_training(tmp_path, settings=settings).train()
    assert (result.update, result.seconds) == (10, 300.0)
    names = [path.name for path in checkpoint.list_checkpoints(tmp_path / "checkpoints")]
    assert names == ["u0000004", "u0000008", "u0000010"]
    assert os.readlink(tmp_path / "checkpoints" / "last") == "u0000010"


def test_minutes_are_those_of_learning_in_all_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.loop.time.perf_counter", Clock())
    for minutes, updates in ((2, 4), (3, 6)):
        result = make_training(tmp_path, settings={"stop_after": Duration(minutes, "m")}).train()
        assert result.update == updates
