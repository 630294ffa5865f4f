"""The order of an epoch: positions, the pairs of several corpora at them, and random numbers for positions.
Everything is computed from keys, so that no list of all pairs is held in memory."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.store.arrays import Int64, find_parts

UInt64 = NDArray[np.uint64]
ROUNDS = 6


class Mixture:
    """The mapping from positions of an epoch to pairs of the store.

    `times` gives the passes over each corpus (of `sizes` pairs) per epoch: 2.5 is two full passes and half a
    pass in another order, which continues that of the previous epoch, so all pairs of a corpus are used
    equally often in the long run.
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
        """Return the number of positions in an epoch."""
        return int(self._first[-1])

    def pairs(self, epoch: int, positions: Int64) -> Int64:
        """Return the pairs at some positions of an epoch."""
        corpora = find_parts(positions, self._first)
        within = positions - self._first[corpora]
        indices = within % self._sizes[corpora]
        over = within - self._whole[corpora]
        for corpus in np.unique(corpora[over >= 0]):
            here = (corpora == corpus) & (over >= 0)
            indices[here] = self._partial_pass(int(corpus), epoch, over[here])
        pairs: Int64 = self._pairs[corpora] + indices
        return pairs

    def _partial_pass(self, corpus: int, epoch: int, positions: Int64) -> Int64:
        """Return pairs of passes that extend over several epochs."""
        size = int(self._sizes[corpus])
        rounds, within = np.divmod(epoch * self._extra[corpus] + positions, size)
        indices: Int64 = np.empty_like(within)
        for number in np.unique(rounds):
            here = rounds == number
            keys = shuffle_keys(self.seed, corpus, int(number), 1)
            indices[here] = shuffle_values(within[here], size, keys)
        return indices


def build_generator(*key: int) -> np.random.Generator:
    """Return a generator seeded with a key."""
    return np.random.default_rng(np.random.SeedSequence(key))


def shuffle_keys(*key: int) -> UInt64:
    """Return the keys that determine an order in `shuffle_values`."""
    return build_generator(*key).integers(1 << 63, size=ROUNDS).astype(np.uint64)


def shuffle_values(positions: Int64, size: int, keys: UInt64) -> Int64:
    """Return the values at some positions of a shuffled 0, 1, ... size - 1, without computing the rest.

    A Feistel network (Luby and Rackoff, 1988) permutes numbers with an even number of bits; results of `size`
    and above are permuted again.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    values = _feistel(positions.astype(np.uint64), half, keys)
    while (beyond := values >= size).any():
        values[beyond] = _feistel(values[beyond], half, keys)
    return values.astype(np.int64)


def _feistel(values: UInt64, half: int, keys: UInt64) -> UInt64:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in keys:
        left, right = right, left ^ (mix_bits(right ^ key) & mask)
    return (left << bits) | right


def mix_bits(values: UInt64) -> UInt64:
    """Mix values so that each bit depends on all input bits (SplitMix64: Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def draw_numbers(positions: Int64, *key: int) -> Int64:
    """Return a random number of 32 bits for each position, from a key."""
    numbers: Int64 = (draw_bits(positions, *key) >> np.uint64(32)).astype(np.int64)
    return numbers


def draw_bits(positions: Int64, *key: int) -> UInt64:
    """Return 64 random bits for each position, from a key."""
    mask = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return mix_bits(positions.astype(np.uint64) ^ mask)
