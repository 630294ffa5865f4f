"""Where a system is good: by the length of the source, and by how often a word was seen in training."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

LENGTHS = (1, 6, 11, 16, 21, 31)
"""Words with which a bucket of source lengths begins."""
FREQUENCIES = (0, 1, 10, 100, 1000)
"""Occurrences in the training text with which a bucket of words begins."""

_tokenized: Callable[[str], str] = Tokenizer13a()  # type: ignore[no-untyped-call]


class Bucket(NamedTuple):
    """Numbers from `first` to `last`, which is None where there is no end."""

    first: int
    last: int | None

    def __str__(self) -> str:
        if self.last is None:
            return f"{self.first:,} or more"
        return f"{self.first:,}" if self.first == self.last else f"{self.first:,} to {self.last:,}"


class Words(NamedTuple):
    """How well words were found, each as often as it stands in the reference (Neubig et al., 2019)."""

    matched: int = 0
    written: int = 0  # in the translations
    wanted: int = 0  # in the references

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in percent; 0 where there is nothing."""
        return 200 * self.matched / max(self.written + self.wanted, 1)


def words(line: str) -> list[str]:
    """The words of a line as BLEU's tokenizer 13a tells them apart."""
    return _tokenized(line).split()


def frequencies(lines: Iterable[str]) -> Counter[str]:
    """How often each word stands in a text."""
    return Counter(word for line in lines for word in words(line))


def buckets(starts: Sequence[int]) -> list[Bucket]:
    """The buckets that begin with these numbers."""
    return [Bucket(first, following - 1) for first, following in pairwise(starts)] + [
        Bucket(starts[-1], None)
    ]


def bucket_of(number: int, among: Sequence[Bucket]) -> Bucket:
    """The bucket that holds a number; the first holds what is less, too."""
    return next((bucket for bucket in reversed(among) if number >= bucket.first), among[0])


def by_length(sources: Sequence[str]) -> dict[Bucket, list[int]]:
    """The places of the sentences of each length; buckets without a sentence are left out."""
    among = buckets(LENGTHS)
    found: dict[Bucket, list[int]] = {bucket: [] for bucket in among}
    for place, source in enumerate(sources):
        found[bucket_of(len(words(source)), among)].append(place)
    return {bucket: places for bucket, places in found.items() if places}


def by_frequency(hyps: Sequence[str], refs: Sequence[str], known: Mapping[str, int]) -> dict[Bucket, Words]:
    """How well words were found by how often each stood in the training text; as `by_length`."""
    among = buckets(FREQUENCIES)
    found = dict.fromkeys(among, Words())
    for hyp, ref in zip(hyps, refs, strict=True):
        written, wanted = Counter(words(hyp)), Counter(words(ref))
        for word in {**written, **wanted}:
            bucket = bucket_of(known.get(word, 0), among)
            here = (min(written[word], wanted[word]), written[word], wanted[word])
            found[bucket] = Words(*map(sum, zip(found[bucket], here, strict=True)))
    return {bucket: count for bucket, count in found.items() if count.wanted}
