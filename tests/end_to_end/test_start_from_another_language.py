"""Runs that start from a model of other languages: its vocabulary kept, extended, or replaced."""

import json
from pathlib import Path

import pytest
import torch

from nmt.recipe.tasks.language_model import load_language_model
from nmt.recipe.tasks.translation import load_translator
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt, write_lines

WORDS = {
    "σκύλος": "ძაღლი",
    "γάτα": "კატა",
    "δέντρο": "ხე",
    "σπίτι": "სახლი",
    "πουλί": "ჩიტი",
    "ψάρι": "თევზი",
}
SHORT = ("training.stop_after=1u", "training.learning_rate.peak=1e-30", "training.validation.metric=loss")


@pytest.fixture(scope="module")
def greek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of Greek and Georgian, whose letters the other model has never read, and a recipe for them."""
    home = tmp_path_factory.mktemp("greek")
    pairs = [(f"{a} {b}.", f"{WORDS[a]} {WORDS[b]}.") for a in WORDS for b in WORDS]
    for part, rows in {"train": pairs, "valid": pairs[:5]}.items():
        write_lines(home / f"{part}.el", [source for source, _ in rows])
        write_lines(home / f"{part}.ka", [target for _, target in rows])
    (home / "greek.yaml").write_text(
        "data: {root: ., src: el, tgt: ka, train: train, valid: valid}\n"
        "encoder: {cell: gru, embedding: 32, hidden: 32}\n"
        "decoder: {cell: lstm, embedding: 32, hidden: 64, attention: additive, tie: all}\n"
        "training: {batch: {size: 32}, threads: 1, validation: {samples: 0}}\n",
        encoding="utf-8",
    )
    return home / "greek.yaml"


def test_a_text_that_the_vocabulary_does_not_know_is_refused(
    greek: Path, finished: Finished, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for _ in range(2):  # nothing is left that would be taken for a vocabulary the second time
        result = nmt("train", greek, *SHORT, f"training.start_from={finished.run}", "-o", run)
        assert result.exit_code == 2
        assert "does not fit the source text: of its " in result.stderr
        assert ") are unknown, for example" in result.stderr
        assert "subwords.from_start=extend" in result.stderr
        assert any(letter in result.stderr for letter in "σκυλοςγάτα")


@pytest.mark.parametrize("setting", ["size=50", "kind=bpe", "kind=pretokenized", "normalisation=nfc"])
def test_settings_of_another_vocabulary_are_refused(setting: str, finished: Finished, tmp_path: Path) -> None:
    start, run = f"training.start_from={finished.run}", tmp_path / "run"
    result = nmt("train", finished.recipe, *SHORT, start, f"subwords.{setting}", "-o", run)
    name, value = setting.split("=")
    assert result.exit_code == 2
    assert f"subwords.{name} is {value}, in {finished.run} it is" in result.stderr
    assert "subwords.from_start=new" in result.stderr


@pytest.mark.parametrize("choice", ["extend", "new"])
@pytest.mark.parametrize("joint", [True, False])
def test_vectors_of_shared_tokens_are_taken_over(
    choice: str, joint: bool, greek: Path, finished: Finished, tmp_path: Path
) -> None:
    run, tie = tmp_path / "run", "all" if joint else "target"
    settings = (f"subwords.from_start={choice}", f"subwords.joint={joint}", f"decoder.tie={tie}")
    command = ("train", greek, *SHORT, *settings, "subwords.size=40")
    began = nmt(*command, f"training.start_from={finished.run}", "-o", run)
    done(began)
    assert "vocabulary: " in began.stderr
    assert "as the mean of all" in began.stderr
    mine, theirs = load_translator(run), load_translator(finished.run)
    assert (len(mine.target) > len(theirs.target)) == (choice == "extend")
    assert 3 not in mine.source.encode("σκύλος γάτα.") + mine.target.encode("ძაღლი კატა.")
    output, before = mine.model.decoder.output, theirs.model.decoder.output
    assert torch.equal(mine.model.decoder.embedding.weight, output.weight)
    old = {token: i for i, token in enumerate(theirs.target.spellings)}
    for i, token in enumerate(mine.target.spellings):
        if token in old:
            assert torch.equal(output.weight[i], before.weight[old[token]])
            assert torch.equal(output.bias[i], before.bias[old[token]])
        elif not {*token} & {*old}:
            assert torch.allclose(output.weight[i], before.weight[4:].mean(0))
            assert torch.allclose(output.bias[i], before.bias[4:].mean(0))
    names = {name for name in mine.model.state_dict() if ".stack." in name or ".attention." in name}
    assert names
    for name in names:
        assert torch.equal(mine.model.state_dict()[name], theirs.model.state_dict()[name])


def test_a_vocabulary_of_the_same_size_is_not_taken_for_the_same(finished: Finished, tmp_path: Path) -> None:
    """Rows are matched by token, not by number."""
    swapped = finished.recipe.read_text(encoding="utf-8").replace("src: de, tgt: en", "src: en, tgt: de")
    recipe, run = finished.recipe.parent / "swapped.yaml", tmp_path / "run"
    recipe.write_text(swapped, encoding="utf-8")
    new = ("subwords.from_start=new", "subwords.character_coverage=0.999")
    done(nmt("train", recipe, *SHORT, *new, f"training.start_from={finished.run}", "-o", run))
    mine, theirs = load_translator(run), load_translator(finished.run)
    shared = {*mine.target.spellings} & {*theirs.target.spellings}
    assert len(shared) > 20
    for token in shared:
        rows = mine.target.spellings.index(token), theirs.target.spellings.index(token)
        assert torch.equal(
            mine.model.decoder.output.weight[rows[0]], theirs.model.decoder.output.weight[rows[1]]
        )


def test_an_extended_run_resumes_without_its_starting_point(
    greek: Path, finished: Finished, tmp_path: Path
) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    done(nmt("average", finished.run, "-o", model))
    command = (
        "train",
        greek,
        f"training.start_from={model}",
        "subwords.from_start=extend",
        "subwords.size=40",
    )
    metric = "training.validation.metric=loss"
    done(nmt(*command, metric, "training.stop_after=2u", "-o", run))
    model.rename(tmp_path / "gone")
    done(nmt(*command, metric, "training.stop_after=4u", "-o", run))
    updates = [json.loads(line)["update"] for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert updates[-1] == 4


def test_a_language_model_extends_a_vocabulary(greek: Path, finished: Finished, tmp_path: Path) -> None:
    file, run = tmp_path / "text.yaml", tmp_path / "run"
    file.write_text(
        f"task: language-model\ndata: {{root: {greek.parent}, train: train.ka, valid: valid.ka}}\n"
        "decoder: {embedding: 32, hidden: 64}\n"
        "training: {threads: 1, batch: {size: 32}, validation: {samples: 0}}\n",
        encoding="utf-8",
    )
    command = ("train", file, *SHORT[:2], f"training.start_from={finished.run}", "subwords.size=40")
    refused = nmt(*command, "-o", run)
    assert (refused.exit_code, "subwords.size is 40" in refused.stderr) == (2, True)
    refused = nmt(*command, "subwords.size=8000", "-o", run)
    assert (refused.exit_code, "does not fit the training text" in refused.stderr) == (2, True)
    done(nmt(*command, "subwords.from_start=extend", "-o", run))
    model, parent = load_language_model(run), load_translator(finished.run)
    assert model.vocabulary.spellings[: len(parent.target)] == parent.target.spellings
    rows = model.model.decoder.embedding.weight[: len(parent.target)]
    assert torch.equal(rows, parent.model.decoder.embedding.weight)


def test_a_vocabulary_to_start_from_needs_a_model(finished: Finished, tmp_path: Path) -> None:
    for choice in ("extend", "new"):
        result = nmt("train", finished.recipe, f"subwords.from_start={choice}", "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert "subwords.from_start: is for a run that starts from a model" in result.stderr


CYRILLIC = str.maketrans("abcdefghiklmnopqrstuvwz", "абцдефгхиклмнопярстувшз")


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["extend", "new"])
def test_a_model_of_another_language_helps(choice: str, finished: Finished, tmp_path: Path) -> None:
    """The source is in another script, the target is that of the other model."""
    for part in ("train", "valid"):
        german = (finished.text / f"{part}.de").read_text("utf-8").lower().splitlines()
        english = (finished.text / f"{part}.en").read_text("utf-8").splitlines()
        write_lines(tmp_path / f"{part}.xx", [line.translate(CYRILLIC) for line in german])
        write_lines(tmp_path / f"{part}.en", english)
    recipe = tmp_path / "child.yaml"
    text = finished.recipe.read_text("utf-8").replace("root: text, src: de", f"root: {tmp_path}, src: xx")
    recipe.write_text(text.replace(", test: test", ""), "utf-8")
    short = ("training.stop_after=40u", "training.validation.metric=loss", "training.validation.every=40u")
    begun = (f"training.start_from={finished.run}", f"subwords.from_start={choice}")
    losses = []
    for name, settings in (("child", begun), ("alone", ())):
        done(nmt("train", recipe, *short, *settings, "-o", tmp_path / name))
        events = (tmp_path / name / "metrics.jsonl").read_text("utf-8").splitlines()
        losses.append(json.loads(events[-1])["loss"])
    assert losses[0] < 0.7 * losses[1]
