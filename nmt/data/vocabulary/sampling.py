"""Subword regularisation: drawing one of a word's segmentations, the same one in every process.

SentencePiece can draw too, but mixes something of its process into the seed it is given.
"""

from bisect import bisect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate, groupby
from math import exp, fsum, log
from random import Random
from typing import NamedTuple, Protocol

LONGEST_WORD = 200  # characters; of a longer one only the best segmentation is taken


class SegmentationSampler(Protocol):
    """Draws the segmentation of a word; None where an id would stand is a piece outside the vocabulary."""

    def __call__(self, word: str, alpha: float, rng: Random) -> list[int | None]: ...


class _LastTokens(NamedTuple):
    """The pieces that may end a beginning of a word: where each starts, its id, the probability up to it."""

    starts: list[int]
    ids: list[int | None]
    cumulative: list[float]


class UnigramSegmentations:
    """Segmentations of a unigram model, each as likely as its probability to the power alpha (Kudo, 2018)."""

    def __init__(self, pieces: Mapping[str, int], scores: Mapping[str, float]) -> None:
        self._pieces, self._scores = pieces, scores
        self._longest = max(map(len, pieces))
        self._unknown = min(scores.values()) - 10  # sentencepiece's own penalty
        self._lattice = lru_cache(1 << 14)(self._new_lattice)

    def __call__(self, word: str, alpha: float, rng: Random) -> list[int | None]:
        """From the last piece to the first: forward filtering, backward sampling."""
        lattice, ids, end = self._lattice(word, alpha), list[int | None](), len(word)
        while end:
            last = lattice[end - 1]
            chosen = min(bisect(last.cumulative, rng.random()), len(last.ids) - 1)
            ids.append(last.ids[chosen])
            end = last.starts[chosen]
        return ids[::-1]

    def _new_lattice(self, word: str, alpha: float) -> list[_LastTokens]:
        """For every beginning of the word, what may come last in it and how likely each is."""
        lattice, totals = list[_LastTokens](), [0.0]  # totals: log of the summed weights of all segmentations
        for end in range(1, len(word) + 1):
            starts = range(max(0, end - self._longest), end)
            last = {start: word[start:end] for start in starts if self._is_piece(word[start:end])}
            weights = [totals[i] + alpha * self._scores.get(w, self._unknown) for i, w in last.items()]
            best = max(weights)
            totals.append(best + log(fsum(exp(weight - best) for weight in weights)))
            cumulative = list(accumulate(exp(weight - totals[end]) for weight in weights))
            lattice.append(_LastTokens([*last], [self._pieces.get(w) for w in last.values()], cumulative))
        return lattice

    def _is_piece(self, text: str) -> bool:
        return len(text) == 1 or text in self._pieces


class BpeSegmentations:
    """Segmentations by merges, each passed over with probability alpha (Provilkov et al., 2020)."""

    def __init__(self, pieces: Mapping[str, int], scores: Mapping[str, float]) -> None:
        self._pieces, self._scores = pieces, scores

    def __call__(self, word: str, alpha: float, rng: Random) -> list[int | None]:
        symbols = list(word)
        while merges := [(-score, i) for i, score in self._merges(symbols) if rng.random() >= alpha]:
            _, i = min(merges)
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        return [self._pieces.get(symbol) for symbol in symbols]

    def _merges(self, symbols: list[str]) -> Iterator[tuple[int, float]]:
        for i in range(len(symbols) - 1):
            score = self._scores.get(symbols[i] + symbols[i + 1])
            if score is not None:
                yield i, score


def merge_unknowns(ids: list[int | None], unknown: int) -> list[int]:
    """Ids where neighbours outside the vocabulary are one `unknown`, as sentencepiece has it."""
    return [i for key, run in groupby(ids) for i in ([unknown] if key is None else [key] * len(list(run)))]
