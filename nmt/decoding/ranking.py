"""Scores of hypotheses: log probability, normalised by length, coverage of the source, expected utility."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nmt.decoding.model import Floats


def coverage_penalty(weights: Iterable[Floats], beta: float) -> float:
    """Return the (negative) penalty for a source that is not fully attended to (Wu et al., 2016, eq. 14).

    `weights`: those of each position, [S] with the source's eos.
    """
    coverage = np.sum([*weights], axis=0, dtype=np.float64)
    return beta * float(np.log(np.clip(coverage, np.finfo(np.float32).tiny, 1.0)).sum())


# Log probability, length (tokens and eos) and alpha to a score; "gnmt": Wu et al., 2016, eq. 14.
# For log probabilities ≤ 0 none decreases with the length, which `Ranking.bound` relies on.
NORMALISATIONS: Mapping[str, Callable[[float, int, float], float]] = {
    "none": lambda log_prob, length, alpha: log_prob,
    "gnmt": lambda log_prob, length, alpha: log_prob / ((5 + length) / 6) ** alpha,
    "average": lambda log_prob, length, alpha: log_prob / max(1, length),
}


class Ranking(NamedTuple):
    """The scoring of outputs: normalised log probability, a reward for each token, and coverage."""

    normalisation: str
    alpha: float
    reward: float
    beta: float

    def score(self, log_prob: float, length: int, weights: Iterable[Floats]) -> float:
        """Score a hypothesis of `length` tokens, eos counted."""
        ranked = NORMALISATIONS[self.normalisation](log_prob, length, self.alpha) + self.reward * length
        return ranked + coverage_penalty(weights, self.beta) if self.beta else ranked

    def bound(self, log_prob: float, length: int, limit: int) -> float:
        """Return an upper bound for the scores of all continuations of a hypothesis.

        Log probabilities only decrease and the coverage penalty is 0 or more, so the best continuation has
        probability 1; then the longest output scores highest, or the shortest with a negative reward.
        """
        longest = NORMALISATIONS[self.normalisation](log_prob, limit, self.alpha)
        return longest + self.reward * (limit if self.reward >= 0 else length + 1)

    def thresholds(self, score: float, lengths: Sequence[int], limit: int) -> tuple[list[float], float]:
        """Return the log probabilities with which hypotheses of some lengths reach a score.

        The list is for those that end with these lengths: no lower one exceeds the score. The other value is
        for those that are continued from any of them: every hypothesis with a higher one has a `bound`
        above the score. The slack is larger than errors of rounding.
        """
        slack, longest = 1e-9 * (abs(score) + abs(self.reward) * limit), limit
        if self.reward < 0:
            longest = lengths[-1] + 1
        ended = [self._invert(score - slack - self.reward * length, length) for length in lengths]
        return ended, self._invert(score + slack - self.reward * longest, limit)

    def _invert(self, score: float, length: int) -> float:
        return score / NORMALISATIONS[self.normalisation](1.0, length, self.alpha)


Utility = Callable[[str, str], float]  # how good a hypothesis is, given a reference


def select_mbr(candidates: Sequence[str], utility: Utility) -> int:
    """Return the index of the candidate of minimum Bayes risk (Kumar and Byrne, 2004), the first of equals.

    It has the highest mean utility, with each candidate as the reference. Samples approximate the
    model's distribution, so a repeated one counts repeatedly (Eikema and Aziz, 2020).
    """
    counts = Counter(candidates)
    expected = {
        candidate: sum(count * utility(candidate, other) for other, count in counts.items()) / counts.total()
        for candidate in counts
    }
    return candidates.index(max(counts, key=expected.__getitem__))
