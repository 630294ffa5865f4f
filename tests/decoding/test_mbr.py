"""Minimum Bayes risk by hand, and with the scores it is used with."""

from nmt.decoding.options import select_mbr


def shared_words(hyp: str, ref: str) -> float:
    return len({*hyp.split()} & {*ref.split()}) / len({*ref.split()})


def test_the_output_that_agrees_best_with_all_is_chosen() -> None:
    # a b: (1 + 1/2 + 1/2) / 3; a c: (1/2 + 1 + 0) / 3; b d: (1/2 + 0 + 1) / 3
    candidates = ["a c", "a b", "b d"]
    assert select_mbr(candidates, shared_words) == 1


def test_an_output_drawn_often_counts_as_often() -> None:
    assert select_mbr(["a c", "a b", "b d", "b d", "b d"], shared_words) == 2


def test_of_equal_ones_the_first_is_chosen() -> None:
    assert select_mbr(["x", "y", "y", "x"], shared_words) == 0
    assert select_mbr(["only"], shared_words) == 0


def test_each_pair_of_outputs_is_compared_once() -> None:
    calls = []
    select_mbr(["a", "b", "a", "a"], lambda hyp, ref: calls.append((hyp, ref)) or 0.0)
    assert sorted(calls) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
