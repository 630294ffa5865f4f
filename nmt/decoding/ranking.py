"""What hypotheses are ranked by: log probability, length, and how much of the source was attended to."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from nmt.decoding.model import Floats


def length_penalty(length: int, alpha: float) -> float:
    """What a log probability is divided by (Wu et al., 2016, eq. 14); `length` counts pieces and eos."""
    return float(((5 + length) / 6) ** alpha)


def coverage_penalty(weights: Iterable[Floats], beta: float) -> float:
    """What a source not fully attended to costs: 0 or less (Wu et al., 2016, eq. 14).

    `weights` are those of each position, [S] with the source's eos.
    """
    seen = np.sum([*weights], axis=0, dtype=np.float64)
    return beta * float(np.log(np.clip(seen, np.finfo(np.float32).tiny, 1.0)).sum())


def _none(log_prob: float, length: int, alpha: float) -> float:
    return log_prob


def _gnmt(log_prob: float, length: int, alpha: float) -> float:
    return log_prob / length_penalty(length, alpha)


def _average(log_prob: float, length: int, alpha: float) -> float:
    return log_prob / max(1, length)


# None falls with the length, for a log probability of 0 or less: `Ranking.bound` rests on it.
NORMALISATIONS: Mapping[str, Callable[[float, int, float], float]] = {
    "none": _none,
    "gnmt": _gnmt,
    "average": _average,
}


class Ranking(NamedTuple):
    """The score of an output: its normalised log probability, a reward for each piece, and its coverage."""

    normalisation: str
    alpha: float
    reward: float
    beta: float

    def score(self, log_prob: float, length: int, weights: Iterable[Floats]) -> float:
        """Of a hypothesis of `length` positions, eos counted."""
        ranked = NORMALISATIONS[self.normalisation](log_prob, length, self.alpha) + self.reward * length
        return ranked + coverage_penalty(weights, self.beta) if self.beta else ranked

    def bound(self, log_prob: float, length: int, limit: int) -> float:
        """What no continuation of a hypothesis scores above.

        Log probabilities only fall and coverage costs 0 or more, so the best that can happen is that all that
        follows is certain; then the longest output scores highest, or the shortest where length is punished.
        """
        longest = NORMALISATIONS[self.normalisation](log_prob, limit, self.alpha)
        return longest + self.reward * (limit if self.reward >= 0 else length + 1)
