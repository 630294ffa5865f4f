"""Batches: the order and grouping of an epoch's pairs, and their conversion to tensors. The order depends on
(seed, epoch, position) only and is computed pool by pool, so an epoch can be resumed at any batch without
reading the pairs before it, and no list of all pairs is held in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.data.mixture import Mixture, build_generator, draw_bits, draw_numbers, shuffle_keys, shuffle_values
from nmt.data.pair_joining import Bools, PairJoin, find_joined, join_lines, joined_lengths, replace_rows
from nmt.data.protection.practice import CopyPractice
from nmt.data.store import TokenStore
from nmt.data.store.arrays import Int64, RaggedRows
from nmt.data.vocabulary import BOS, EOS, PAD, Vocabulary
from nmt.data.word_alignment import align_tokens
from nmt.settings import Count, Settings

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
    join: PairJoin | None = None

    def mixture(self, store: TokenStore) -> Mixture:
        """Return the mixture of corpora in an epoch."""
        return Mixture([part.pairs for part in store.parts], self.times or [1] * len(store.parts), self.seed)


class BatchPairs(NamedTuple):
    """Pairs of a batch, and their positions in the epoch."""

    pairs: Int64
    positions: Int64
    joined: Bools  # whether each is joined with the next pair of the store


class SubwordSampling(NamedTuple):
    """Subword regularisation (Kudo, 2018): segmentations sampled in every epoch, with smoothing alpha."""

    src: Vocabulary
    tgt: Vocabulary
    alpha: float


def read_batches(
    store: TokenStore,
    plan: BatchPlan,
    epoch: int,
    start: int = 0,
    sampling: SubwordSampling | None = None,
    practice: CopyPractice | None = None,
) -> Iterator[Batch]:
    """Yield the batches of an epoch, starting with number `start` (from 0).

    Sampled segmentations and inserted copy symbols depend on (seed, epoch, position). Batches are formed by
    the lengths in the store: with either, one may exceed its number of tokens.
    """
    for number, chosen in enumerate(_plan_batches(store, plan, epoch)):
        if number >= start:
            yield _collate(store, chosen, plan, epoch, sampling, practice)
            store.release()


def count_batches(store: TokenStore, plan: BatchPlan, epoch: int) -> int:
    """Count the batches of an epoch; with batches by tokens, epochs may differ a little."""
    return sum(1 for _ in _plan_batches(store, plan, epoch))


def read_validation_batches(store: TokenStore, plan: BatchPlan) -> Iterator[Batch]:
    """Yield every pair once, grouped by length, not shuffled; `Batch.pairs` gives the index in the store."""
    for first in range(0, len(store), plan.pool):
        pool = np.arange(first, min(first + plan.pool, len(store)))
        alone = np.zeros(len(pool), np.bool_)
        for chosen in _group_by_length(store, plan, pool, alone):
            whole = plan._replace(join=None)
            yield _collate(store, BatchPairs(pool[chosen], pool[chosen], alone[chosen]), whole, 0, None)


def _plan_batches(store: TokenStore, plan: BatchPlan, epoch: int) -> Iterator[BatchPairs]:
    """Yield the pairs of each batch of an epoch."""
    mixture, order = plan.mixture(store), shuffle_keys(plan.seed, epoch)
    for pool, first in enumerate(range(0, len(mixture), plan.pool)):
        numbers = np.arange(first, min(first + plan.pool, len(mixture)))
        positions = shuffle_values(numbers, len(mixture), order)
        pairs = mixture.pairs(epoch, positions)
        joined = np.zeros(len(pairs), np.bool_)
        if plan.join:
            joined = find_joined(store, pairs, draw_numbers(positions, plan.seed, epoch, 2), plan.join)
        groups = _group_by_length(store, plan, pairs, joined)
        for i in build_generator(plan.seed, epoch, pool).permutation(len(groups)):
            yield BatchPairs(pairs[groups[i]], positions[groups[i]], joined[groups[i]])


def _group_by_length(store: TokenStore, plan: BatchPlan, pairs: Int64, joined: Bools) -> list[Int64]:
    """Return the indices in `pairs` of each batch's pairs, sorted by length and split."""
    src_lengths, tgt_lengths = joined_lengths(store, pairs, joined) if joined.any() else store.lengths(pairs)
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
    store: TokenStore,
    chosen: BatchPairs,
    plan: BatchPlan,
    epoch: int,
    sampling: SubwordSampling | None,
    practice: CopyPractice | None = None,
) -> Batch:
    pairs, weights, alignments = chosen.pairs, None, None
    src, tgt = (_take_rows(store, side, chosen, plan, epoch, sampling) for side in (0, 1))
    if store.weights is not None:
        following = np.where(chosen.joined, pairs + 1, pairs)
        weights = torch.from_numpy((store.weights[pairs] + store.weights[following]) / 2)
    if store.alignments is not None:
        alignments = align_tokens(store.alignments.words.take(pairs), src, tgt, store.alignments.starts)
    if practice is not None:
        inserted = practice.apply(src, tgt, draw_bits(chosen.positions, plan.seed, epoch, 2))
        src, tgt = inserted.src, inserted.tgt
        alignments = None if alignments is None else inserted.move(alignments)
    src_lengths, tgt_lengths = torch.from_numpy(src.lengths + 1), torch.from_numpy(tgt.lengths + 1)
    return Batch(
        _pad(src),
        src_lengths,
        _pad(tgt, bos=True),
        tgt_lengths,
        torch.from_numpy(pairs),
        weights=weights,
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


def _take_rows(
    store: TokenStore,
    number: int,
    chosen: BatchPairs,
    plan: BatchPlan,
    epoch: int,
    sampling: SubwordSampling | None,
) -> RaggedRows:
    """Return the tokens of pairs on the source (0) or target side (1)."""
    side, pairs, joined = (store.src, store.tgt)[number], chosen.pairs, chosen.joined
    lines = join_lines(store, side, pairs[joined], plan.join) if plan.join and joined.any() else []
    if sampling is None:
        rows = side.tokens.take(pairs)
        if not plan.join or not lines:
            return rows
        return replace_rows(rows, joined, plan.join.vocabularies[number].encode_all(lines))
    texts = side.lines(pairs)
    for row, line in zip(np.flatnonzero(joined).tolist(), lines, strict=True):
        texts[row] = line
    seeds = draw_numbers(chosen.positions, plan.seed, epoch, number).tolist()
    vocabulary = (sampling.src, sampling.tgt)[number]
    ids = [vocabulary.sample(text, sampling.alpha, seed) for text, seed in zip(texts, seeds, strict=True)]
    return RaggedRows(np.fromiter(chain.from_iterable(ids), np.int64), np.fromiter(map(len, ids), np.int64))
