"""`nmt doctor` and `nmt plot` as they are typed, on a run that went well and on copies that did not."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.lab.curves import read_events
from nmt.lab.doctor.diagnose_run import find_epochs
from nmt.training.checkpoint import read, write
from nmt.training.run_state import BestScore, RunState
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt


def findings(*words: object) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(nmt("doctor", *words, "--json").stdout)["findings"]
    return found


def test_a_run_that_went_well_is_reported_in_numbers_without_problems(finished: Finished) -> None:
    said = done(nmt("doctor", finished.run))
    assert said.startswith("run       100 updates, ")
    assert "best      chrf " in said
    assert said.endswith("no problems found\n")


def test_parts_of_an_epoch_are_counted(finished: Finished) -> None:
    events = read_events(finished.run)
    facts = json.loads(nmt("doctor", finished.run, "--json").stdout)["facts"]
    assert facts["run"]["epochs"] == pytest.approx(events[-1]["epoch"], abs=1e-3)
    short = RunState(BestScore("bleu"), update=2)
    assert find_epochs(short, [{"event": "update", "update": 2, "epoch": 0.04}, events[-1]]) == 0.04
    assert find_epochs(short, []) == 0


def test_a_good_recipe_is_reported_with_its_cost(finished: Finished) -> None:
    said = done(nmt("doctor", finished.recipe, "--updates", 2))
    assert f"train     300 pairs: {finished.text}/train.de and" in said.replace("\n          ", " ")
    assert "training  60," in said
    assert "parameters, peak memory" in said
    assert "100 updates of" in said.replace("\n          ", " ")
    assert "error" not in said
    assert max(map(len, said.splitlines())) <= 80 or str(finished.text) in said


def test_facts_and_findings_are_json_too(finished: Finished) -> None:
    told = json.loads(done(nmt("doctor", finished.recipe, "--updates", 1, "--json")))
    assert told["facts"]["train"]["count"] == 300
    assert told["facts"]["training"]["parameters"] > 10_000
    assert told["facts"]["training"]["seconds_per_update"] > 0


def test_no_trial_update_is_run_with_updates_0(finished: Finished) -> None:
    told = json.loads(done(nmt("doctor", finished.recipe, "--updates", 0, "--json")))
    assert "training" not in told["facts"]


def test_nothing_is_left_behind_by_the_trial(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(finished.text.iterdir())
    done(nmt("doctor", finished.recipe, "--updates", 1))
    assert list(tmp_path.iterdir()) == []
    assert sorted(finished.text.iterdir()) == before


def test_errors_in_the_data_come_first_and_set_the_exit_code(finished: Finished, tmp_path: Path) -> None:
    text = tmp_path / "text"
    shutil.copytree(finished.text, text)
    (text / "train.en").write_bytes((text / "train.en").read_bytes() + b"one more\n")
    (text / "test.de").write_bytes((text / "valid.de").read_bytes())
    (text / "test.en").write_bytes((text / "valid.en").read_bytes())
    result = nmt("doctor", finished.recipe, f"data.root={text}")
    assert result.exit_code == 1
    assert "\nerror" in result.stdout
    assert "train.de has 300 lines but" in result.stdout.replace("\n          ", " ")
    assert result.stdout.endswith("1 error, 1 note\n")


def test_a_recipe_whose_training_fails_at_once_is_wrong(finished: Finished) -> None:
    found = findings(finished.recipe, "data.max_length=2", "data.min_length=2")
    assert [finding["level"] for finding in found] == ["error"]
    assert "no pair is left" in found[0]["what"]


def test_dropped_pairs_are_counted(finished: Finished) -> None:
    (left_out,) = findings(finished.recipe, "data.max_length=17", "--updates", 0)
    assert left_out["level"] == "warning"
    assert left_out["what"] == "13% of the training pairs are dropped: 39 longer than 17 tokens"
    assert left_out["where"] == "data.train, first: line 2"


def test_unknown_tokens_are_counted_and_shown(finished: Finished) -> None:
    settings = ["subwords.kind=pretokenized", "subwords.min_count=100", "decoder.tie=target"]
    source, target = findings(finished.recipe, *settings, "--updates", 0)
    assert "not in the source vocabulary" in source["what"]
    assert "data.train 1,200 (67%; first: line 1), data.valid 80 (67%; first: line 1)" in target["where"]
    assert (source["level"], target["level"]) == ("error", "error")
    assert "kleine | Fisch" in source["example"]


def broken(finished: Finished, folder: Path, breaking: Callable[[Any], None]) -> Path:
    """A copy of the run whose best model's weights were changed."""
    run = folder / "run"
    shutil.copytree(finished.run, run, symlinks=True)
    best = (run / "checkpoints" / "best").resolve()
    saved = read(best)
    breaking(saved.model)
    shutil.rmtree(best)
    write(best, saved.model, saved.trainer, saved.metadata)
    return run


