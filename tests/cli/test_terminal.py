"""Tables and JSON on the terminal."""

import pytest
from rich.cells import cell_len

from nmt.cli.terminal import WIDTH, echo_note, format_table, to_json
from nmt.errors import escape_controls


@pytest.mark.parametrize("text", ["ab cd " * 40, "오늘 아침에 " * 20, "학" * 100, "a" * 300, "오a" * 50])
def test_long_text_is_wrapped_inside_its_column(text: str) -> None:
    lines = format_table([["source", text]], align="ll", widths=(12,)).split("\n")
    assert lines[0].startswith("source       ")
    assert all(line.startswith(" " * 13) for line in lines[1:])
    assert all(cell_len(line) <= WIDTH for line in lines)
    assert "".join(line[13:] for line in lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["a", "a  b", "오늘 아침에 학교에 갔어요."])
def test_short_text_is_printed_as_it_is(text: str) -> None:
    assert format_table([["source", text]], align="ll", widths=(12,)) == f"source       {text}"


def test_columns_are_aligned_and_wide_characters_count_twice() -> None:
    rows = [["밸브", "1.0"], ["a_valve", "-2.25"]]
    assert format_table(rows, ("gate", "mean"), widths=(8, 6), indent=2) == (
        "  gate       mean\n  밸브        1.0\n  a_valve   -2.25"
    )


def test_a_table_has_no_borders_no_colours_and_no_trailing_spaces() -> None:
    text = format_table([["a", "[red]1[/red]", ""], [":x:", "2", "3"]], ("name", "n"))
    assert text.isascii()
    assert "[red]1[/red]" in text
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.split("\n"))


@pytest.mark.parametrize(
    "char", ["\n", "\r", "\x1b", "\x9b", "\u2028", "\x85", "\t", "\0", "\udcff", "\u202e", "\u2066"]
)
def test_control_characters_are_escaped(char: str) -> None:
    assert len(escape_controls(f"a{char}b").splitlines()) == 1
    assert escape_controls(f"a{char}b").isprintable()
    assert len(format_table([[f"a{char}b", "1"]]).splitlines()) == 1


@pytest.mark.parametrize(
    "text", ["Ελληνικά", "עברית \u200f", "می\u200cخواهم", "👩\u200d👧", "학교", "a\u00adb"]
)
def test_scripts_and_their_joiners_are_not_escaped(text: str) -> None:
    assert escape_controls(text) == text


def test_a_note_cannot_control_the_terminal_or_forge_another_note(capsys: pytest.CaptureFixture[str]) -> None:
    echo_note("a\x1b[2Jb: no 'c\rd'\n  e.yaml\nnmt: all is well \u202e")
    assert capsys.readouterr().err == ("nmt: a\\x1b[2Jb: no 'c\\rd'\n  e.yaml\n  nmt: all is well \\u202e\n")


def test_json_is_strict() -> None:
    assert to_json({"a": [float("nan"), float("inf"), 1.5], "가": ()}) == '{"a": [null, null, 1.5], "가": []}'
