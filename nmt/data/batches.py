"""Batches: the order and grouping of an epoch's pairs, and their conversion to tensors. The order depends on
(seed, epoch, position) only and is computed pool by pool, so an epoch can be resumed at any batch without
reading the pairs before it, and no list of all pairs is held in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.store import StoreSide, TokenStore
from nmt.data.store.arrays import Int64, RaggedRows, find_parts
from nmt.data.vocabulary import BOS, EOS, PAD, Vocabulary
from nmt.data.word_alignment import align_tokens
from nmt.settings import Count, Settings

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


POOL = 1 << 16  # pairs sorted by length together


class Batch(NamedTuple):
    """Pairs as padded tensors of int64, batch-major."""

    src: Tensor  # [B, S]: tokens, eos, then pad
    src_lengths: Tensor  # [B]: including eos
    tgt: Tensor  # [B, T+1]: bos, tokens, eos, then pad
    tgt_lengths: Tensor  # [B]: including eos, without bos
    pairs: Tensor  # [B]: index of each pair in the store
    is_continued: bool = False  # the rows of the next batch continue these
    weights: Tensor | None = None  # [B]: weight of each pair in the loss; None: 1 each
    alignments: Tensor | None = None  # [L, 3] row, t, s: tgt[row, t + 1] translates src[row, s]

    def select_rows(self, rows: slice) -> "Batch":
        """Return some of the pairs, with no more padding than needed (at least one position)."""
        src_lengths, tgt_lengths = self.src_lengths[rows], self.tgt_lengths[rows]
        chosen = torch.arange(len(self.src))[rows]
        alignments = self.alignments
        if alignments is not None:
            new = torch.full((len(self.src),), -1).index_copy_(0, chosen, torch.arange(len(chosen)))
            alignments = torch.cat([new[alignments[:, :1]], alignments[:, 1:]], 1)[new[alignments[:, 0]] >= 0]
        return self._replace(
            src=self.src[rows, : int(src_lengths.max())],
            src_lengths=src_lengths,
            tgt=self.tgt[rows, : max(1, int(tgt_lengths.max())) + 1],
            tgt_lengths=tgt_lengths,
            pairs=self.pairs[rows],
            weights=None if self.weights is None else self.weights[rows],
            alignments=alignments,
        )


@dataclass(frozen=True, kw_only=True)
class BatchSettings(Settings):
    """The size of a batch."""

    by: Literal["sentences", "tokens"] = "sentences"
    """Unit of `size`; tokens are counted with padding, on the longer side."""
    size: Count = 64
    """Sentences, or tokens, in a batch."""


class BatchPlan(NamedTuple):
    """The division of pairs into batches.

    `times` gives the passes over each corpus per epoch (see `Mixture`); empty: one pass over each.
    """

    batch: BatchSettings
    seed: int
    times: tuple[float, ...] = ()
    pool: int = POOL

    def mixture(self, store: TokenStore) -> Mixture:
        """Return the mixture of corpora in an epoch."""
        return Mixture([part.pairs for part in store.parts], self.times or [1] * len(store.parts), self.seed)


class BatchPairs(NamedTuple):
    """Pairs of a batch, and their positions in the epoch."""

    pairs: Int64
    positions: Int64


class SubwordSampling(NamedTuple):
    """Subword regularisation (Kudo, 2018): segmentations sampled in every epoch, with smoothing alpha."""

    src: Vocabulary
    tgt: Vocabulary
    alpha: float


def read_batches(
    store: TokenStore, plan: BatchPlan, epoch: int, start: int = 0, sampling: SubwordSampling | None = None
) -> Iterator[Batch]:
    """Yield the batches of an epoch, starting with number `start` (from 0).

    Sampled segmentations depend on (seed, epoch, position). Batches are formed by the lengths in the store:
    with sampling, one may exceed its number of tokens.
    """
    for number, chosen in enumerate(_plan_batches(store, plan, epoch)):
        if number >= start:
            yield _collate(store, chosen, plan.seed, epoch, sampling)
            store.release()


def count_batches(store: TokenStore, plan: BatchPlan, epoch: int) -> int:
    """Count the batches of an epoch; with batches by tokens, epochs may differ a little."""
    return sum(1 for _ in _plan_batches(store, plan, epoch))


def read_validation_batches(store: TokenStore, plan: BatchPlan) -> Iterator[Batch]:
    """Yield every pair once, grouped by length, not shuffled; `Batch.pairs` gives the index in the store."""
    for first in range(0, len(store), plan.pool):
        pool = np.arange(first, min(first + plan.pool, len(store)))
        for chosen in _group_by_length(store, plan, pool):
            yield _collate(store, BatchPairs(pool[chosen], pool[chosen]), plan.seed, 0, None)


def _plan_batches(store: TokenStore, plan: BatchPlan, epoch: int) -> Iterator[BatchPairs]:
    """Yield the pairs of each batch of an epoch."""
    mixture, order = plan.mixture(store), shuffle_keys(plan.seed, epoch)
    for pool, first in enumerate(range(0, len(mixture), plan.pool)):
        numbers = np.arange(first, min(first + plan.pool, len(mixture)))
        positions = shuffle_values(numbers, len(mixture), order)
        pairs = mixture.pairs(epoch, positions)
        groups = _group_by_length(store, plan, pairs)
        for i in build_generator(plan.seed, epoch, pool).permutation(len(groups)):
            yield BatchPairs(pairs[groups[i]], positions[groups[i]])


def _group_by_length(store: TokenStore, plan: BatchPlan, pairs: Int64) -> list[Int64]:
    """Return the indices in `pairs` of each batch's pairs, sorted by length and split."""
    src_lengths, tgt_lengths = store.lengths(pairs)
    order = np.lexsort((tgt_lengths, src_lengths))
    if plan.batch.by == "sentences":
        return np.split(order, range(plan.batch.size, len(pairs), plan.batch.size))
    longest = np.maximum(src_lengths, tgt_lengths)[order] + 1
    return np.split(order, _split_by_tokens(longest, plan.batch.size))