@pytest.mark.parametrize(
    ("last", "what"),
    [
        ({"loss": None, "perplexity": None}, "the loss became NaN at update 9,000"),
        ({"loss": 50.0, "perplexity": math.exp(50)}, "the loss is worse than random guessing: 50.00"),
        ({"loss": 2.0, "perplexity": 7.4}, "there is no checkpoint yet"),
    ],
)
def test_a_run_that_diverged_before_its_first_checkpoint_is_named(
    finished: Finished, tmp_path: Path, last: dict[str, float], what: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.run, run, symlinks=True)
    shutil.rmtree(run / "checkpoints")
    events = [
        {"event": "update", "update": update, "epoch": 1.0, "loss": 5.0, "perplexity": 148.4}
        for update in (30, 60)
    ]
    lines = [json.dumps(event) for event in (*events, {**events[0], "update": 9000, **last})]
    (run / "metrics.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (finding,) = findings(run)
    assert finding["what"].startswith(what)


def unknown_only(model: Any) -> None:
    model["decoder.output.bias"][3] = 1e4


def empty(model: Any) -> None:
    model["decoder.output.bias"][2] = 1e4


def one_word(model: Any) -> None:
    model["decoder.output.bias"][7] = 1e4


@pytest.mark.parametrize(
    ("breaking", "what"),
    [
        (unknown_only, "100% of the translations are mostly unknown words"),
        (empty, "100% of the translations are empty"),
        (one_word, "100% of the translations repeat a word or a few words again and again"),
    ],
)
def test_a_model_with_a_classic_failure_is_reported(
    finished: Finished, tmp_path: Path, breaking: Callable[[Any], None], what: str
) -> None:
    result = nmt("doctor", broken(finished, tmp_path, breaking))
    assert result.exit_code == 1
    assert what in result.stdout.replace("\n          ", " ")
    assert "Try: " in result.stdout


def test_a_run_that_cannot_be_examined_is_reported(finished: Finished, tmp_path: Path) -> None:
    assert nmt("doctor", tmp_path).exit_code == 2
    result = nmt("doctor", finished.run, "seed=2")
    assert result.exit_code == 2
    assert "remove the other arguments" in result.stderr
    run = tmp_path / "run"
    shutil.copytree(finished.run, run, symlinks=True)
    written = (run / "recipe.yaml").read_text("utf-8")
    (run / "recipe.yaml").write_text(written.replace(f"root: {finished.text}", "root: corpus:gone"), "utf-8")
    result = nmt("doctor", run)
    assert result.exit_code == 0
    assert "warning   no translations were checked: no corpus 'gone'" in result.stdout
    for file in run.glob("checkpoints/u*/model.safetensors"):
        file.write_bytes(b"torn")
    result = nmt("doctor", run)
    assert result.exit_code == 1
    assert "no complete checkpoint is left" in result.stdout.replace("\n          ", " ")


def test_the_curves_of_runs_are_drawn(finished: Finished, tmp_path: Path) -> None:
    picture = tmp_path / "curves.svg"
    assert done(nmt("plot", finished.run, finished.run, "-o", picture, "-m", "bleu")) == f"{picture}\n"
    assert "bleu" in picture.read_text(encoding="utf-8")
    done(nmt("plot", finished.run, "-o", picture, "--against", "seconds"))
    assert "seconds" in picture.read_text(encoding="utf-8")
    assert nmt("plot", finished.run, "-m", "blue").exit_code == 2
