"""A run directory of somebody else with links to files of the user: none is read, changed or passed on."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.data.vocabulary import SIDES
from nmt.errors import DataError
from nmt.recipe.prepare_data import load_vocabularies
from nmt.recipe.reader import read_model_recipe
from nmt.untrusted_files import check_links
from tests.end_to_end.toy import nmt

ARTIFACTS = Path(__file__).resolve().parent.parent / "compatibility" / "v0.1"
WRITES = {
    "train": "train {home}/translation.yaml -o {run}",
    "shortlist": "shortlist {run}",
    "average": "average {run} -o {home}/out",
}
LINKS = ("train.log", "metrics.jsonl", "shortlist.safetensors", ".lock", "new", "source.spm", "data/new")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A run of somebody else, the recipe that resumes it, and a file of the user."""
    shutil.copytree(ARTIFACTS / "interrupted", tmp_path / "run", symlinks=True)
    recipe = (ARTIFACTS / "translation.yaml").read_text(encoding="utf-8")
    (tmp_path / "translation.yaml").write_text(
        recipe.replace("root: text", f"root: {ARTIFACTS / 'text'}"), encoding="utf-8"
    )
    (tmp_path / "mine").write_text("mine\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("verb", WRITES)
def test_a_link_to_a_file_of_the_user_is_refused(verb: str, name: str, home: Path) -> None:
    link = home / "run" / name
    link.unlink(missing_ok=True)
    link.symlink_to(home / "mine")
    result = nmt(*WRITES[verb].format(home=home, run=home / "run").split())
    assert result.exit_code == 1, result.output
    assert f"{link}: refused: it is a link out of {home / 'run'}" in result.stderr
    assert (home / "mine").read_text(encoding="utf-8") == "mine\n"
    assert not (home / "out").exists()


@pytest.mark.parametrize("folder", ["checkpoints", "data", "data/train"])
def test_a_link_to_a_folder_of_the_user_is_refused(folder: str, home: Path) -> None:
    shutil.move(home / "run" / folder, home / "elsewhere")
    (home / "run" / folder).symlink_to(home / "elsewhere")
    before = sorted(home.joinpath("elsewhere").rglob("*"))
    result = nmt(*WRITES["train"].format(home=home, run=home / "run").split())
    assert result.exit_code == 1, result.output
    assert "it is a link out of" in result.stderr
    assert sorted(home.joinpath("elsewhere").rglob("*")) == before


def test_a_link_to_nothing_creates_nothing(home: Path) -> None:
    (home / "run" / ".lock").unlink(missing_ok=True)
    (home / "run" / ".lock").symlink_to(home / "absent")
    assert nmt(*WRITES["train"].format(home=home, run=home / "run").split()).exit_code == 1
    assert not (home / "absent").exists()


def test_links_inside_are_followed_and_the_directory_may_be_a_link(home: Path) -> None:
    check_links(home / "run")  # `best` and `last`
    (home / "short").symlink_to(home / "run")
    check_links(home / "short")
    (home / "run" / "checkpoints" / "up").symlink_to(os.pardir)
    check_links(home / "short")
    (home / "run" / "up").symlink_to(os.pardir)
    with pytest.raises(DataError, match="up: refused"):
        check_links(home / "short")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_a_vocabulary_that_is_no_file_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    for side in SIDES:
        make(tmp_path / f"{side}.spm")
    with pytest.raises(DataError, match=r"source\.spm: refused: it is not a regular file"):
        load_vocabularies(tmp_path)


def test_a_model_directory_whose_name_is_not_utf8_is_to_be_renamed(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"model\xff")
    folder.mkdir()
    (folder / "recipe.yaml").write_text(
        "data: {root: ., src: de, tgt: en, train: train, valid: train}\nencoder: {cell: gru}\n", "utf-8"
    )
    with pytest.raises(DataError, match="its path is not UTF-8.*rename it"):
        read_model_recipe(folder)
