"""Wrong inputs: each gives one clear message, no traceback, and exit code 1 (data) or 2 (usage)."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import Result

from nmt.recipe.artifact import CARD
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt, write_lines, write_phrases

RECIPE = """\
data: {root: text, src: de, tgt: en, train: train, valid: valid, test: test}
subwords: {size: 60}
encoder: {embedding: 8, hidden: 8}
decoder: {embedding: 8, hidden: 8}
training: {stop_after: 2u, batch: {size: 16}, threads: 1, validation: {metric: loss}}
"""


class Home(NamedTuple):
    """A folder with text and a recipe, to be spoilt."""

    text: Path
    recipe: Path
    run: Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    text = write_phrases(tmp_path / "text", {"train": 40, "valid": 4, "test": 4})
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return Home(text, recipe, tmp_path / "run")


def refused(result: Result, code: int, *parts: str) -> None:
    """The command said one thing, meant for people, and nothing else went wrong."""
    assert result.exit_code == code, result.output
    messages = [line for line in result.stderr.splitlines() if line.startswith("nmt: ")]
    assert len(messages) == 1, result.stderr
    assert not re.search("Traceback|a bug|Errno", result.stderr)
    assert all(part in result.stderr for part in parts), result.stderr


def no_text(home: Home) -> None:
    for side in ("de", "en"):
        (home.text / f"train.{side}").write_bytes(b"")


def shortened(home: Home) -> None:
    lines = (home.text / "train.en").read_text(encoding="utf-8").splitlines()
    write_lines(home.text / "train.en", lines[:-1])


def latin(home: Home) -> None:
    lines = (home.text / "train.de").read_bytes().split(b"\n")
    lines[6] = "Der schöne Hund.".encode("latin-1")
    (home.text / "train.de").write_bytes(b"\n".join(lines))


def cut_archive(home: Home) -> None:
    plain = home.text / "train.de"
    packed = gzip.compress(plain.read_bytes())
    plain.unlink()
    (home.text / "train.de.gz").write_bytes(packed[: len(packed) // 2])


def blank_side(home: Home) -> None:
    (home.text / "train.en").write_text("\n" * 40, encoding="utf-8")


def blank_valid(home: Home) -> None:
    (home.text / "valid.en").write_text("\n" * 4, encoding="utf-8")


def empty_test(home: Home) -> None:
    for side in ("de", "en"):
        (home.text / f"test.{side}").write_bytes(b"")


def unequal_test(home: Home) -> None:
    (home.text / "test.en").write_text("one\n", encoding="utf-8")


WRONG_TEXT: dict[str, tuple[Callable[[Home], object], tuple[str, ...]]] = {
    "files of different lengths": (shortened, ("train.de has 40 lines", "train.en has 39")),
    "bytes that are not UTF-8": (latin, ("train.de, line 7: byte 0xf6 at position 8 is not UTF-8",)),
    "a missing file": (lambda home: (home.text / "train.en").unlink(), ("no file", "train.en", "data.root")),
    "no text at all": (no_text, ("the training text is empty",)),
    "an archive cut short": (cut_archive, ("cannot read", "train.de.gz")),
    "one side blank throughout": (blank_side, ("no pair is left", "40 blank side (first: line 1)")),
    "nothing to validate on": (blank_valid, ("data.valid", "no pairs with text on both sides")),
    "a missing test set": (lambda home: (home.text / "test.de").unlink(), ("no file", "test.de")),
    "an empty test set": (empty_test, ("data.test", "no pair")),
    "a test set of different lengths": (unequal_test, ("test.de has 4 lines", "test.en has 1")),
}


@pytest.mark.parametrize("wrong", WRONG_TEXT)
def test_wrong_text_is_refused_before_training(wrong: str, home: Home) -> None:
    spoil, parts = WRONG_TEXT[wrong]
    spoil(home)
    refused(nmt("run", home.recipe, "-o", home.run), 1, *parts)
    assert not list(home.run.glob("checkpoints/u*"))


LONGER = ("training.stop_after=5u", "training.checkpoint_every=1u")
WRONG_SETTINGS = {
    "an unknown corpus": (("data.root=corpus:multi3k",), 2, ("no corpus 'multi3k'", "multi30k")),
    "a corpus that is not here": (("data.root=corpus:multi30k",), 2, ("nmt corpus fetch multi30k",)),
    "no test set named": (("data.test=null",), 2, ("data.test", "data.test is not set")),
    "too few pieces": (("subwords.size=6",), 1, ("raise subwords.size",)),
    "all pairs too long": (("data.max_length=2",), 1, ("no pair is left", "longer than 2 tokens")),
    "two columns missing": (("data.train=train.tsv",), 1, ("train.tsv, line 2: 1 column, expected two",)),
    "a gate the cell has not": (
        ("encoder.gate_bias={z: 1.0}",),
        2,
        ("gate_bias.z: ", "has a gate 'z' (gates: "),
    ),
    "no such cell in the file": (("encoder.cell=cells.py:Mine",), 2, ("cells.py", "no class Mine")),
    "a cell file that is no Python": (("encoder.cell=broken.py:Mine",), 2, ("broken.py", "SyntaxError")),
    "a learning rate beyond all bounds": (
        (
            "training.learning_rate.peak=1e38",
            "training.checkpoint_every=1u",
            "training.clip_norm=null",
            "training.guards.skip=2",
            "training.stop_after=5u",
        ),
        1,
        ("in 3 updates in a row", "bad-batch", "last good checkpoint is ", "u000000", "lower learning rate"),
    ),
}


@pytest.mark.parametrize("wrong", WRONG_SETTINGS)
def test_a_setting_that_does_not_fit_the_data_is_refused(
    wrong: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, code, parts = WRONG_SETTINGS[wrong]
    monkeypatch.chdir(tmp_path)
    (home.text / "train.tsv").write_text("eins\tone\nzwei\n", encoding="utf-8")
    Path("cells.py").write_text("", encoding="utf-8")
    Path("broken.py").write_text("class Mine(", encoding="utf-8")
    refused(nmt("run", home.recipe, *settings, "-o", home.run), code, *parts)


def test_the_directory_of_another_run_is_refused(home: Home, finished: Finished) -> None:
    refused(nmt("train", home.recipe, "-o", finished.run), 2, "a different recipe", "--output")
    refused(nmt("train", home.recipe, "-o", home.text), 2, "contains the input")
    refused(nmt("train", home.recipe, "-o", home.recipe), 2, str(home.recipe))
    refused(nmt("train", home.recipe, "-o", home.recipe / "below"), 2, str(home.recipe / "below"))


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """A finished run to be broken."""
    shutil.copytree(finished.run, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


@pytest.fixture
def model(finished: Finished, tmp_path: Path) -> Path:
    """A model directory to be broken."""
    done(nmt("average", finished.run, "-o", tmp_path / "model", "-c", "last"))
    return tmp_path / "model"


def altered(path: Path) -> None:
    """One bit of a file flips."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "recipe.yaml", CARD])
