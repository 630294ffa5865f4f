"""What an epoch is made of: the corpora in their proportions, in an order that can be entered anywhere."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.mixture import Mixture, shuffle_keys, shuffle_values


def drawn(mixture: Mixture, epoch: int) -> list[int]:
    return mixture.pairs(epoch, np.arange(len(mixture))).tolist()


def test_without_more_an_epoch_is_every_pair_once() -> None:
    for sizes in ([7], [7, 3], [1, 1, 1]):
        mixture = Mixture(sizes, [1] * len(sizes), seed=1)
        assert drawn(mixture, 0) == drawn(mixture, 5) == list(range(sum(sizes)))


def test_an_epoch_goes_through_each_corpus_as_often_as_asked() -> None:
    mixture = Mixture([10, 4, 8], [1.0, 3.0, 0.25], seed=1)
    for epoch in range(4):
        counts = Counter(drawn(mixture, epoch))
        assert [counts[pair] for pair in range(10)] == [1] * 10
        assert [counts[pair] for pair in range(10, 14)] == [3] * 4
        assert sum(counts[pair] for pair in range(14, 22)) == 2
    assert len(mixture) == 24


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(1, 40), st.floats(0.01, 4.0), st.integers(1, 30))
def test_in_the_long_run_no_pair_comes_more_often_than_another(size: int, times: float, epochs: int) -> None:
    mixture = Mixture([size], [times], seed=3)
    counts = Counter(pair for epoch in range(epochs) for pair in drawn(mixture, epoch))
    found = [counts[pair] for pair in range(size)]
    assert max(found) - min(found) <= 1
    assert sum(found) == epochs * len(mixture)


def test_a_part_of_a_corpus_is_another_one_in_each_epoch_and_follows_from_the_seed() -> None:
    one, other = (Mixture([1000], [0.3], seed=seed) for seed in (1, 2))
    assert drawn(one, 4) == drawn(Mixture([1000], [0.3], seed=1), 4)
    assert drawn(one, 4) != drawn(other, 4)
    assert not {*drawn(one, 0)} & {*drawn(one, 1)}
    order = np.array(drawn(one, 0))
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.2


def test_any_position_of_an_epoch_can_be_computed() -> None:
    mixture = Mixture([100, 20, 7], [0.7, 2.5, 1], seed=1)
    whole = np.array(drawn(mixture, 3))
    places = np.random.default_rng(1).permutation(len(mixture))
    assert mixture.pairs(3, places).tolist() == whole[places].tolist()


@pytest.mark.parametrize("times", [0.001, 0.4])
def test_of_every_corpus_there_is_something_in_an_epoch(times: float) -> None:
    assert len(Mixture([1], [times], seed=1)) == 1


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
def test_shuffled_values_contain_every_number_once(size: int, seed: int) -> None:
    order = shuffle_keys(seed)
    whole = shuffle_values(np.arange(size), size, order)
    assert sorted(whole.tolist()) == list(range(size))
    assert shuffle_values(np.arange(size // 2, size), size, order).tolist() == whole[size // 2 :].tolist()


def test_shuffled_values_look_random() -> None:
    size, rounds = 1000, 200
    first = np.zeros(size)
    steps = []
    for seed in range(rounds):
        order = shuffle_keys(seed)
        values = shuffle_values(np.arange(size), size, order)
        first += values
        steps.append(np.corrcoef(values[1:], values[:-1])[0, 1])
    assert abs(float(np.mean(steps))) < 0.01
    assert np.abs(first / rounds - size / 2).max() < 5 * size / np.sqrt(12 * rounds)
