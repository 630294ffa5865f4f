"""Subword regularisation: sampling of a word's segmentation, reproducible in every process (SentencePiece's
own sampling depends on the process, not only on the seed)."""

from bisect import bisect
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import accumulate, groupby, pairwise
from math import exp, fsum, log
from random import Random
from typing import NamedTuple

LONGEST_WORD = 200  # characters; longer words are not sampled


SegmentationSampler = Callable[[str, float, Random], list[tuple[int | None, str]]]
"""A function of a word, alpha and a generator that samples its segmentation: tokens and their text. None is
an unknown token."""


class _LastTokens(NamedTuple):
    """The possible last tokens of a prefix of a word: their starts, ids and cumulative probabilities."""

    starts: list[int]
    ids: list[int | None]
    cumulative: list[float]


class UnigramSegmentations:
    """Segmentations of a unigram model, each as likely as its probability to the power alpha (Kudo, 2018)."""

    def __init__(self, tokens: Mapping[str, int], scores: Mapping[str, float]) -> None:
        self._tokens, self._scores = tokens, scores
        self._longest = max(map(len, tokens))
        self._unknown = min(scores.values()) - 10  # sentencepiece's penalty
        self._lattice = lru_cache(1 << 14)(self._new_lattice)

    def __call__(self, word: str, alpha: float, rng: Random) -> list[tuple[int | None, str]]:
        """Sample from the last token to the first: forward filtering, backward sampling."""
        lattice, sampled, end = self._lattice(word, alpha), list[tuple[int | None, str]](), len(word)
        while end:
            last = lattice[end - 1]
            chosen = min(bisect(last.cumulative, rng.random()), len(last.ids) - 1)
            start = last.starts[chosen]
            sampled.append((last.ids[chosen], word[start:end]))
            end = start
        return sampled[::-1]

    def _new_lattice(self, word: str, alpha: float) -> list[_LastTokens]:
        """Return the possible last tokens of every prefix of the word, with their probabilities."""
        lattice, totals = list[_LastTokens](), [0.0]  # totals: log of the summed weights of all segmentations
        for end in range(1, len(word) + 1):
            starts = range(max(0, end - self._longest), end)
            last = {i: word[i:end] for i in starts if end - i == 1 or word[i:end] in self._tokens}
            weights = [totals[i] + alpha * self._scores.get(w, self._unknown) for i, w in last.items()]
            best = max(weights)
            totals.append(best + log(fsum(exp(weight - best) for weight in weights)))
            cumulative = list(accumulate(exp(weight - totals[end]) for weight in weights))
            lattice.append(_LastTokens([*last], [self._tokens.get(w) for w in last.values()], cumulative))
        return lattice


class BpeSegmentations:
    """Segmentations by merges, each skipped with probability alpha (Provilkov et al., 2020)."""

    def __init__(self, tokens: Mapping[str, int], scores: Mapping[str, float]) -> None:
        self._tokens, self._scores = tokens, scores

    def __call__(self, word: str, alpha: float, rng: Random) -> list[tuple[int | None, str]]:
        symbols = list(word)
        while True:
            possible = ((left + right, i) for i, (left, right) in enumerate(pairwise(symbols)))
            scored = ((-self._scores[symbol], i, symbol) for symbol, i in possible if symbol in self._scores)
            merges = [merge for merge in scored if rng.random() >= alpha]
            if not merges:
                return [(self._tokens.get(symbol), symbol) for symbol in symbols]
            _, i, symbol = min(merges)
            symbols[i : i + 2] = [symbol]


def merge_unknowns(ids: list[int | None], unknown: int) -> list[int]:
    """Replace each run of unknown tokens by one `unknown`, as sentencepiece does."""
    return [i for key, run in groupby(ids) for i in ([unknown] if key is None else [key] * len(list(run)))]
