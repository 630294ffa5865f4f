"""Untrusted names and texts in the output of commands are escaped, wherever they come from."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.errors import escape_controls
from tests.end_to_end.toy import nmt

MODEL = Path(__file__).resolve().parent.parent / "compatibility" / "v0.1" / "averaged"
HOSTILE = "\x1b[2J\x9b2J\r\x07\u202enmt: all is well\u2028"
PAIRS = "data: {root: ., src: de, tgt: en, train: train, valid: train}\n"


def recipe(text: str) -> Callable[[Path], tuple[object, ...]]:
    def prepare(folder: Path) -> tuple[object, ...]:
        (folder / "a.yaml").write_text(text, encoding="utf-8")
        return "train", folder / "a.yaml", "-o", folder / "run"

    return prepare


def model(folder: Path) -> tuple[object, ...]:
    """A model directory of a hostile name, without its weights."""
    copy = folder / f"model{HOSTILE}"
    shutil.copytree(MODEL, copy)
    (copy / "model.safetensors").unlink()
    return "translate", copy, "-i", folder / "in"


def card(folder: Path) -> tuple[object, ...]:
    """A model whose card names a file of a hostile name."""
    copy = folder / "model"
    shutil.copytree(MODEL, copy)
    (copy / "model.json").write_bytes(
        b'{"sha256": {"%s": "0"}}' % HOSTILE[4:].encode().replace(b"\r\x07", b"")
    )
    return "translate", copy, "-i", folder / "in"


def corpus(folder: Path) -> tuple[object, ...]:
    """Pairs that `nmt doctor` quotes: too long for their translation, repeated, not translated."""
    text = f"{HOSTILE.strip()} word\n" * 30
    for side in ("de", "en"):
        (folder / f"train.{side}").write_bytes(text.replace("\u2028", "").replace("\r", "").encode())
    (folder / "a.yaml").write_text(PAIRS, encoding="utf-8")
    return "doctor", folder / "a.yaml", "--updates", 0


CASES: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "a file": lambda folder: ("score", folder / HOSTILE, "--ref", folder / HOSTILE),
    "a run": lambda folder: ("translate", folder / HOSTILE),
    "a run, by another verb": lambda folder: ("average", folder / HOSTILE, "-o", folder / "out"),
    "a plot": lambda folder: ("plot", folder / HOSTILE, "-o", folder / f"{HOSTILE}.gif"),
    "a key": recipe('"k\\e[2J\\x9b\\u202e": 1\n'),
    "a name": recipe('encoder: {cell: "x\\e[2J\\u202e\\nnmt: all is well"}\n'),
    "a recipe": recipe('extends: "\\e[2Jq\\u202e"\n'),
    "a long name": recipe('encoder: {cell: "\\e[2J' + "x" * 100_000 + '"}\n'),
    "a folder": recipe(PAIRS.replace(".,", '"a\\e[2J\\u202e",')),
    "a language": recipe(PAIRS.replace("de,", '"d\\e[2J\\ne",')),
    "a cell": recipe(PAIRS + 'encoder: {cell: "\\e[2J.py:A"}\n'),
    "a model": model,
    "a card": card,
    "a corpus": corpus,
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_quoted_does_not_control_the_terminal(case: str, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("der hund\n", encoding="utf-8")
    result = nmt(*CASES[case](tmp_path))
    assert result.exit_code in (1, 2), result.output
    printed = result.stdout + result.stderr
    assert printed == escape_controls(printed, keep="\n")
    assert "\\x1b[2J" in printed or "\\x9b" in printed or case == "a card"
    assert len(printed) < 20_000
    assert not [line for line in printed.split("\n")[1:] if line.startswith("nmt: all")]
