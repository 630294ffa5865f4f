"""Minimum Bayes risk decoding: the output that agrees best with the others (Kumar and Byrne, 2004)."""

from collections import Counter
from collections.abc import Callable, Sequence

Utility = Callable[[str, str], float]  # how good a hypothesis is, given a reference


def expected_utilities(candidates: Sequence[str], utility: Utility) -> list[float]:
    """Return the mean utility of each candidate, with every candidate in turn as the reference.

    Samples of a model stand for its distribution (Eikema and Aziz, 2020); a repeated one counts repeatedly.
    """
    counts = Counter(candidates)
    expected = {
        candidate: sum(count * utility(candidate, other) for other, count in counts.items()) / counts.total()
        for candidate in counts
    }
    return [expected[candidate] for candidate in candidates]


def select_mbr(candidates: Sequence[str], utility: Utility) -> int:
    """Return the index of the candidate with the highest expected utility, the first of equal ones."""
    expected = expected_utilities(candidates, utility)
    return expected.index(max(expected))
