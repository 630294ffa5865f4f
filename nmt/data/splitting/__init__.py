"""Division of a corpus into training, validation and test pairs without leakage.

Test and validation are drawn first. What shares a sentence with them, directly or by way of other pairs, or
resembles one of their sentences, is left out of the training part.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.pair_rules import FilterReport
from nmt.data.splitting.near_copies import SIMILARITY, NearCopyIndex, normalise_sentence
from nmt.errors import DataError, UsageError

Pair = tuple[str, str]
ReadPairs = Callable[[], Iterable[Pair]]
HELD_OUT = ("test", "valid")
MOST, FEWEST = 2000, 20
"""Limits of the number of pairs in validation, and in test."""
LARGEST_GROUP = 50
"""Pairs of a group above which none of it is drawn: all of them would be lost for training."""
CANDIDATES = 10
"""Pairs that are considered for each pair of a held-out part."""
EXAMPLES = 5


class SplitSettings(NamedTuple):
    """What a split depends on besides the pairs."""

    seed: int = 1
    held_out: int | None = None  # pairs in validation, and in test; None: by the size of the corpus
    similarity: float = SIMILARITY

    def held_out_size(self, pairs: int) -> int:
        """Return the number of pairs in validation, and in test: by default three square roots."""
        return min(MOST, 3 * isqrt(pairs)) if self.held_out is None else self.held_out


@dataclass
class SplitReport:
    """Counts of a split, and pairs that were left out of training because they resemble held-out ones."""

    parts: dict[str, int] = field(default_factory=lambda: {"train": 0, "valid": 0, "test": 0})
    groups: int = 0
    largest_group: int = 0
    training: FilterReport = field(default_factory=FilterReport)
    examples: list[Pair] = field(default_factory=list)  # sentences with what they resemble


def split_pairs_by_group(
    read: ReadPairs, settings: SplitSettings, report: SplitReport
) -> Iterator[tuple[str, Pair]]:
    """Yield each pair with its part: `train`, `valid` or `test`; those that fit in none are counted.

    The pairs are read three times. Memory is about 80 bytes per pair, and time is linear in their number.
    Which sentences are drawn depends on the seed and their text only: in a corpus that has grown, most of
    the earlier ones are drawn again.
    """
    keys = _hash_sentences(read, settings.seed)
    labels = label_groups(*keys)
    sizes = np.bincount(labels, minlength=len(labels))
    report.groups, report.largest_group = int(np.count_nonzero(sizes)), int(sizes.max(initial=0))
    wanted = settings.held_out_size(len(labels))
    if 2 * wanted >= len(labels):
        raise UsageError(
            f"{wanted:,} pairs each for validation and test leave none of {len(labels):,} to train on: "
            "choose fewer (--held-out)"
        )
    drawn = _draw_groups(keys, labels, sizes, 2 * CANDIDATES * wanted)
    parts = _choose_parts(read, drawn, wanted, settings.similarity)
    held_out_groups = {int(labels[number]) for part in parts.values() for number in part}
    held_out = {number: part for part in HELD_OUT for number in parts[part]}
    indices = _index_sides([pair for part in HELD_OUT for pair in parts[part].values()], settings.similarity)
    for number, pair in enumerate(read()):
        part = held_out.get(number, "train")
        if part == "train":
            reason = _leak_reason(pair, int(labels[number]) in held_out_groups, indices, report)
            if not report.training.count(reason):
                continue
        report.parts[part] += 1
        yield part, pair


def _leak_reason(
    pair: Pair, is_connected: bool, indices: tuple[NearCopyIndex, ...], report: SplitReport
) -> str | None:
    """Return the reason to leave a pair out of training, or None."""
    if is_connected:
        return "shares a sentence with a held-out pair, or with one that does"
    for side, index, text in zip(("source", "target"), indices, pair, strict=True):
        if (number := index.find(normalise_sentence(text))) is not None:
            if len(report.examples) < EXAMPLES:
                report.examples.append((text, index.sentences[number]))
            return f"{side} is a near copy of a held-out sentence"
    return None


def _hash_sentences(read: ReadPairs, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return 64 bits for each source and each target, by their normalised text and the seed."""
    salt = seed.to_bytes(8, "little")
    sides = bytearray(), bytearray()
    for pair in read():
        for side, text in zip(sides, pair, strict=True):
            side += blake2b(normalise_sentence(text).encode(), digest_size=8, key=salt).digest()
    src, tgt = (np.frombuffer(side, np.dtype("<u8")) for side in sides)
    return src, tgt


def label_groups(*sides: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return for each pair the first pair that it is connected with, by equal keys on a side."""
    labels = np.arange(len(sides[0]), dtype=np.int32)
    if not len(labels):
        return labels
    runs = [_find_runs(keys) for keys in sides]
    while True:
        before = labels.copy()
        for order, starts in runs:
            first = np.minimum.reduceat(labels[order], starts)
            labels[order] = np.repeat(first, np.diff(starts, append=len(order)))
        labels = labels[labels]
        if np.array_equal(labels, before):
            return labels


def _find_runs(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the order that sorts keys, and where each run of equal keys starts in it."""
    order = np.argsort(keys, kind="stable").astype(np.int32)
    return order, np.concatenate(([0], np.flatnonzero(np.diff(keys[order])) + 1))


def _draw_groups(
    keys: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    labels: NDArray[np.int32],
    sizes: NDArray[np.int64],
    most: int,
) -> list[int]:
    """Return one pair of each of the groups drawn, in the order of their keys, which are random."""
    drawn: dict[int, int] = {}
    for number in np.lexsort(keys[::-1]):
        label = int(labels[number])
        if sizes[label] <= LARGEST_GROUP:
            drawn.setdefault(label, int(number))
        if len(drawn) == most:
            break
    return list(drawn.values())


def _choose_parts(
    read: ReadPairs, drawn: list[int], wanted: int, similarity: float
) -> dict[str, dict[int, Pair]]:
    """Return the pairs of test and of validation, none of which resembles one of test, by their numbers."""
    chosen = set(drawn)
    texts = {number: pair for number, pair in enumerate(read()) if number in chosen}
    test = drawn[:wanted]
    indices = _index_sides([texts[number] for number in test], similarity)
    valid: list[int] = []
    for number in drawn[wanted:]:
        if len(valid) == len(test):
            break
        if _leak_reason(texts[number], False, indices, SplitReport()) is None:
            valid.append(number)
    if min(len(test), len(valid)) < min(FEWEST, wanted):
        raise DataError(
            f"only {len(test):,} test and {len(valid):,} validation pairs can be drawn that share no "
            f"sentence, {FEWEST} are needed: give more pairs, or split them yourself"
        )
    return {"test": {n: texts[n] for n in test}, "valid": {n: texts[n] for n in valid}}


def _index_sides(pairs: list[Pair], similarity: float) -> tuple[NearCopyIndex, ...]:
    sides = ([normalise_sentence(pair[side]) for pair in pairs] for side in (0, 1))
    return tuple(NearCopyIndex(side, similarity) for side in sides)
