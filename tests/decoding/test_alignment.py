"""From attention over pieces to pairs of words."""

import numpy as np

from nmt.decoding.copying import align_words, index_words
from nmt.decoding.parts import has_subwords


def test_words_begin_where_a_piece_says_so() -> None:
    pieces = ["▁ein", "▁Hu", "nd", "▁", "x"]
    assert has_subwords(pieces)
    assert index_words(pieces, subwords=True) == [0, 1, 1, 2, 2, 3]


def test_the_first_piece_begins_a_word_even_without_saying_so() -> None:
    assert index_words(["Hu", "nd", "▁ein"], subwords=True) == [0, 0, 1, 2]


def test_pieces_that_never_say_so_are_words() -> None:
    assert not has_subwords(["ein", "Hund", "."])
    assert index_words(["ein", "Hund", "."], subwords=False) == [0, 1, 2, 3]
    assert index_words([], subwords=False) == [0]


def test_each_target_word_is_paired_with_what_it_looked_at_most() -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.0, 0.4, 0.6]], np.float32)
    assert align_words(weights, [0, 1, 1], [0, 1, 1]) == [(0, 0), (1, 1)]
    assert align_words(weights, [0, 1, 2], [0, 0, 1]) == [(0, 0), (2, 0), (2, 1)]
    assert align_words(np.zeros((0, 3), np.float32), [0, 1, 2], []) == []