def _split_by_tokens(lengths: Int64, size: int) -> list[int]:
    """Return batch starts such that rows times widest row is at most `size`; a wider row is a batch alone."""
    cuts, start, widest = [], 0, 0
    for i, length in enumerate(lengths.tolist()):
        widest = max(widest, length)
        if i > start and (i + 1 - start) * widest > size:
            cuts.append(i)
            start, widest = i, length
    return cuts


def _collate(
    store: TokenStore, chosen: BatchPairs, seed: int, epoch: int, sampling: SubwordSampling | None
) -> Batch:
    pairs = chosen.pairs
    if sampling is None:
        src, tgt = store.src.tokens.take(pairs), store.tgt.tokens.take(pairs)
    else:
        src = _sample_rows(store.src, sampling.src, chosen, sampling.alpha, (seed, epoch, 0))
        tgt = _sample_rows(store.tgt, sampling.tgt, chosen, sampling.alpha, (seed, epoch, 1))
    src_lengths, tgt_lengths = torch.from_numpy(src.lengths + 1), torch.from_numpy(tgt.lengths + 1)
    alignments = None
    if store.alignments is not None:
        alignments = align_tokens(store.alignments.words.take(pairs), src, tgt, store.alignments.starts)
    return Batch(
        _pad(src),
        src_lengths,
        _pad(tgt, bos=True),
        tgt_lengths,
        torch.from_numpy(pairs),
        weights=None if store.weights is None else torch.from_numpy(store.weights[pairs]),
        alignments=None if alignments is None else torch.from_numpy(alignments),
    )


def _pad(ragged: RaggedRows, bos: bool = False) -> Tensor:
    """Return rows as one tensor: (bos,) the row, eos, then pad."""
    values, lengths = ragged
    first, widest = int(bos), int(lengths.max())
    rows = np.full((len(lengths), first + widest + 1), PAD, np.int64)
    rows[:, :first] = BOS
    rows[:, first : first + widest][np.arange(widest) < lengths[:, None]] = values
    rows[np.arange(len(lengths)), first + lengths] = EOS
    return torch.from_numpy(rows)


def _sample_rows(
    side: StoreSide, vocabulary: Vocabulary, chosen: BatchPairs, alpha: float, key: tuple[int, int, int]
) -> RaggedRows:
    """Sample a segmentation of each text, with a seed of 32 bits made from the key and its position."""
    mask = np.random.SeedSequence(key).generate_state(1, np.uint64)
    seeds = (mix_bits(chosen.positions.astype(np.uint64) ^ mask) >> np.uint64(32)).tolist()
    lines = zip(side.lines(chosen.pairs), seeds, strict=True)
    rows = [vocabulary.sample(line, alpha, seed) for line, seed in lines]
    return RaggedRows(np.fromiter(chain.from_iterable(rows), np.int64), np.fromiter(map(len, rows), np.int64))
