"""The model of a run that later commands use: its best checkpoint, or the mean of the last ones."""

import json
import shutil
from pathlib import Path

import pytest

from nmt.recipe.artifact import find_chosen
from nmt.training import final_average
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt


@pytest.fixture
def averaged(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete run whose mean is better, whatever its score."""
    run = tmp_path / "run"
    shutil.copytree(finished.run, run, symlinks=True)
    monkeypatch.setattr(final_average.AverageRecord, "is_better", True)
    assert "the mean of u0000050, u0000100" in nmt("run", finished.recipe, "-o", run).stderr
    return run


def test_run_reports_both_scores_and_uses_one_of_them(finished: Finished) -> None:
    log = (finished.run / "train.log").read_text(encoding="utf-8")
    assert "the mean of u0000050, u0000100: chrf " in log
    used = find_chosen(finished.run).name
    assert ("the mean is used" in log) == (used == "average")


def test_the_mean_is_what_later_commands_use(averaged: Path, finished: Finished, tmp_path: Path) -> None:
    assert find_chosen(averaged).name == "average"
    source = ("-q", "-i", finished.text / "test.de")
    of_run = done(nmt("translate", averaged, *source))
    assert of_run == done(nmt("translate", averaged / "checkpoints" / "average", *source))
    assert of_run == (averaged / "test.hyp").read_text(encoding="utf-8")
    done(nmt("average", averaged, "-o", tmp_path / "model"))
    assert of_run == done(nmt("translate", tmp_path / "model", *source))
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "the mean of the checkpoints u0000050, u0000100" in card
    assert "not of this mean" not in card
    done(nmt("average", averaged, "-o", tmp_path / "last", "-c", "last"))
    card = (tmp_path / "last" / "README.md").read_text(encoding="utf-8")
    assert "Of the run's mean of u0000050, u0000100" in card


def test_training_resumes_from_checkpoints_only(averaged: Path, finished: Finished) -> None:
    events = (averaged / "metrics.jsonl").read_bytes()
    done(nmt("train", finished.recipe, "-o", averaged))
    assert (averaged / "metrics.jsonl").read_bytes() == events
    done(nmt("train", finished.recipe, "training.stop_after=150u", "-o", averaged))
    text = (averaged / "metrics.jsonl").read_text(encoding="utf-8")
    assert json.loads(text.splitlines()[-1])["update"] == 150
    best = (averaged / "checkpoints" / "best").resolve().name
    assert find_chosen(averaged).name == ("average" if best == "u0000100" else best)


def test_run_tunes_the_search_before_the_test(finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run, symlinks=True)
    printed = done(nmt("run", finished.recipe, "-o", run, "--tune"))
    assert "chosen on 20 validation lines" in printed
    chosen = json.loads((run / "tuning.json").read_bytes())["search"]["chosen"]
    source = ("-q", "-i", finished.text / "test.de")
    options = ("--beam", chosen["beam"], "--length-penalty", chosen["length_penalty"])
    assert done(nmt("translate", run, *source)) == done(nmt("translate", run, *source, *options))


def test_a_language_model_has_no_search_to_tune() -> None:
    result = nmt("run", "hello", "--tune")
    assert result.exit_code == 2
    assert "--tune is for translators" in result.stderr
