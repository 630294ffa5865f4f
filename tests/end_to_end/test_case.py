"""Case in trained translators: what is read in capitals is written in capitals, and no mark is written."""

from pathlib import Path

import pytest

from nmt.data.vocabulary.case import MARK_NAMES
from tests.end_to_end.conftest import Finished
from tests.end_to_end.toy import done, nmt


def translate(model: Path, lines: list[str]) -> list[str]:
    return done(nmt("translate", model, "-q", stdin="".join(f"{line}\n" for line in lines).encode())).split(
        "\n"
    )


def read(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def test_a_line_in_capitals_is_translated_in_capitals(finished: Finished) -> None:
    lines = read(finished.text / "test.de")
    usual, capitals = (
        translate(finished.run, lines),
        translate(finished.run, [line.upper() for line in lines]),
    )
    assert capitals == [line.upper() for line in usual]
    two = f"{lines[0]} {lines[1].upper()}"
    assert translate(finished.run, [two])[0] == f"{usual[0]} {usual[1].upper()}"
    assert (
        translate(finished.run, ["HUND", "DH ALT."])[:2] != translate(finished.run, ["Hund", "Dh Alt."])[:2]
    )


@pytest.mark.slow
def test_marks_of_case_are_restored_in_runs_and_exports(finished: Finished, tmp_path: Path) -> None:
    run, export = tmp_path / "run", tmp_path / "onnx"
    root = f"data.root={finished.text}"
    printed = done(nmt("run", finished.recipe, root, "data.case=inline", "-o", run))
    assert "BLEU" in printed
    done(nmt("export", run, "--to", "onnx", "-o", export))
    lines = [*read(finished.text / "test.de"), "", "ZOLTÁN iPhone STRAßE"]
    outputs = translate(run, lines)
    assert translate(export, lines) == outputs
    assert any(line != line.lower() for line in outputs)
    assert not any(mark in line for line in outputs for mark in MARK_NAMES)
    shown = done(nmt("inspect", "sentence", run, lines[0], "--format", "json"))
    assert "<capital>" in shown
    assert not any(mark in shown for mark in MARK_NAMES)
    for name, value in (("--prefix", "Der Hund"), ("--must", "BAUM"), ("--must-not", "The")):
        (tmp_path / "given").write_text(f"{value}\n", encoding="utf-8")
        found = done(nmt("translate", run, "-q", name, tmp_path / "given", stdin=f"{lines[0]}\n".encode()))
        assert (value in found.split() or value in found) == (name != "--must-not")


@pytest.mark.parametrize(
    ("setting", "advice"),
    [("data.case=inline", "set data.case=keep"), ("data.protect=[url]", "needs copy symbols")],
)
def test_a_vocabulary_without_the_symbols_that_a_recipe_asks_for_is_refused(
    setting: str, advice: str, finished: Finished, tmp_path: Path
) -> None:
    start = f"training.start_from={finished.run}"
    root = f"data.root={finished.text}"
    result = nmt("train", finished.recipe, root, setting, start, "-o", tmp_path / "run")
    assert (result.exit_code, advice in " ".join(result.stderr.split())) == (2, True)
