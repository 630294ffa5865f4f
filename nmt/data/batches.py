"""Batches: which pairs go together in which order, and how they become tensors.

The order of an epoch is a function of (seed, epoch) alone, and it is worked out pool by pool: no list of all
pairs is ever held, and an epoch can be entered anywhere without reading the pairs before that place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.data.mixture import Mixture, mix_bits, random_generator, shuffle_keys, shuffled_values
from nmt.data.store import StoreSide, TokenStore
from nmt.data.store.arrays import Int64, RaggedRows
from nmt.data.vocabulary import BOS, EOS, PAD, Vocabulary
from nmt.data.word_alignment import align_tokens
from nmt.settings import Count, Settings

POOL = 1 << 16  # pairs that are sorted by length together


class Batch(NamedTuple):
    """Pairs as padded tensors of int64, batch-major."""

    src: Tensor  # [B, S]: pieces, eos, then pad
    src_lengths: Tensor  # [B]: eos counted
    tgt: Tensor  # [B, T+1]: bos, pieces, eos, then pad
    tgt_lengths: Tensor  # [B]: eos counted, bos not
    pairs: Tensor  # [B]: index of each pair in the store
    is_continued: bool = False  # whether the rows of the batch after it continue these
    weights: Tensor | None = None  # [B]: what the loss of a pair counts; None: 1 each
    alignments: Tensor | None = None  # [L, 3] row, t, s: tgt[row, t + 1] translates src[row, s]

    def part(self, rows: slice) -> "Batch":
        """Some of its pairs, no wider than they need (one position at least)."""
        src_lengths, tgt_lengths = self.src_lengths[rows], self.tgt_lengths[rows]
        chosen = torch.arange(len(self.src))[rows]
        alignments = self.alignments
        if alignments is not None:
            place = torch.full((len(self.src),), -1).index_copy_(0, chosen, torch.arange(len(chosen)))
            alignments = torch.cat([place[alignments[:, :1]], alignments[:, 1:]], 1)[
                place[alignments[:, 0]] >= 0
            ]
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
    """How pairs are cut into batches: `size` sentences, or `size` tokens (padded, on the longer side).

    `times` is how often an epoch goes through each corpus of the store (see `Mixture`); nothing: once.
    """

    by: Literal["sentences", "tokens"]
    size: int
    seed: int
    times: tuple[float, ...] = ()
    pool: int = POOL

    def mixture(self, store: TokenStore) -> Mixture:
        """What an epoch of a store is made of."""
        return Mixture([part.pairs for part in store.parts], self.times or [1] * len(store.parts), self.seed)


class BatchPairs(NamedTuple):
    """Pairs of a batch, and the positions of the epoch that they stand at."""

    pairs: Int64
    positions: Int64


class SubwordSampling(NamedTuple):
    """Subword regularisation (Kudo, 2018): pieces drawn anew in every epoch, with this smoothing alpha."""

    src: Vocabulary
    tgt: Vocabulary
    alpha: float


def read_batches(
    store: TokenStore,
    plan: BatchPlan,
    epoch: int,
    start_position: int = 0,
    sampling: SubwordSampling | None = None,
) -> Iterator[Batch]:
    """The batches of an epoch from the one at `start_position` (0 is the first) to the last.

    Sampled pieces are a function of (seed, epoch, place). Batches are cut by the lengths in the store, so
    with sampling one may outgrow its tokens.
    """
    for position, drawn in enumerate(_plan_batches(store, plan, epoch)):
        if position >= start_position:
            yield _collate(store, drawn, plan.seed, epoch, sampling)
            store.release()


def count_batches(store: TokenStore, plan: BatchPlan, epoch: int) -> int:
    """How many batches an epoch has; by tokens it may differ a little between epochs."""
    return sum(1 for _ in _plan_batches(store, plan, epoch))


def read_validation_batches(store: TokenStore, plan: BatchPlan) -> Iterator[Batch]:
    """Every pair once, like lengths together, not shuffled; `pairs` says where each stands in the store."""
    for first in range(0, len(store), plan.pool):
        pool = np.arange(first, min(first + plan.pool, len(store)))
        for chosen in _group_by_length(store, plan, pool):
            yield _collate(store, BatchPairs(pool[chosen], pool[chosen]), plan.seed, 0, None)


def _plan_batches(store: TokenStore, plan: BatchPlan, epoch: int) -> Iterator[BatchPairs]:
    """The pairs of each batch of an epoch."""
    mixture, order = plan.mixture(store), shuffle_keys(plan.seed, epoch)
    for pool, first in enumerate(range(0, len(mixture), plan.pool)):
        positions = shuffled_values(
            np.arange(first, min(first + plan.pool, len(mixture))), len(mixture), order
        )
        pairs = mixture.pairs(epoch, positions)
        cut = _group_by_length(store, plan, pairs)
        for i in random_generator(plan.seed, epoch, pool).permutation(len(cut)):
            yield BatchPairs(pairs[cut[i]], positions[cut[i]])


def _group_by_length(store: TokenStore, plan: BatchPlan, pairs: Int64) -> list[Int64]:
    """Where the pairs of each batch stand in `pairs`: sorted by length, and cut."""
    src_lengths, tgt_lengths = store.lengths(pairs)
    order = np.lexsort((tgt_lengths, src_lengths))
    if plan.by == "sentences":
        cuts = range(plan.size, len(pairs), plan.size)
        return np.split(order, cuts)
    longest = np.maximum(src_lengths, tgt_lengths)[order] + 1
    return np.split(order, _cut_by_tokens(longest, plan.size))


def _cut_by_tokens(lengths: Int64, size: int) -> list[int]:
    """Where batches start so that rows times widest row is within `size`; a row wider than that is alone."""
    cuts, start, widest = [], 0, 0
    for i, length in enumerate(lengths.tolist()):
        widest = max(widest, length)
        if i > start and (i + 1 - start) * widest > size:
            cuts.append(i)
            start, widest = i, length
    return cuts


def _collate(
    store: TokenStore, drawn: BatchPairs, seed: int, epoch: int, sampling: SubwordSampling | None
) -> Batch:
    pairs, positions = drawn
    if sampling is None:
        src, tgt = store.src.tokens.take(pairs), store.tgt.tokens.take(pairs)
    else:
        src = _sample_rows(
            store.src, sampling.src, pairs, sampling.alpha, _sampling_seeds(positions, seed, epoch, 0)
        )
        tgt = _sample_rows(
            store.tgt, sampling.tgt, pairs, sampling.alpha, _sampling_seeds(positions, seed, epoch, 1)
        )
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


def _pad(taken: RaggedRows, bos: bool = False) -> Tensor:
    """Rows as one tensor: (bos,) the row, eos, then pad."""
    values, lengths = taken
    first, widest = int(bos), int(lengths.max())
    rows = np.full((len(lengths), first + widest + 1), PAD, np.int64)
    rows[:, :first] = BOS
    rows[:, first : first + widest][np.arange(widest) < lengths[:, None]] = values
    rows[np.arange(len(lengths)), first + lengths] = EOS
    return torch.from_numpy(rows)


def _sample_rows(
    side: StoreSide, vocabulary: Vocabulary, pairs: Int64, alpha: float, seeds: list[int]
) -> RaggedRows:
    lines = zip(side.lines(pairs), seeds, strict=True)
    rows = [vocabulary.sample(line, alpha, seed) for line, seed in lines]
    return RaggedRows(np.fromiter(chain.from_iterable(rows), np.int64), np.fromiter(map(len, rows), np.int64))


def _sampling_seeds(positions: Int64, seed: int, epoch: int, side: int) -> list[int]:
    """A seed of 32 bits for each place of an epoch."""
    key = np.random.SeedSequence((seed, epoch, side)).generate_state(1, np.uint64)
    seeds: list[int] = (mix_bits(positions.astype(np.uint64) ^ key) >> np.uint64(32)).tolist()
    return seeds
