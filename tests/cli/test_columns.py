"""Text in the columns of a terminal."""

import pytest
from rich.cells import cell_len

from nmt.cli.terminal import WIDTH, beside, hanging, one_line, wrapped

NAME = "source       "


@pytest.mark.parametrize("text", ["ab cd " * 40, "오늘 아침에 " * 20, "학" * 100, "a" * 300, "오a" * 50])
def test_a_long_text_hangs_behind_its_name_within_the_width(text: str) -> None:
    lines = hanging(NAME, text).split("\n")
    assert lines[0].startswith(NAME)
    assert all(line.startswith(" " * len(NAME)) for line in lines[1:])
    assert all(cell_len(line) <= WIDTH for line in lines)
    assert "".join(line[len(NAME) :] for line in lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "a", " a  b ", "오늘 아침에 학교에 갔어요."])
def test_a_short_text_stays_as_it_is(text: str) -> None:
    assert hanging(NAME, text) == NAME + text


def test_a_line_is_filled_before_the_next_begins() -> None:
    assert wrapped("ab cd ef", 5) == ["ab cd", "ef"]
    assert wrapped("오늘 갔어요", 7) == ["오늘", "갔어요"]
    assert wrapped("abcdef g", 4) == ["abcd", "ef g"]


@pytest.mark.parametrize("sign", ["\n", "\r", "\x1b", "\u2028", "\x85", "\t", "\0"])
def test_no_control_character_leaves_the_line(sign: str) -> None:
    assert len(one_line(f"a{sign}b").splitlines()) == 1
    assert one_line(f"a{sign}b").isprintable()


def test_a_name_that_is_too_long_stands_above_what_belongs_to_it() -> None:
    assert beside("ab", 4, "1.0") == "ab  1.0"
    assert beside("밸브", 4, "1.0") == "밸브1.0"
    assert beside("a_valve", 4, "1.0") == "a_valve\n    1.0"