def test_an_altered_model_is_refused_with_the_name_of_the_file(name: str, model: Path) -> None:
    altered(model / name)
    result = nmt("translate", model, stdin=b"Der Hund\n")
    assert result.exit_code in (1, 2)
    refused(result, result.exit_code, str(model if name == CARD else model / name))
    assert result.stdout == ""


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "recipe.yaml"])
def test_a_model_with_a_file_missing_is_refused(name: str, model: Path) -> None:
    (model / name).unlink()
    result = nmt("translate", model, stdin=b"Der Hund\n")
    assert result.exit_code in (1, 2)
    refused(result, result.exit_code, str(model))


def test_an_altered_checkpoint_is_not_translated_with(copy: Path) -> None:
    altered(copy / "checkpoints" / "best" / "model.safetensors")
    refused(nmt("translate", copy, stdin=b"Der Hund\n"), 1, "model.safetensors: refused: checksum mismatch")
    refused(
        nmt("average", copy, "-o", copy.with_name("mean")), 1, "model.safetensors: refused: checksum mismatch"
    )


def test_a_run_without_a_checkpoint_cannot_translate(copy: Path) -> None:
    shutil.rmtree(copy / "checkpoints")
    refused(nmt("translate", copy, stdin=b"Der Hund\n"), 1, "has no checkpoint yet")
    refused(nmt("average", copy, "-o", copy.with_name("mean")), 1, "has no checkpoints to average")


def test_anything_but_a_model_is_refused(tmp_path: Path) -> None:
    refused(nmt("translate", tmp_path / "absent", stdin=b"x\n"), 2, "does not exist", "absent")
    refused(nmt("translate", tmp_path, stdin=b"x\n"), 2, "has no recipe.yaml")
    refused(nmt("average", tmp_path, "-o", tmp_path.with_name("mean")), 2, "has no recipe.yaml")
    refused(nmt("average", tmp_path / "absent", "-o", tmp_path / "mean"), 2, "does not exist", "absent")


def test_an_average_of_missing_checkpoints_is_refused(finished: Finished, tmp_path: Path) -> None:
    refused(
        nmt("average", finished.run, "-o", tmp_path / "m", "-c", "u0000007"), 2, "no checkpoint", "u0000007"
    )
    refused(nmt("average", finished.run, "-o", finished.text), 2, "already exists; choose another name")


def test_input_that_cannot_be_read_and_output_that_cannot_be_written_are_refused(
    finished: Finished, tmp_path: Path
) -> None:
    refused(nmt("translate", finished.run, "-i", tmp_path / "absent"), 1, "cannot read", "absent")
    refused(nmt("translate", finished.run, "-i", tmp_path), 1, "cannot read", str(tmp_path))
    refused(nmt("translate", finished.run, "-o", tmp_path / "no" / "out", stdin=b"x\n"), 2, "cannot write")
    refused(nmt("translate", finished.run, "-o", "/dev/full", stdin=b"x\n"), 1, "/dev/full", "No space left")


def test_files_of_different_lengths_are_not_scored(finished: Finished, tmp_path: Path) -> None:
    hyp, ref = finished.run / "test.hyp", finished.text / "test.en"
    short, latin = tmp_path / "short", tmp_path / "latin"
    write_lines(short, ["one"])
    latin.write_bytes(b"caf\xe9\n" * 20)
    refused(nmt("score", short, "-r", ref), 1, "short: 1 lines, but the reference has 20")
    refused(nmt("score", latin, "-r", ref), 1, "latin, line 1: byte 0xe9 at position 4 is not UTF-8")
    refused(nmt("score", tmp_path / "absent", "-r", ref), 1, "no file", "absent")
    refused(nmt("score", hyp, "-r", tmp_path), 1, "cannot read")
    refused(nmt("score", hyp, "-r", ref, "-m", "blue"), 2, "no metric 'blue'")
    refused(nmt("score", hyp, "-r", ref, "--tokenize", "14a"), 2, "no tokenizer '14a'")
