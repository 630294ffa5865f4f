"""What an epoch is made of: every pair once, or each corpus so many times, in an order of the epoch's own.

All of it is a function of (seed, epoch, place): nothing is kept from one epoch to the next, and no list of
all pairs is ever held.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.store.arrays import Int64, find_parts

UInt64 = NDArray[np.uint64]
ROUNDS = 6


class Mixture:
    """The positions of an epoch, and which pair of the store stands at each.

    `times` says how often an epoch goes through each corpus, of `sizes` pairs: 2.5 is twice through all of
    it, and half of it once more, in another order, from where the epoch before stopped. So in the long run
    no pair is drawn more often than its neighbours.
    """

    def __init__(self, sizes: Sequence[int], times: Sequence[float], seed: int) -> None:
        self.seed = seed
        self._sizes = np.array(sizes, np.int64)
        self._pairs: Int64 = np.cumsum(self._sizes) - self._sizes  # the first pair of each corpus
        whole = np.floor(times).astype(np.int64)
        self._whole = whole * self._sizes
        extra = np.rint((np.array(times) - whole) * self._sizes).astype(np.int64)
        self._extra: Int64 = np.maximum(extra, (whole == 0).astype(np.int64))
        self._first: Int64 = np.cumsum([0, *(self._whole + self._extra)])

    def __len__(self) -> int:
        """Places in an epoch."""
        return int(self._first[-1])

    def pairs(self, epoch: int, positions: Int64) -> Int64:
        """The pairs that stand at some positions of an epoch."""
        corpora = find_parts(positions, self._first)
        within = positions - self._first[corpora]
        found = within % self._sizes[corpora]
        over = within - self._whole[corpora]
        for corpus in np.unique(corpora[over >= 0]):
            here = (corpora == corpus) & (over >= 0)
            found[here] = self._further(int(corpus), epoch, over[here])
        drawn: Int64 = self._pairs[corpora] + found
        return drawn

    def _further(self, corpus: int, epoch: int, positions: Int64) -> Int64:
        """Pairs of a corpus in rounds of its own, in which the epochs follow each other."""
        size = int(self._sizes[corpus])
        rounds, within = np.divmod(epoch * self._extra[corpus] + positions, size)
        found: Int64 = np.empty_like(within)
        for number in np.unique(rounds):
            here = rounds == number
            found[here] = shuffled_values(within[here], size, shuffle_keys(self.seed, corpus, int(number), 1))
        return found


def random_generator(*key: int) -> np.random.Generator:
    """Random numbers that follow from a key."""
    return np.random.default_rng(np.random.SeedSequence(key))


def shuffle_keys(*key: int) -> UInt64:
    """What decides on an order in `shuffled_values`."""
    return random_generator(*key).integers(1 << 63, size=ROUNDS).astype(np.uint64)


def shuffled_values(positions: Int64, size: int, shuffle_keys: UInt64) -> Int64:
    """What stands at some positions of a shuffled 0, 1, ... size - 1, without shuffling the rest.

    A Feistel network (Luby and Rackoff, 1988) permutes the numbers of an even count of bits; what falls
    beyond `size` is permuted again until it does not.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    values = _feistel(positions.astype(np.uint64), half, shuffle_keys)
    while (beyond := values >= size).any():
        values[beyond] = _feistel(values[beyond], half, shuffle_keys)
    return values.astype(np.int64)


def _feistel(values: UInt64, half: int, shuffle_keys: UInt64) -> UInt64:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in shuffle_keys:
        left, right = right, left ^ (mix_bits(right ^ key) & mask)
    return (left << bits) | right


def mix_bits(values: UInt64) -> UInt64:
    """Values whose every bit hangs on every bit given (SplitMix64: Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
