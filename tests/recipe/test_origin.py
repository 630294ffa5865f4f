"""The vocabularies, cells and settings that the weights of a checkpoint belong to."""

import json
from pathlib import Path

import pytest

from nmt.recipe import origin as origins
from nmt.recipe import training
from nmt.recipe.prepare_data import vocabulary_file
from nmt.recipe.reader import read_model_recipe
from nmt.recipe.schema import FILE_SETTINGS
from tests.recipe.test_run_directory import nmt, recipe  # noqa: F401

CELLS = "from nmt.cells.gru import GRU\n\n\nclass Mine(GRU):\n    pass\n"


@pytest.fixture
def run(recipe: Path) -> Path:  # noqa: F811
    """A run with a cell of a file."""
    Path("cells.py").write_text(CELLS, "utf-8")
    text = recipe.read_text("utf-8").replace("encoder: {", "encoder: {cell: cells.py:Mine, ")
    recipe.write_text(text, "utf-8")
    trained = nmt("train", recipe, "-o", "run")
    assert trained.exit_code == 0, trained.stderr
    Path("input").write_text("ein Hund\n", "utf-8")
    return Path("run")


USES = {
    "translate": ("translate", "run", "-i", "input", "-q"),
    "a checkpoint": ("translate", "run/checkpoints/last", "-i", "input", "-q"),
    "average": ("average", "run", "-o", "averaged"),
    "resume": ("train", "run/recipe.yaml", "training.stop_after=4u", "-o", "run"),
}


def edit_recipe(run: Path, old: str, new: str) -> None:
    text = (run / "recipe.yaml").read_text("utf-8")
    assert old in text
    (run / "recipe.yaml").write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("use", USES)
def test_a_whole_run_is_used(use: str, run: Path) -> None:
    used = nmt(*USES[use])
    assert used.exit_code == 0, used.stderr


@pytest.mark.parametrize("use", USES)
def test_a_vocabulary_with_other_words_is_refused(use: str, run: Path) -> None:
    file = vocabulary_file(run, "source")
    assert file is not None
    with file.open("a", encoding="utf-8") as vocabulary:
        vocabulary.write("appended\n")
    used = nmt(*USES[use])
    assert used.exit_code == 1
    assert "run/source.vocab" in used.stderr.replace("\n", "")
    assert not Path("averaged").exists()


@pytest.mark.parametrize("use", USES)
def test_a_cell_file_that_has_changed_is_refused(use: str, run: Path) -> None:
    for file in (Path("cells.py"), run / "cells.py"):
        file.write_text(CELLS + "\n", "utf-8")
    used = nmt(*USES[use])
    assert used.exit_code == 1
    assert "cells.py: refused: checksum mismatch" in used.stderr


@pytest.mark.parametrize("use", USES)
def test_settings_of_the_model_that_were_edited_are_refused(use: str, run: Path) -> None:
    edit_recipe(run, "attention: none", "attention: general")
    used = nmt(*USES[use])
    assert used.exit_code == (2 if use == "resume" else 1)
    assert "decoder.attention was none, is general" in used.stderr


def test_settings_that_only_training_uses_are_compared_when_the_run_resumes(run: Path) -> None:
    edit_recipe(run, "size: 4", "size: 5")
    assert nmt(*USES["translate"]).exit_code == 0
    resumed = nmt(*USES["resume"])
    assert resumed.exit_code == 2
    assert "training.batch.size was 4, is 5" in resumed.stderr


@pytest.mark.parametrize(
    ("old", "new"), [("protect: null", "protect: []"), ("size: 8000", "size: 900")], ids=["protect", "size"]
)
def test_settings_of_the_text_that_a_model_reads_are_compared(old: str, new: str, run: Path) -> None:
    edit_recipe(run, old, new)
    used = nmt(*USES["translate"])
    assert used.exit_code == 1
    assert f"was {old.split()[1]}, is {new.split()[1]}" in used.stderr.replace("\n", "")


@pytest.mark.parametrize("use", USES)
def test_other_lengths_of_the_training_data_are_refused(use: str, run: Path) -> None:
    (run / "lengths.json").write_text('{"tokens": 9, "sentences": 9}\n', "utf-8")
    used = nmt(*USES[use])
    assert used.exit_code == 1
    assert "run/lengths.json: refused: checksum mismatch" in used.stderr


def test_settings_that_change_by_name_are_not_recorded(run: Path) -> None:
    changes = ("--change", "training.learning_rate.peak=0.002", "--change", "encoder.dropout.output=0.1")
    changed = nmt("train", "run/recipe.yaml", "training.stop_after=3u", "-o", "run", *changes)
    assert changed.exit_code == 0, changed.stderr
    assert nmt(*USES["translate"]).exit_code == 0
    edit_recipe(run, "peak: 0.002", "peak: 0.003")
    assert nmt(*USES["translate"]).exit_code == 0
    again = nmt("train", "run/recipe.yaml", "training.stop_after=5u", "-o", "run")
    assert again.exit_code == 0, again.stderr


def test_settings_that_were_auto_are_recorded_with_their_values(run: Path) -> None:
    origin = json.loads((run / "checkpoints" / "last" / "checkpoint.json").read_bytes())["facts"]["origin"]
    assert origin["settings"]["evaluation.tokenize"] == "13a"
    assert nmt("train", "tiny.yaml", "training.stop_after=3u", "-o", "run").exit_code == 0


def test_paths_of_files_are_not_recorded(run: Path) -> None:
    origin = json.loads((run / "checkpoints" / "last" / "checkpoint.json").read_bytes())["facts"]["origin"]
    paths = {".".join(path) for path in FILE_SETTINGS}
    assert not paths & origin["settings"].keys()
    run.rename("moved")
    assert nmt("translate", "moved", "-i", "input", "-q").exit_code == 0


@pytest.mark.parametrize("use", USES)
def test_a_checkpoint_of_an_earlier_version_is_used(
    use: str,
    recipe: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(training, "describe_origin", lambda recipe, run: {})
        assert nmt("train", recipe, "-o", "run").exit_code == 0
    Path("input").write_text("ein Hund\n", "utf-8")
    used = nmt(*USES[use])
    assert used.exit_code == 0, used.stderr


def test_settings_that_may_change_may_be_edited(run: Path) -> None:
    edit_recipe(run, "stop_after: 2u", "stop_after: 3u")
    assert nmt("train", "run/recipe.yaml", "-o", "run").exit_code == 0
    assert (run / "checkpoints" / "last").readlink().name == "u0000003"


def test_a_setting_that_another_version_does_not_have_is_not_compared(run: Path) -> None:
    recipe = read_model_recipe(run)  # noqa: F811
    card = json.loads((run / "checkpoints" / "last" / "checkpoint.json").read_bytes())
    origin = origins.Origin(**card["facts"]["origin"])
    origin.settings["encoder.of_a_later_version"] = 1
    del origin.settings["decoder.hidden"]
    assert origins._find_differences(origin, recipe) == {}
    assert {"source.vocab", "target.vocab", "cells.py", "lengths.json"} == set(origin.sha256)
