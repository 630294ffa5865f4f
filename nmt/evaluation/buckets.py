"""Scores by the length of the source, and by the frequency of a word in the training text."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU

LENGTHS = (1, 6, 11, 16, 21, 31)  # lower bounds of the buckets of sources, in words
FREQUENCIES = (
    0,
    1,
    10,
    100,
    1000,
)  # lower bounds of the buckets of words, by occurrences in the training text


class Bucket(NamedTuple):
    """Numbers from `first` to `last`; None: no upper limit."""

    first: int
    last: int | None

    def __str__(self) -> str:
        if self.last is None:
            return f"{self.first:,} or more"
        return f"{self.first:,}" if self.first == self.last else f"{self.first:,} to {self.last:,}"


class WordMatches(NamedTuple):
    """Counts of words, each matched at most as often as in the reference (Neubig et al., 2019)."""

    matched: int = 0
    hyp: int = 0
    ref: int = 0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent; 0 without words."""
        return 200 * self.matched / max(self.hyp + self.ref, 1)


@cache
def _load_tokenizer(name: str) -> Callable[[str], str]:
    tokenizer: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    return tokenizer


def split_words(line: str, tokenize: str = "13a") -> list[str]:
    """Split a line into words with one of BLEU's tokenizers."""
    return _load_tokenizer(tokenize)(line).split()


def count_words(lines: Iterable[str], tokenize: str = "13a") -> Counter[str]:
    """Count each word of a text."""
    return Counter(word for line in lines for word in split_words(line, tokenize))


def make_buckets(starts: Sequence[int]) -> list[Bucket]:
    """Return adjacent buckets that begin at these numbers."""
    return [*(Bucket(first, second - 1) for first, second in pairwise(starts)), Bucket(starts[-1], None)]


def find_bucket(number: int, buckets: Sequence[Bucket]) -> Bucket:
    """Return the bucket of a number; numbers below all buckets are in the first."""
    return next((bucket for bucket in reversed(buckets) if number >= bucket.first), buckets[0])


def group_by_length(sources: Sequence[str], tokenize: str = "13a") -> dict[Bucket, list[int]]:
    """Return the indices of the sentences of each length; empty buckets are omitted."""
    indices: dict[Bucket, list[int]] = {bucket: [] for bucket in make_buckets(LENGTHS)}
    for index, source in enumerate(sources):
        indices[find_bucket(len(split_words(source, tokenize)), [*indices])].append(index)
    return {bucket: members for bucket, members in indices.items() if members}


def match_by_frequency(
    hyps: Sequence[str], refs: Sequence[str], frequencies: Mapping[str, int], tokenize: str = "13a"
) -> dict[Bucket, WordMatches]:
    """Count matched words by their frequency; buckets without reference words are omitted."""
    matches = dict.fromkeys(make_buckets(FREQUENCIES), WordMatches())
    for hyp, ref in zip(hyps, refs, strict=True):
        hyp_words, ref_words = (Counter(split_words(text, tokenize)) for text in (hyp, ref))
        for word in hyp_words | ref_words:
            bucket = find_bucket(frequencies.get(word, 0), [*matches])
            counts = min(hyp_words[word], ref_words[word]), hyp_words[word], ref_words[word]
            matches[bucket] = WordMatches(*map(sum, zip(matches[bucket], counts, strict=True)))
    return {bucket: count for bucket, count in matches.items() if count.ref}
