"""A plateau that goes back to the best weights with each cut."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.errors import DataError
from nmt.training import checkpoint
from nmt.training.loop import Trainer
from tests.training.runs import Duration, make_schedule, make_training
from tests.training.test_loop import Interrupted, events, same, scores

KINDS = ["weights", "weights-and-moments"]
SCORES = [1.0, 5.0, 3.0, 4.0, 6.0, 2.0]  # at updates 2, 4 (the best), 6 (a cut), 8 (a cut), 10, 12 (a cut)


def make(run: Path, rollback: str, **parts: Any) -> Trainer:
    """Twelve updates; what validations find is given."""
    settings = {
        "metric": "bleu",
        "every": Duration(2, "u"),
        "stop_after": Duration(12, "u"),
        "keep": 9,
        "rollback": rollback,
        "ema": parts.pop("ema", None),
        "checkpoint_every": Duration(1, "u"),
    }
    found = scores(parts.pop("found", SCORES))
    schedule = make_schedule("plateau", peak=0.05)
    return make_training(run, schedule=schedule, validator=found, settings=settings, **parts)


@pytest.mark.parametrize("ema", [None, 0.8])
@pytest.mark.parametrize("rollback", KINDS)
def test_with_a_cut_the_best_weights_are_back_and_their_moments_if_wanted(
    tmp_path: Path, rollback: str, ema: float | None
) -> None:
    make(tmp_path, rollback, ema=ema).train()
    best, cut, other = (checkpoint.read(tmp_path / "checkpoints" / f"u000000{u}") for u in (4, 6, 5))
    assert all(torch.equal(best.model[name], cut.model[name]) for name in best.model)
    moments = {name for name in best.trainer if name.startswith("optimiser/")}
    raw = {name for name in best.trainer if name.startswith("weights/")}
    assert moments
    assert bool(raw) == (ema is not None)
    back = raw | (moments if rollback == "weights-and-moments" else set())
    assert {name for name in cut.trainer if name.startswith(("optimiser/", "weights/"))} == back
    assert all(torch.equal(best.trainer[name], cut.trainer[name]) for name in back)
    assert not torch.equal(best.model["embedding.weight"], other.model["embedding.weight"])
    assert not torch.equal(best.trainer["generator/torch"], cut.trainer["generator/torch"])
    assert [(event["update"], event["to"]) for event in events(tmp_path, "back-to-best")] == [
        (6, 4),
        (8, 4),
        (12, 10),
    ]
    assert [checkpoint.read(tmp_path / "checkpoints" / f"u000000{u}").metadata["scores"] for u in (4, 6)] == [
        {"loss": 1.0, "bleu": 5.0},
        None,  # what was measured is not what is kept
    ]
    assert "continuing from the best weights, those of update 4" in (tmp_path / "train.log").read_text(
        encoding="utf-8"
    )


# Before the cut, at it, after it.
@pytest.mark.parametrize(("stop", "rollback"), [(5, KINDS[0]), (6, KINDS[0]), (6, KINDS[1]), (7, KINDS[1])])
def test_a_run_stopped_around_a_cut_ends_like_one_never_stopped(
    tmp_path: Path, rollback: str, stop: int
) -> None:
    straight = make(tmp_path / "straight", rollback, ema=0.8)
    straight.train()
    made = stop // 2
    make(tmp_path / "stopped", rollback, ema=0.8, epochs=Interrupted(stop - 1)).train()
    torch.manual_seed(999)
    resumed = make(tmp_path / "stopped", rollback, ema=0.8, found=SCORES[made:])
    resumed.train()
    assert same(straight, resumed)


def test_a_kill_between_the_cut_and_its_checkpoint_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = make(tmp_path / "straight", "weights")
    straight.train()

    def killed(directory: Path, *rest: Any) -> None:
        if directory.name == "u0000006":
            raise MemoryError
        write(directory, *rest)

    write = checkpoint.write
    monkeypatch.setattr(checkpoint, "write", killed)
    with pytest.raises(MemoryError):
        make(tmp_path / "killed", "weights").train()
    monkeypatch.undo()
    resumed = make(tmp_path / "killed", "weights", found=SCORES[2:])
    resumed.train()
    assert same(straight, resumed)


def test_without_a_good_validation_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    make(tmp_path, "weights", found=[math.nan] * 6).train()
    assert events(tmp_path, "back-to-best") == []


def test_a_best_checkpoint_that_was_altered_is_refused(tmp_path: Path) -> None:
    training = make(tmp_path, "weights", epochs=Interrupted(4))
    training.train()
    (tmp_path / "checkpoints" / "u0000004" / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="refused: checksum mismatch"):
        make(tmp_path, "weights", found=SCORES[2:]).train()
