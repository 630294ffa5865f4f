"""Minimum Bayes risk: the output that agrees best with the others (Kumar and Byrne, 2004)."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

Utility = Callable[[str, str], float]  # how good a hypothesis is, if this other output were the reference


class Choice(NamedTuple):
    """The candidate with the highest expected utility."""

    place: int  # among the candidates, from 0
    utility: float


def select_mbr(candidates: Sequence[str], utility: Utility) -> Choice:
    """Which candidate is best on average if any of them, each as often as it is there, may be the reference.

    Samples of a model stand for its distribution (Eikema and Aziz, 2020). Of equal ones the first is taken.
    """
    times = Counter(candidates)
    expected = {
        candidate: sum(count * utility(candidate, other) for other, count in times.items()) / times.total()
        for candidate in times
    }
    best = max(expected, key=lambda candidate: expected[candidate])  # the first of equal ones
    return Choice(candidates.index(best), expected[best])
