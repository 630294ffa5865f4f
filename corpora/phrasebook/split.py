"""Which pairs are held out: whole combinations, so that the test asks for what was never seen together."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from clauses import Pair

# of a hundred combinations so many are held out for the test and for validation
TEST_SHARE, VALID_SHARE = 7, 5
# so many pairs of each kind: without a gap, with one, written by hand
TEST_SIZE = {"near": 400, "far": 80, "free": 24}
VALID_SIZE = {"near": 330, "far": 50, "free": 20}


class Split(NamedTuple):
    """The three parts."""

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]


def rank(text: str) -> int:
    """A number that follows from a text and nothing else."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def part(key: str) -> str:
    """The part a combination belongs to."""
    place = rank(key) % 100
    if place < TEST_SHARE:
        return "test"
    return "valid" if place < TEST_SHARE + VALID_SHARE else "train"


def kind(pair: Pair) -> str:
    """What a pair is to the test: near, far or free."""
    return "free" if pair.family == "free" else "far" if pair.gap else "near"


def thinned(pairs: Sequence[Pair], sizes: dict[str, int]) -> list[Pair]:
    """At most so many pairs of each kind, in an order without meaning, no English sentence twice."""
    once = {pair.en: pair for pair in sorted(pairs, key=lambda pair: pair.ko)}
    ordered, left, chosen = sorted(once.values(), key=lambda pair: rank(pair.ko)), dict(sizes), []
    for pair in ordered:
        if left[kind(pair)]:
            left[kind(pair)] -= 1
            chosen.append(pair)
    return chosen


def split(pairs: Iterable[Pair], free: Sequence[Pair] = ()) -> Split:
    """The pairs in three parts: train shares no combination and no sentence with the others."""
    parts: dict[str, list[Pair]] = {"train": [], "valid": [], "test": []}
    for pair in pairs:
        parts[part(pair.key)].append(pair)
    for pair in free:
        parts[free_part(pair)].append(pair)
    test = thinned(parts["test"], TEST_SIZE)
    valid = without(thinned(parts["valid"], VALID_SIZE), test)
    train = without(parts["train"], [*test, *valid])
    return Split(sorted(train, key=lambda pair: rank(pair.ko)), valid, test)


def free_part(pair: Pair) -> str:
    """The part of a free pair: one in twenty each for the test and validation."""
    return {0: "test", 1: "valid"}.get(rank(pair.en) % 20, "train")


def without(pairs: Iterable[Pair], held_out: Iterable[Pair]) -> list[Pair]:
    """The pairs that share neither sentence with a held-out pair."""
    korean, english = {pair.ko for pair in held_out}, {pair.en for pair in held_out}
    return [pair for pair in pairs if pair.ko not in korean and pair.en not in english]
