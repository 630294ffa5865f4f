"""Options of a search for all sentences, the ranking of its outputs, and the request for one sentence."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le

from nmt.arguments import CHECKS
from nmt.decoding.model import Floats
from nmt.errors import UsageError
from nmt.settings import Count, Settings

WIDEST, STRONGEST, LONGEST, MOST_EXTRA = 10_000, 10.0, 1_000.0, 10_000
"""Bounds of the beam, the length penalty, the ratio of lengths and the extra tokens, within which no score
overflows and a model that never ends a sentence is cut."""
Beam = Annotated[int, Ge(1), Le(WIDEST)]
LengthPenalty = Annotated[float, Ge(0.0), Le(STRONGEST)]
CANNOT_REQUIRE = "required phrases cannot be combined with sampling or groups of the beam"

TokenSequence = tuple[int, ...]


class Request(NamedTuple):
    """One sentence to translate, as token ids (without bos and eos)."""

    number: int  # identifies the result
    source: Sequence[int]
    prefix: Sequence[int] = ()  # of the output; if it ends in eos it is the complete output
    required: Sequence[Sequence[int]] = ()  # the output contains each of these
    forbidden: Sequence[Sequence[int]] = ()  # the output contains none of these
    closed: frozenset[TokenSequence] = frozenset()  # prefix and required sequences that end a word ...
    continuations: Sequence[int] = ()  # ... so that none of these tokens follows them
    openings: frozenset[int] = frozenset()  # tokens that extend the next, with which no phrase begins
    copies: Sequence[int] = ()  # copy symbols that the output contains once each ...
    symbols: range = range(0)  # ... and no other of these
    draws: Sequence[int] = ()  # seeds of its random draws, in addition to `seed`; `number` if empty


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


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Settings):
    """The search for translations."""

    beam: Beam = 5
    """Hypotheses kept at each position; 1 is greedy."""
    length_penalty: LengthPenalty = 1.0
    """GNMT's alpha (Wu et al., 2016, eq. 14); 0 ranks by the sum of log probabilities."""
    max_ratio: Annotated[float, Gt(0.0), Le(LONGEST)] = 2.0
    """Maximum length of the output, in tokens per source token ..."""
    max_extra: Annotated[int, Ge(0), Le(MOST_EXTRA)] = 10
    """... plus this many."""
    batch: Count = 64
    """Sentences translated together; the result does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Options(SearchSettings):
    """All options of a search. Lengths count tokens, with eos where it is generated."""

    n_best: int = 1
    normalisation: str = "gnmt"  # one of NORMALISATIONS
    word_reward: float = 0.0  # added for each token
    coverage_penalty: float = 0.0  # beta (Wu et al., 2016, eq. 14); needs attention
    min_ratio: float = 0.0  # minimum length: tokens per source token ...
    min_length: int = 0  # ... and at least this many
    no_repeat_ngram: int = 0  # no n-gram of this order twice in an output; 0: no limit
    unk: bool = True  # whether unk may be generated
    attention: bool = False  # whether hypotheses carry their attention weights
    groups: int = 1  # of the beam, for diversity (Vijayakumar et al., 2016)
    diversity: float = 0.5  # penalty for a token that an earlier group chose
    sample: bool = False  # draw `n_best` outputs instead of searching
    temperature: float = 1.0
    top_k: int = 0  # draw from this many best tokens; 0: from all
    top_p: float = 1.0  # draw from the fewest tokens with this probability (Holtzman et al., 2020)
    seed: int = 1
    suggestion_margin: float = 1.0  # a suggested term of a glossary may lower the score by this much

    @property
    def can_require(self) -> bool:
        """Whether phrases can be required."""
        return not self.sample and self.groups == 1

    def __post_init__(self) -> None:
        for option in fields(self):
            check = CHECKS[type(option.default)]
            object.__setattr__(self, option.name, check(option.name, getattr(self, option.name)))
        beam, groups, n_best = self.beam, self.groups, self.n_best
        lengths = self.min_ratio, self.max_ratio, self.max_extra, self.min_length
        problems = {
            "beam, batch, n_best, groups must be 1 or more": min(beam, self.batch, n_best, groups) < 1,
            "seed must be 0 or more": self.seed < 0,
            f"n_best {n_best} exceeds the beam of {beam}: reduce n_best or widen the beam": (
                n_best > beam and not self.sample
            ),
            f"the beam ({beam}) must be a multiple of the number of groups ({groups})": (
                groups > 0 and beam % groups > 0
            ),
            "sampling and groups cannot be combined": groups > 1 and self.sample,
            f"no normalisation '{self.normalisation}', one of: {', '.join(NORMALISATIONS)}": (
                self.normalisation not in NORMALISATIONS
            ),
            f"the beam and n_best must be at most {WIDEST:,}": max(beam, n_best) > WIDEST,
            f"the length penalty must be at most {STRONGEST:g}": self.length_penalty > STRONGEST,
            f"max_ratio must be at most {LONGEST:g}": self.max_ratio > LONGEST,
            f"max_extra must be at most {MOST_EXTRA:,}": self.max_extra > MOST_EXTRA,
            "penalties must be 0 or more": min(self.length_penalty, self.coverage_penalty) < 0,
            "diversity and suggestion_margin must be 0 or more": min(self.diversity, self.suggestion_margin)
            < 0,
            "length settings must be 0 or more": min(lengths) < 0,
            f"min_ratio ({self.min_ratio:g}) exceeds max_ratio ({self.max_ratio:g})": (
                self.min_ratio > self.max_ratio
            ),
            "no_repeat_ngram and top_k must be 0 or more": min(self.no_repeat_ngram, self.top_k) < 0,
            "temperature must be above 0 (a beam of 1 is greedy)": self.temperature <= 0,
            "top_p must be above 0 and at most 1": not 0 < self.top_p <= 1,
        }
        for message, is_wrong in problems.items():
            if is_wrong:
                raise UsageError(message)

    @property
    def ranking(self) -> Ranking:
        """The scoring of hypotheses by these options."""
        return Ranking(self.normalisation, self.length_penalty, self.word_reward, self.coverage_penalty)

    @property
    def group_count(self) -> int:
        """Separate beams of a sentence: diverse groups, or samples."""
        return self.n_best if self.sample else self.groups

    @property
    def group_width(self) -> int:
        """Hypotheses in each group."""
        return 1 if self.sample else self.beam // self.groups

    @property
    def ends_per_group(self) -> int:
        """Finished hypotheses that each group keeps."""
        return 1 if self.sample else self.n_best


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
