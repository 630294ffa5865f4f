"""Where a long line is cut."""

import pytest

from nmt.decoding.parts import split_tokens


def cut(pieces: list[str], longest: int) -> list[list[str]]:
    return [pieces[part] for part in split_tokens(pieces, longest)]


def test_a_line_that_fits_is_left_whole() -> None:
    assert cut(["▁a", "b", "c"], 3) == [["▁a", "b", "c"]]


def test_the_end_of_a_sentence_is_the_best_place() -> None:
    assert cut(["▁a", "▁b", ".", "▁c", "▁d", "▁e"], 4) == [["▁a", "▁b", "."], ["▁c", "▁d", "▁e"]]
    assert cut(["▁가", "다", "。", "나", "라"], 4) == [["▁가", "다", "。"], ["나", "라"]]


def test_a_point_inside_a_number_ends_nothing() -> None:
    assert cut(["▁a", "▁b", "▁c", "▁3", ".", "14", "▁d"], 5) == [["▁a", "▁b", "▁c"], ["▁3", ".", "14", "▁d"]]


def test_words_are_kept_whole() -> None:
    assert cut(["▁a", "▁b", "▁c", "▁d", "e", "f"], 4) == [["▁a", "▁b", "▁c"], ["▁d", "e", "f"]]
    assert cut(["ein", "Hund", "läuft"], 2) == [["ein", "Hund"], ["läuft"]]


def test_a_word_without_end_is_cut_where_the_part_is_full() -> None:
    assert cut(["▁a"] + ["b"] * 9, 4) == [["▁a", "b", "b", "b"], ["b"] * 4, ["b"] * 2]


@pytest.mark.parametrize("longest", [1, 2, 3, 7, 50])
def test_the_parts_cover_every_piece_once(longest: int) -> None:
    pieces = (["▁ein", "▁Hu", "nd", "."] + ["x"] * 5 + ["▁y"]) * 7
    found = cut(pieces, longest)
    assert [piece for part in found for piece in part] == pieces
    assert all(0 < len(part) <= longest for part in found)


def test_the_end_of_a_clause_is_better_than_the_end_of_a_word() -> None:
    assert cut(["▁a", "▁b", ",", "▁c", "▁d", "▁e"], 4) == [["▁a", "▁b", ","], ["▁c", "▁d", "▁e"]]
    assert cut(["▁가", "나", "、", "다", "라"], 4) == [["▁가", "나", "、"], ["다", "라"]]
    assert cut(["▁a", "▁b", "▁1", ",", "000", "▁e"], 5) == [["▁a", "▁b", "▁1", ",", "000"], ["▁e"]]
