"""The mean of the last checkpoints: compared with the best, written if it is better, never resumed from."""

from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.errors import DataError
from nmt.training import checkpoint
from nmt.training.ema import average_weights
from nmt.training.final_average import AVERAGE, compare_average, find_average
from nmt.training.loop import Trainer
from nmt.training.validation import ValidationResult
from tests.training.runs import make_training, validate

FACTS = {"metric": "chrf", "keep": 3}


class Judge:
    """A validation whose chrF is 40 for checkpoints and `score` for their mean."""

    def __init__(self, score: float, usual: float = 40.0) -> None:
        self.score, self.usual = score, usual

    def __call__(self, model: Any, name: str) -> ValidationResult:
        found = validate(model, name)
        scores = found.scores | {"chrf": self.score if name == AVERAGE else self.usual}
        return found._replace(scores=scores)


def trained(run: Path, score: float, usual: float = 40.0, **settings: Any) -> Trainer:
    trainer = make_training(run, validator=Judge(score, usual), settings={**FACTS, **settings})
    trainer.train()
    return trainer


def best_of(trainer: Trainer) -> Path:
    return checkpoint.follow_link(trainer.checkpoints / "best")


def test_a_better_mean_is_written_and_used(tmp_path: Path) -> None:
    trainer = trained(tmp_path, 41.0)
    record = compare_average(trainer, 2)
    assert record is not None
    last = checkpoint.list_checkpoints(trainer.checkpoints)[-2:]
    assert record.checkpoints == [path.name for path in last]
    assert (record.score, record.best_score, record.best) == (41.0, 40.0, best_of(trainer).resolve().name)
    assert "chrf 41.000" in str(record)
    assert "40.000; the mean is used" in str(record)
    directory = find_average(trainer.checkpoints, best_of(trainer))
    assert directory is not None
    written, expected = checkpoint.read_model(directory)[0], average_weights(last)
    assert all(torch.equal(written[name], tensor) for name, tensor in expected.items())
    assert "the mean is used" in (tmp_path / "train.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("score", [40.0, 39.0, float("nan")])
def test_a_mean_that_is_not_better_is_removed(tmp_path: Path, score: float) -> None:
    trainer = trained(tmp_path, 41.0)
    compare_average(trainer, 2)
    trainer.validator = Judge(score)
    record = compare_average(trainer, 2)
    assert record is not None
    assert f"{record.best} is used" in str(record)
    assert find_average(trainer.checkpoints, best_of(trainer)) is None
    assert not (trainer.checkpoints / AVERAGE).exists()


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_averaged_if_the_setting_says_so(tmp_path: Path, count: int) -> None:
    assert compare_average(trained(tmp_path, 41.0), count) is None


def test_a_run_at_the_floor_of_its_metric_is_not_averaged(tmp_path: Path) -> None:
    assert compare_average(trained(tmp_path, 41.0, usual=0.0), 2) is None


def test_a_lower_loss_is_better(tmp_path: Path) -> None:
    trainer = make_training(tmp_path, settings={"metric": "loss", "keep": 3})
    trainer.train()
    record = compare_average(trainer, 3)
    assert record is not None
    assert record.is_better == (record.score < record.best_score)


def test_a_run_that_is_resumed_knows_nothing_of_the_mean(tmp_path: Path) -> None:
    """Also the mean that belongs to an earlier best checkpoint is not used."""
    straight = trained(tmp_path / "straight", 41.0)
    trainer = trained(tmp_path / "run", 41.0)
    compare_average(trainer, 2)
    old = best_of(trainer)
    again = trained(tmp_path / "run", 41.0)
    a, b = (checkpoint.find_latest(one.checkpoints).checkpoint for one in (straight, again))
    assert a is not None
    assert b is not None
    assert all(torch.equal(a.model[name], b.model[name]) for name in a.model)
    assert find_average(again.checkpoints, old) is not None
    assert find_average(again.checkpoints, again.checkpoints / "u9999999") is None


def test_a_damaged_mean_is_refused(tmp_path: Path) -> None:
    trainer = trained(tmp_path, 41.0)
    compare_average(trainer, 2)
    file = trainer.checkpoints / AVERAGE / "checkpoint.json"
    file.write_text(file.read_text(encoding="utf-8").replace("41.0", "42.0"), encoding="utf-8")
    with pytest.raises(DataError, match="checksum mismatch"):
        find_average(trainer.checkpoints, best_of(trainer))
