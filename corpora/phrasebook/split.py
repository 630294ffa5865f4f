"""The split: whole combinations are held out, so the test set has combinations never seen in training."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from clauses import Pair

# percentage of combinations held out for test and validation
TEST_SHARE, VALID_SHARE = 7, 5
# number of pairs of each kind: without a gap, with a gap, hand-written
TEST_SIZE = {"near": 400, "far": 80, "free": 24}
VALID_SIZE = {"near": 330, "far": 50, "free": 20}


class Split(NamedTuple):
    """The corpus in three parts."""

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]


def hash_rank(text: str) -> int:
    """Hash a text to a number."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def assign_part(key: str) -> str:
    """Return the part of a combination."""
    place = hash_rank(key) % 100
    if place < TEST_SHARE:
        return "test"
    return "valid" if place < TEST_SHARE + VALID_SHARE else "train"


def pair_kind(pair: Pair) -> str:
    """Return the kind of a pair: near, far or free."""
    return "free" if pair.family == "free" else "far" if pair.gap else "near"


def select(pairs: Sequence[Pair], sizes: dict[str, int]) -> list[Pair]:
    """Select a number of pairs of each kind in pseudo-random order, each English sentence once."""
    once = {pair.en: pair for pair in sorted(pairs, key=lambda pair: pair.ko)}
    ordered, left, chosen = sorted(once.values(), key=lambda pair: hash_rank(pair.ko)), dict(sizes), []
    for pair in ordered:
        if left[pair_kind(pair)]:
            left[pair_kind(pair)] -= 1
            chosen.append(pair)
    return chosen


def split(pairs: Iterable[Pair], free: Sequence[Pair] = ()) -> Split:
    """Split the pairs; train shares no combination and no sentence with the other parts."""
    parts: dict[str, list[Pair]] = {"train": [], "valid": [], "test": []}
    for pair in pairs:
        parts[assign_part(pair.key)].append(pair)
    for pair in free:
        parts[assign_free_part(pair)].append(pair)
    test = select(parts["test"], TEST_SIZE)
    valid = exclude(select(parts["valid"], VALID_SIZE), test)
    train = exclude(parts["train"], [*test, *valid])
    return Split(sorted(train, key=lambda pair: hash_rank(pair.ko)), valid, test)


def assign_free_part(pair: Pair) -> str:
    """Return the part of a hand-written pair: one in twenty each for test and validation."""
    return {0: "test", 1: "valid"}.get(hash_rank(pair.en) % 20, "train")


def exclude(pairs: Iterable[Pair], held_out: Iterable[Pair]) -> list[Pair]:
    """Return the pairs that share neither sentence with a held-out pair."""
    korean, english = {pair.ko for pair in held_out}, {pair.en for pair in held_out}
    return [pair for pair in pairs if pair.ko not in korean and pair.en not in english]
