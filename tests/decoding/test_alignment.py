"""From attention over pieces to pairs of words."""

import numpy as np

from nmt.decoding.translation import align_words, has_subwords, word_indices


def test_words_begin_where_a_piece_says_so() -> None:
    pieces = ["▁ein", "▁Hu", "nd", "▁", "x"]
    assert has_subwords(pieces)
    assert word_indices(pieces, subwords=True) == [0, 1, 1, 2, 2]


def test_the_first_piece_begins_a_word_even_without_saying_so() -> None:
    assert word_indices(["Hu", "nd", "▁ein"], subwords=True) == [0, 0, 1]


def test_pieces_that_never_say_so_are_words() -> None:
    assert not has_subwords(["ein", "Hund", "."])
    assert word_indices(["ein", "Hund", "."], subwords=False) == [0, 1, 2]
    assert word_indices([], subwords=False) == []


def test_each_target_word_is_paired_with_what_it_looked_at_most() -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.0, 0.4, 0.6]], np.float32)
    assert align_words(weights, [0, 1, 1], [0, 1, 1]) == [(0, 0), (1, 1)]
    assert align_words(weights, [0, 1, 2], [0, 0, 1]) == [(0, 0), (2, 0), (2, 1)]
    assert align_words(np.zeros((0, 3), np.float32), [0, 1, 2], []) == []
