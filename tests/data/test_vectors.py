"""Files of word vectors: which row belongs to which token."""

from pathlib import Path

import pytest

from nmt.data.vectors import read_dimension, read_vectors
from nmt.data.vocabulary import WordVocabulary
from nmt.errors import DataError


def found(folder: Path, rows: list[str], words: list[str]) -> dict[str, list[float]]:
    file, vocabulary = folder / "vectors.txt", WordVocabulary(words)
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    vectors = read_vectors(file, vocabulary, 2)
    return {vocabulary.spellings[token]: vector.tolist() for token, vector in vectors.items()}


def test_tokens_match_as_spelt_then_without_the_mark_of_a_word_then_in_small_letters(tmp_path: Path) -> None:
    rows = ["haus 1 1", "Haus 2 2", "▁Haus 3 3", "ing 4 4", "猫 5 5", "кот 6 6", "KÖLN 7 7"]
    words = ["▁Haus", "Haus", "▁haus", "ing", "▁猫", "猫", "▁Кот", "▁köln"]
    assert found(tmp_path, rows, words) == {
        "▁Haus": [3, 3],
        "Haus": [2, 2],
        "▁haus": [1, 1],
        "ing": [4, 4],
        "▁猫": [5, 5],
        "猫": [5, 5],
        "▁Кот": [6, 6],
    }


def test_the_first_of_two_rows_counts_and_words_may_contain_spaces(tmp_path: Path) -> None:
    rows = ["a 1 1", "a 2 2", ". . . 3 3", "at name@example.com 4 4", "<unk> 5 5", "b\u00a0c 6 6"]
    assert found(tmp_path, rows, ["a", ". . .", "b\u00a0c"]) == {
        "a": [1, 1],
        ". . .": [3, 3],
        "b\u00a0c": [6, 6],
    }


def test_a_number_is_a_word_unless_it_is_in_the_header(tmp_path: Path) -> None:
    assert found(tmp_path, ["3 2", "7 1 1", "a 2 2", "b 3 3"], ["7", "a", "3"]) == {"7": [1, 1], "a": [2, 2]}


def test_bytes_that_are_not_utf_8_are_a_word_that_no_token_is(tmp_path: Path) -> None:
    file = tmp_path / "vectors.txt"
    file.write_bytes(b"x\xff 1 1\nb 2 2\n" + b"".join(b"w%d 1 1\n" % i for i in range(99)))
    assert list(read_vectors(file, WordVocabulary(["b"]), 2)) == [4]


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vectors.bin"
    file.write_bytes(bytes(range(128, 256)) * 9)
    with pytest.raises(DataError, match=r"vectors\.bin"):
        read_dimension(file)
