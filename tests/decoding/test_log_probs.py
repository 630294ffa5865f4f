"""Scores that lie in an array."""

import numpy as np
import pytest

from nmt.decoding.model import LogProbs


@pytest.mark.parametrize("count", [1, 4, 11, 12, 189, 190, 999])
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_the_best_come_best_first_and_equal_ones_by_piece(count: int, levels: int) -> None:
    array = np.random.default_rng(levels).integers(levels, size=(9, 190)).astype(np.float32)
    array[array == 0] = -np.inf
    values, pieces = LogProbs(array).best(count)
    expected = np.argsort(-array, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(pieces, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(array, expected, axis=1))


def test_pieces_of_rows_are_picked() -> None:
    scores = LogProbs(np.arange(12, dtype=np.float32).reshape(3, 4))
    assert scores.gather(np.array([2, 0, 2]), np.array([1, 3, 1])).tolist() == [9.0, 3.0, 9.0]
    assert scores.all().shape == (3, 4)


def test_what_is_no_number_is_not_hidden() -> None:
    array = np.full((2, 6), -1.0, np.float32)
    array[1] = np.nan
    values, _ = LogProbs(array).best(2)
    assert np.isnan(values[1]).any()
    assert (values[0] == -1).all()
