"""The command lines of `nmt train` and `nmt run`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nmt.cli.app import app
from nmt.errors import warn_once

RECIPE = """
data: {src: de, tgt: en, train: train, valid: valid, test: test}
subwords: {kind: pretokenized}
encoder: {embedding: 4, hidden: 4}
decoder: {embedding: 4, hidden: 4, attention: none}
training: {stop_after: 1u, batch: {size: 4}, validation: {every: 1u, metric: loss}}
search: {beam: 1, max_extra: 1}
"""


@pytest.fixture(autouse=True)
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a recipe that is trained at once, and its pairs."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(RECIPE, "utf-8")
    for part in ("train", "valid", "test"):
        Path(f"{part}.de").write_text("ein Hund\neine Katze\n\n", "utf-8")
        Path(f"{part}.en").write_text("a dog\na cat\n\n", "utf-8")


def nmt(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_run_needs_a_recipe_that_gives_it_its_name() -> None:
    settings = ["data.src=de", "data.tgt=en", "data.train=train", "data.valid=valid"]
    done = nmt("train", *settings)
    assert done.exit_code == 2
    assert "name a recipe" in done.stderr


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("data.test=null", 2, "data.test is not set"),
        ("data.test=nowhere", 1, "nowhere.de"),
        ("data.test=empty.tsv", 1, "empty.tsv has no pairs"),
        ("data.test=odd.tsv", 1, "odd.tsv, line 1: 1 column"),
    ],
)
def test_a_broken_test_set_is_reported_before_training(setting: str, code: int, said: str) -> None:
    Path("empty.tsv").write_text("", "utf-8")
    Path("odd.tsv").write_text("one\n", "utf-8")
    done = nmt("run", "tiny.yaml", setting)
    assert done.exit_code == code
    assert said in done.stderr
    assert not Path("runs").exists()


def test_dropped_pairs_are_reported_and_logged() -> None:
    done = nmt("train", "tiny.yaml")
    assert done.exit_code == 0
    for told in (done.stderr, Path("runs/tiny/train.log").read_text("utf-8")):
        assert "training pairs: kept 2 of 3 pairs; dropped:" in told
        assert "validation pairs: kept 2 of 3 pairs; dropped:" in told
        assert "1 blank side (first: line 3)" in told


def test_a_file_cannot_be_the_run_directory() -> None:
    done = nmt("train", "tiny.yaml", "-o", "tiny.yaml")
    assert done.exit_code == 2
    assert "tiny.yaml is a file" in done.stderr


def test_a_run_directory_that_cannot_be_created_is_reported() -> None:
    done = nmt("train", "tiny.yaml", "-o", "train.de/run")
    assert done.exit_code == 2
    assert "cannot use train.de/run for a run: Not a directory" in done.stderr


def test_a_model_directory_without_the_checksum_of_its_weights_is_refused() -> None:
    assert nmt("train", "tiny.yaml").exit_code == 0
    assert nmt("average", "runs/tiny", "-o", "model").exit_code == 0
    card = Path("model/model.json")
    content = json.loads(card.read_text("utf-8"))
    del content["sha256"]["model.safetensors"]
    card.write_text(json.dumps(content), "utf-8")
    done = nmt("translate", "model", "-i", "test.de")
    assert done.exit_code == 1
    assert "model/model.json: refused" in done.stderr


def test_a_model_directory_that_cannot_be_created_is_reported() -> None:
    assert nmt("train", "tiny.yaml").exit_code == 0
    done = nmt("average", "runs/tiny", "-o", "train.de/model")
    assert done.exit_code == 1
    assert "Not a directory" in done.stderr


@pytest.mark.usefixtures("no_compiler")
def test_a_machine_without_a_compiler_is_reported_once_in_the_log_and_once_by_translate() -> None:
    note = "torch runs the model without compiled kernels: there is no C compiler (CC is no-such-compiler)"
    done = nmt("train", "tiny.yaml")
    assert done.exit_code == 0, done.stderr
    assert Path("runs/tiny/train.log").read_text("utf-8").count(note) == 1
    assert done.stderr.count(note) == 1
    warn_once.cache_clear()  # another process
    Path("in").write_text("ein Hund\n\neine Katze\n", "utf-8")
    done = nmt("translate", "runs/tiny", "-i", "in", "-q")
    assert (done.exit_code, done.stdout.count("\n"), done.stderr.count(f"nmt: {note}")) == (0, 3, 1)
    assert note not in nmt("translate", "runs/tiny", "-i", "in", "-q").stderr
