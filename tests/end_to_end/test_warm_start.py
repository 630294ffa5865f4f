"""Runs that begin with another model: fine-tuned, grown by a layer, or taught by what it writes."""

import json
from pathlib import Path

import pytest
import torch

from nmt.recipe.tasks.language_model import load_language_model
from nmt.recipe.tasks.translation import load_translator
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import accuracy, done, nmt, reversed_, spelt, write_corpus, write_recipe

STUDENT = Path(__file__).parents[2] / "docs/examples/student.yaml"
STILL = ("training.learning_rate.peak=1e-30", "training.stop_after=1u", "training.validation.metric=loss")


def loss(run: Path) -> float:
    """The loss of the last validation."""
    last = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    return float(json.loads(last)["loss"])


def test_a_run_starts_with_the_vocabularies_and_weights_of_another(
    finished: Finished, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    began = nmt("train", finished.recipe, *STILL, f"training.start_from={finished.run}", "-o", run)
    done(began)
    mine, theirs = load_translator(run), load_translator(finished.run)
    names = theirs.model.state_dict().keys()
    assert f"starting from {finished.run}: {len(names) - 2} of {len(names) - 2} tensors" in began.stderr
    assert mine.source.fingerprint() == theirs.source.fingerprint()
    for name, tensor in mine.model.state_dict().items():
        assert torch.equal(tensor, theirs.model.state_dict()[name]), name


def test_a_started_run_does_not_need_its_starting_point_any_more(finished: Finished, tmp_path: Path) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    done(nmt("average", finished.run, "-o", model))
    command = ("train", finished.recipe, f"training.start_from={model}", "training.validation.metric=loss")
    done(nmt(*command, "training.stop_after=2u", "-o", run))
    model.rename(tmp_path / "gone")
    again = nmt(*command, "training.stop_after=4u", "-o", run)
    done(again)
    assert "starting from" not in again.stderr


def test_a_model_grows_by_a_layer(finished: Finished, tmp_path: Path) -> None:
    grown = tmp_path / "grown"
    deeper = ("encoder.layers=2", "encoder.residual_from=2", "decoder.layers=2", "decoder.residual_from=2")
    start = (f"training.start_from={finished.run}", "training.learning_rate.peak=3e-3")
    began = nmt("train", finished.recipe, *deeper, *start, "training.stop_after=30u", "-o", grown)
    done(began)
    assert "new here: encoder.stack.layers.1.directions.0.W" in began.stderr
    untaught = tmp_path / "untaught"
    done(nmt("train", finished.recipe, *deeper, start[1], "training.stop_after=30u", "-o", untaught))
    assert loss(grown) < 0.8 * loss(untaught)


def test_what_does_not_fit_is_reported(finished: Finished, tmp_path: Path) -> None:
    wider = ("encoder.hidden=16", f"training.start_from={finished.run}")
    began = nmt("train", finished.recipe, *STILL, *wider, "-o", tmp_path / "wider")
    done(began)
    assert "of another shape: encoder.stack.layers.0.directions.0.W" in began.stderr


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("nowhere", "does not exist"),
        (".", "is neither a run, a checkpoint nor a model directory"),
    ],
)
def test_a_missing_starting_point_is_refused(
    start: str, message: str, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = nmt("train", finished.recipe, f"training.start_from={start}", "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert message in result.stderr


def test_vocabularies_of_two_sides_are_not_taken_for_one(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", reversed_, train=40, held_out=4)
    recipe, apart = write_recipe(tmp_path / "toy.yaml", corpus), tmp_path / "apart"
    write_lines = (corpus / "train.tgt").read_text(encoding="utf-8").upper()
    (corpus / "train.tgt").write_text(write_lines, encoding="utf-8")
    short = ("training.stop_after=1u", "training.learning_rate.warmup=0")
    done(nmt("train", recipe, *short, "subwords.joint=false", "-o", apart))
    result = nmt("train", recipe, *short, f"training.start_from={apart}", "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "has two vocabularies: set subwords.joint=false" in result.stderr


def test_a_language_model_starts_from_another_and_even_from_a_translators_decoder(
    finished: Finished, tmp_path: Path
) -> None:
    file, run, again = tmp_path / "text.yaml", tmp_path / "run", tmp_path / "again"
    file.write_text(
        f"task: language-model\ndata: {{root: {finished.text}, train: train.en, valid: valid.en}}\n"
        "decoder: {embedding: 32, hidden: 64}\ntraining: {threads: 1, batch: {size: 32}}\n",
        encoding="utf-8",
    )
    short = ("training.stop_after=1u", "training.learning_rate.peak=1e-30", "training.validation.samples=0")
    done(nmt("train", file, *short, f"training.start_from={finished.run}", "-o", run))
    done(nmt("train", file, *short, f"training.start_from={run}", "-o", again))
    translator, model = load_translator(finished.run), load_language_model(again)
    assert model.vocabulary.fingerprint() == translator.target.fingerprint()
    assert torch.equal(model.model.decoder.embedding.weight, translator.model.decoder.embedding.weight)


def test_the_recipe_of_the_student_is_valid() -> None:
    assert done(nmt("recipes", "validate", STUDENT))


@pytest.mark.slow
def test_a_student_learns_what_its_teacher_writes(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", spelt, train=1500)
    recipe, teacher, student = (
        write_recipe(tmp_path / "toy.yaml", corpus),
        tmp_path / "teacher",
        tmp_path / "s",
    )
    done(nmt("train", recipe, "training.stop_after=150u", "-o", teacher))
    done(nmt("translate", teacher, "-q", "-i", corpus / "train.src", "-o", corpus / "distilled.tgt"))
    toy = (f"data.root={corpus}", "data.src=src", "data.tgt=tgt", "data.train=[train.src, distilled.tgt]")
    short = ("subwords.kind=pretokenized", "training.stop_after=250u", "training.validation.metric=loss")
    done(nmt("train", STUDENT, *toy, *short, "-o", student))
    hyps = done(nmt("translate", student, "-q", "-i", corpus / "test.src"))
    assert accuracy(hyps, corpus / "test.tgt") >= 0.8


def test_exposure_is_shown_as_a_table_as_json_and_as_a_picture(finished: Finished, tmp_path: Path) -> None:
    picture = tmp_path / "exposure.svg"
    table = done(nmt("inspect", "exposure", finished.run, "--positions", "4", "--plot", picture)).splitlines()
    assert table[0].split() == ["position", "words", "forced", "free", "gap"]
    assert [line.split()[0] for line in table[1:]][:4] == ["1", "2", "3", "4"]
    assert table[-1].split()[0] == "all"
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    rows = json.loads(
        done(nmt("inspect", "exposure", finished.run, "--json", "--data", finished.text / "test"))
    )
    assert rows[0]["position"] == 1
    assert rows[0]["gap"] == pytest.approx(0.0, abs=1e-6)
    assert sum(row["words"] for row in rows) > 20


def test_exposure_of_pairs_that_are_not_there_is_refused(finished: Finished, tmp_path: Path) -> None:
    result = nmt("inspect", "exposure", finished.run, "--data", tmp_path / "nothing")
    assert (result.exit_code, "nothing.de" in result.stderr) == (1, True)
