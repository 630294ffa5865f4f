"""Subword regularisation: sampling of a word's segmentation, reproducible in every process.

SentencePiece's own sampling also depends on the process, not only on the seed.
"""

from bisect import bisect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, groupby
from math import exp, fsum, log
from random import Random
from typing import NamedTuple, Protocol

LONGEST_WORD = 200  # characters; longer words are not sampled


class SegmentationSampler(Protocol):
    """A function that samples the segmentation of a word; None instead of an id is an unknown token."""

    def __call__(self, word: str, alpha: float, rng: Random) -> list[int | None]: ...


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

    def __call__(self, word: str, alpha: float, rng: Random) -> list[int | None]:
        """Sample from the last token to the first: forward filtering, backward sampling."""
        lattice, ids, end = self._lattice(word, alpha), list[int | None](), len(word)
        while end:
            last = lattice[end - 1]
            chosen = min(bisect(last.cumulative, rng.random()), len(last.ids) - 1)
            ids.append(last.ids[chosen])
            end = last.starts[chosen]
        return ids[::-1]

    def _new_lattice(self, word: str, alpha: float) -> list[_LastTokens]:
        """Return the possible last tokens of every prefix of the word, with their probabilities."""
        lattice, totals = list[_LastTokens](), [0.0]  # totals: log of the summed weights of all segmentations
        for end in range(1, len(word) + 1):
            starts = range(max(0, end - self._longest), end)
            last = {start: word[start:end] for start in starts if self._is_token(word[start:end])}
            weights = [totals[i] + alpha * self._scores.get(w, self._unknown) for i, w in last.items()]
            best = max(weights)
            totals.append(best + log(fsum(exp(weight - best) for weight in weights)))
            cumulative = list(accumulate(exp(weight - totals[end]) for weight in weights))
            lattice.append(_LastTokens([*last], [self._tokens.get(w) for w in last.values()], cumulative))
        return lattice

    def _is_token(self, text: str) -> bool:
        return len(text) == 1 or text in self._tokens


class BpeSegmentations:
    """Segmentations by merges, each skipped with probability alpha (Provilkov et al., 2020)."""

    def __init__(self, tokens: Mapping[str, int], scores: Mapping[str, float]) -> None:
        self._tokens, self._scores = tokens, scores

    def __call__(self, word: str, alpha: float, rng: Random) -> list[int | None]:
        symbols = list(word)
        while merges := [(-score, i) for i, score in self._merges(symbols) if rng.random() >= alpha]:
            _, i = min(merges)
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        return [self._tokens.get(symbol) for symbol in symbols]

    def _merges(self, symbols: list[str]) -> Iterator[tuple[int, float]]:
        for i in range(len(symbols) - 1):
            score = self._scores.get(symbols[i] + symbols[i + 1])
            if score is not None:
                yield i, score


def merge_unknowns(ids: list[int | None], unknown: int) -> list[int]:
    """Replace each run of unknown tokens by one `unknown`, as sentencepiece does."""
    return [i for key, run in groupby(ids) for i in ([unknown] if key is None else [key] * len(list(run)))]
