"""What a search is told: options for all sentences, and a request for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nmt.decoding.ranking import NORMALISATIONS, Ranking
from nmt.errors import UsageError
from nmt.settings import Count, CountOrZero, Positive, Settings, Weight


class Request(NamedTuple):
    """One sentence to translate, in pieces (no bos, no eos)."""

    number: int  # what its answer is known by
    source: Sequence[int]
    prefix: Sequence[int] = ()  # how the output begins; ending with eos it is the whole output
    must: Sequence[Sequence[int]] = ()  # the output contains each of these
    must_not: Sequence[Sequence[int]] = ()  # and none of these
    draws: Sequence[int] = ()  # what its random draws follow from, with the seed; `number` if empty


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Settings):
    """The search for translations."""

    beam: Count = 5
    """Hypotheses kept at each position; 1 is greedy."""
    length_penalty: Weight = 1.0
    """GNMT's alpha (Wu et al., 2016, eq. 14); 0 ranks by the sum of log probabilities."""
    max_ratio: Positive = 2.0
    """Maximum length of the output, in tokens per source token ..."""
    max_extra: CountOrZero = 10
    """... plus this many."""
    batch: Count = 64
    """Sentences translated together; the result does not depend on it."""


@dataclass(frozen=True)
class Options:
    """How translations are looked for. Lengths count pieces, the end too where it is written."""

    beam: int = 5
    batch: int = 64  # sentences alive at a time; no result depends on it
    n_best: int = 1
    normalisation: str = "gnmt"  # one of NORMALISATIONS
    length_penalty: float = 1.0  # alpha of gnmt
    word_reward: float = 0.0  # added for each piece
    coverage_penalty: float = 0.0  # beta (Wu et al., 2016, eq. 14); needs attention
    max_ratio: float = 2.0  # the longest output: pieces per source piece ...
    max_extra: int = 10  # ... plus this many, or more where the request or the minimum needs them
    min_ratio: float = 0.0  # no end before so many pieces per source piece ...
    min_length: int = 0  # ... and before this many
    no_repeat_ngram: int = 0  # no n-gram of this order twice in an output; 0 allows all
    unk: bool = True  # whether unk may be written
    attention: bool = False  # whether hypotheses carry their attention weights
    groups: int = 1  # of the beam, each led away from those before it (Vijayakumar et al., 2016)
    diversity: float = 0.5  # what each choice of a piece costs it in later groups
    sample: bool = False  # draw `n_best` outputs instead of looking for the best
    temperature: float = 1.0
    top_k: int = 0  # draw from this many best pieces; 0: from all
    top_p: float = 1.0  # draw from the fewest best pieces that have this probability (Holtzman et al., 2020)
    seed: int = 1

    def __post_init__(self) -> None:
        for wrong, message in self._mistakes():
            if wrong:
                raise UsageError(message)

    def _mistakes(self) -> list[tuple[bool, str]]:
        return [
            (
                min(self.beam, self.batch, self.n_best, self.groups) < 1,
                "beam, batch, n_best, groups: 1 or more",
            ),
            (
                self.n_best > self.beam and not self.sample,
                f"{self.n_best} best of a beam of {self.beam}: ask for 1 to {self.beam}, or widen the beam",
            ),
            (
                self.beam % self.groups > 0,
                f"a beam of {self.beam} cannot be shared by {self.groups} groups: take a multiple of them",
            ),
            (self.groups > 1 and self.sample, "sampling has no groups: leave one of the two out"),
            (
                self.normalisation not in NORMALISATIONS,
                f"no normalisation '{self.normalisation}', one of: {', '.join(NORMALISATIONS)}",
            ),
            (min(self.length_penalty, self.coverage_penalty) < 0, "a penalty is 0 or more"),
            (self.diversity < 0, "diversity is 0 or more"),
            (
                min(self.max_ratio, self.min_ratio, self.max_extra, self.min_length) < 0,
                "lengths are 0 or more",
            ),
            (
                self.min_ratio > self.max_ratio,
                f"at least {self.min_ratio:g} and at most {self.max_ratio:g} pieces per source piece: "
                "the minimum is above the maximum",
            ),
            (min(self.no_repeat_ngram, self.top_k) < 0, "no_repeat_ngram and top_k are 0 or more"),
            (self.temperature <= 0, "temperature is above 0 (a beam of 1 takes the best piece)"),
            (not 0 < self.top_p <= 1, "top_p is above 0 and at most 1"),
        ]

    @property
    def ranking(self) -> Ranking:
        """What outputs are ranked by."""
        return Ranking(self.normalisation, self.length_penalty, self.word_reward, self.coverage_penalty)

    @property
    def lanes(self) -> int:
        """Beams of a sentence that are kept apart: groups, or samples."""
        return self.n_best if self.sample else self.groups

    @property
    def width(self) -> int:
        """Hypotheses in each of them."""
        return 1 if self.sample else self.beam // self.groups

    @property
    def ends(self) -> int:
        """Finished hypotheses that each of them keeps."""
        return 1 if self.sample else self.n_best
