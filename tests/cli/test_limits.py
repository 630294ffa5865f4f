"""Requests that are refused before any work begins."""

from pathlib import Path

import pytest

from tests.end_to_end.toy import nmt


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "gates", "no-run", "--plot"),
        ("inspect", "exposure", "no-run", "--plot"),
        ("inspect", "gradients", "no-recipe", "--plot"),
        ("study", "memory", "--plot"),
        ("plot", "no-run", "-o"),
    ],
)
def test_a_picture_that_could_not_be_drawn_is_refused_before_any_work(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    for picture, said in (
        (tmp_path / "a.bmp", "the name of a picture must end in one of .svg, .png, .pdf"),
        (tmp_path / "none" / "a.svg", f"no such directory: {tmp_path / 'none'}"),
    ):
        result = nmt(*words, picture)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (("gates", "run", "--positions"), "10000"),
        (("exposure", "run", "--positions"), "10000"),
        (("gradients", "run", "--lags"), "1000"),
    ],
)
def test_more_positions_than_a_text_can_have_are_refused(words: tuple[str, ...], most: str) -> None:
    result = nmt("inspect", *words, 10**12)
    assert (result.exit_code, words[-1] in result.stderr, most in result.stderr) == (2, True, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("translate", "run", "--beam", "0"), "'--beam' / '--beam_size': expected at least 1 (got 0)"),
        (("translate", "run", "--beam", "x"), "expected a whole number (got x)"),
        (("translate", "run", "--threads", "1.5"), "'--threads': expected a whole number (got 1.5)"),
        (("translate", "run", "--length-penalty", "abc"), "expected a number (got abc)"),
        (("sample", "run", "--temperature", "-1"), "'--temperature': expected at least 0.01 (got -1)"),
        (("inspect", "gates", "run", "--positions", "99999"), "expected at most 10000 (got 99999)"),
        (("doctor", "run", "--updates", "9" * 5000), "expected a whole number"),
        (("translate", "run", "--format", "xx"), "'xx' is not one of 'plain', 'scored'"),
    ],
)
def test_a_wrong_value_of_an_option_is_reported_as_one_of_a_recipe(
    words: tuple[str, ...], message: str
) -> None:
    result = nmt(*words)
    error = result.stderr.rpartition("Error: ")[2]
    assert result.exit_code == 2
    assert error.startswith("Invalid value for '--")
    assert message in " ".join(error.split())
    assert "Input should" not in error


def test_a_missing_directory_is_reported_before_a_model_is_loaded(tmp_path: Path) -> None:
    result = nmt("translate", tmp_path / "no-run", "-o", tmp_path / "none" / "a.txt")
    assert result.exit_code == 2
    assert "no such directory" in result.stderr
