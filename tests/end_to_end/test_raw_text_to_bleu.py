"""From raw text to a score, and on to a model that can be passed on, as a user types it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt


def test_a_run_directory_holds_all_that_is_promised(finished: Finished) -> None:
    run = finished.run
    for name in ("recipe.yaml", "source.spm", "target.spm", "metrics.jsonl", "train.log", "test.hyp"):
        assert (run / name).stat().st_size > 0, name
    for link in ("best", "last"):
        path = run / "checkpoints" / link
        assert path.is_symlink()
        names = {file.name for file in path.iterdir()}
        assert names == {"model.safetensors", "trainer.safetensors", "checkpoint.json"}
    hyps = [path.name for path in sorted((run / "validation").iterdir())]
    assert hyps == ["average.hyp", "u0000050.hyp", "u0000100.hyp"]
    assert not [path for path in run.rglob("*") if path.name.endswith((".part", ".partial"))]


def test_the_model_learned_the_text(finished: Finished) -> None:
    assert bleu(finished) > 60
    log = (finished.run / "train.log").read_text(encoding="utf-8")
    assert "training pairs: kept 300 of 300 pairs" in log
    assert "stopped after update 100: the run is complete" in log


def bleu(finished: Finished) -> float:
    scores = json.loads((finished.run / "scores.json").read_text(encoding="utf-8"))
    return float(scores[0]["value"])


def test_the_scores_carry_their_signatures(finished: Finished) -> None:
    scores = json.loads((finished.run / "scores.json").read_text(encoding="utf-8"))
    assert [score["name"] for score in scores] == ["BLEU", "chrF2", "TER"]
    assert all("|version:" in score["signature"] for score in scores)
    assert scores[0]["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    assert scores[0]["signature"] in finished.printed


def test_the_metrics_are_one_object_a_line(finished: Finished) -> None:
    lines = (finished.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert [(event["event"], event["update"]) for event in events] == [
        ("update", 50),
        ("validation", 50),
        ("update", 100),
        ("validation", 100),
    ]
    assert events[2]["loss"] < events[0]["loss"]


def test_translate_and_score_give_what_run_gave(finished: Finished, tmp_path: Path) -> None:
    hyp = tmp_path / "hyp"
    done(nmt("translate", finished.run, "-i", finished.text / "test.de", "-o", hyp))
    assert hyp.read_bytes() == (finished.run / "test.hyp").read_bytes()
    systems = json.loads(done(nmt("score", hyp, "-r", finished.text / "test.en", "--json")))
    assert systems[0]["scores"][0]["value"] == pytest.approx(bleu(finished))


def test_the_same_command_again_finds_nothing_left_to_do(finished: Finished) -> None:
    weights = (finished.run / "checkpoints" / "last" / "model.safetensors").read_bytes()
    assert bleu(finished) > 60
    again = nmt("run", finished.recipe, "-o", finished.run)
    assert done(again) == finished.printed
    assert "resuming from" in again.stderr
    assert (finished.run / "checkpoints" / "last" / "model.safetensors").read_bytes() == weights


def test_an_averaged_model_translates_wherever_it_is_moved(finished: Finished, tmp_path: Path) -> None:
    made, moved = tmp_path / "made", tmp_path / "elsewhere" / "model"
    assert "the mean of u0000050, u0000100" in done(nmt("average", finished.run, "-o", made))
    shutil.copytree(made, moved)
    shutil.rmtree(made)
    names = {path.name for path in moved.iterdir()}
    assert names == {
        "recipe.yaml",
        "source.spm",
        "target.spm",
        "lengths.json",
        "model.safetensors",
        "model.json",
        "config.json",
        "README.md",
    }
    lines = done(nmt("translate", moved, "-q", "-i", finished.text / "test.de")).splitlines()
    assert len(lines) == 20
    assert all(lines)


def test_the_average_of_one_checkpoint_is_that_checkpoint(finished: Finished, tmp_path: Path) -> None:
    done(nmt("average", finished.run, "-o", tmp_path / "one", "-c", "last"))
    source = ("-q", "-i", finished.text / "test.de")
    of_average = done(nmt("translate", tmp_path / "one", *source))
    assert of_average == done(nmt("translate", finished.run / "checkpoints" / "last", *source))


def test_alignments_and_candidates_come_out_of_a_trained_model(finished: Finished, tmp_path: Path) -> None:
    pairs, text = tmp_path / "pairs", b"Der alte Hund sucht einen Stein.\n\n"
    found = done(nmt("translate", finished.run, "-q", "--n-best", 2, "--alignments", pairs, stdin=text))
    assert [line.split(" ||| ")[0] for line in found.splitlines()] == ["0", "0", "1"]
    aligned = pairs.read_text(encoding="utf-8").split("\n")
    assert aligned[1:] == ["", ""]
    assert all(int(source) < 6 for source, _ in (pair.split("-") for pair in aligned[0].split()))
