"""Batches: which pairs go together in which order, and how they become tensors.

The order of an epoch is a function of (seed, epoch) alone, and it is worked out pool by pool: no list of all
pairs is ever held, and an epoch can be entered anywhere without reading the pairs before that place.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.store import Int64, Side, Taken, TokenStore
from nmt.data.subwords import BOS, EOS, PAD, Vocabulary

POOL = 1 << 16  # pairs that are sorted by length together

UInt64 = NDArray[np.uint64]


class Batch(NamedTuple):
    """Pairs as padded tensors of int64, batch-major."""

    src: Tensor  # [B, S]: pieces, eos, then pad
    src_lengths: Tensor  # [B]: eos counted
    tgt: Tensor  # [B, T+1]: bos, pieces, eos, then pad
    tgt_lengths: Tensor  # [B]: eos counted, bos not
    pairs: Tensor  # [B]: index of each pair in the store
    goes_on: bool = False  # whether the rows of the batch after it continue these
    weights: Tensor | None = None  # [B]: what the loss of a pair counts; None: 1 each
    links: Tensor | None = None  # [L, 3]: row, target position, source position that translate each other

    def part(self, rows: slice) -> "Batch":
        """Some of its pairs, no wider than they need (one position at least)."""
        src_lengths, tgt_lengths = self.src_lengths[rows], self.tgt_lengths[rows]
        chosen = torch.arange(len(self.src))[rows]
        links = self.links
        if links is not None:
            place = torch.full((len(self.src),), -1).index_copy_(0, chosen, torch.arange(len(chosen)))
            links = torch.cat([place[links[:, :1]], links[:, 1:]], 1)[place[links[:, 0]] >= 0]
        return self._replace(
            src=self.src[rows, : int(src_lengths.max())],
            src_lengths=src_lengths,
            tgt=self.tgt[rows, : max(1, int(tgt_lengths.max())) + 1],
            tgt_lengths=tgt_lengths,
            pairs=self.pairs[rows],
            weights=None if self.weights is None else self.weights[rows],
            links=links,
        )


class Plan(NamedTuple):
    """How pairs are cut into batches: `size` sentences, or `size` tokens (padded, on the longer side)."""

    by: Literal["sentences", "tokens"]
    size: int
    seed: int


class Sampling(NamedTuple):
    """Subword regularisation (Kudo, 2018): pieces drawn anew in every epoch, with this smoothing alpha."""

    src: Vocabulary
    tgt: Vocabulary
    alpha: float


def batches(
    store: TokenStore, plan: Plan, epoch: int, start_position: int = 0, sampling: Sampling | None = None
) -> Iterator[Batch]:
    """The batches of an epoch from the one at `start_position` (0 is the first) to the last.

    Sampled pieces are a function of (seed, epoch, pair). Batches are cut by the lengths in the store, so with
    sampling one may outgrow its tokens.
    """
    for position, pairs in enumerate(_planned(store, plan, epoch)):
        if position >= start_position:
            yield _collate(store, pairs, plan.seed, epoch, sampling)
            store.release()


def count_batches(store: TokenStore, plan: Plan, epoch: int) -> int:
    """How many batches an epoch has; by tokens it may differ a little between epochs."""
    return sum(1 for _ in _planned(store, plan, epoch))


def validation_batches(store: TokenStore, plan: Plan) -> Iterator[Batch]:
    """Every pair once, like lengths together, not shuffled; `pairs` says where each stands in the store."""
    for first in range(0, len(store), POOL):
        for pairs in _bucketed(store, plan, np.arange(first, min(first + POOL, len(store)))):
            yield _collate(store, pairs, plan.seed, 0, None)


def _planned(store: TokenStore, plan: Plan, epoch: int) -> Iterator[Int64]:
    """The pairs of each batch of an epoch."""
    keys = _generator(plan.seed, epoch).integers(1 << 63, size=ROUNDS).astype(np.uint64)
    for pool, first in enumerate(range(0, len(store), POOL)):
        places = np.arange(first, min(first + POOL, len(store)))
        cut = _bucketed(store, plan, shuffled(places, len(store), keys))
        store.release()
        for i in _generator(plan.seed, epoch, pool).permutation(len(cut)):
            yield cut[i]


def _generator(*key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))


def _bucketed(store: TokenStore, plan: Plan, pairs: Int64) -> list[Int64]:
    """The pairs sorted by length and cut into batches."""
    src_lengths, tgt_lengths = store.lengths(pairs)
    order = np.lexsort((tgt_lengths, src_lengths))
    if plan.by == "sentences":
        cuts = range(plan.size, len(pairs), plan.size)
        return np.split(pairs[order], cuts)
    longest = np.maximum(src_lengths, tgt_lengths)[order] + 1
    return np.split(pairs[order], _cuts_by_tokens(longest, plan.size))


def _cuts_by_tokens(lengths: Int64, size: int) -> list[int]:
    """Where batches start so that rows times widest row is within `size`; a row wider than that is alone."""
    cuts, start, widest = [], 0, 0
    for i, length in enumerate(lengths.tolist()):
        widest = max(widest, length)
        if i > start and (i + 1 - start) * widest > size:
            cuts.append(i)
            start, widest = i, length
    return cuts


def _collate(store: TokenStore, pairs: Int64, seed: int, epoch: int, sampling: Sampling | None) -> Batch:
    if sampling is None:
        src, tgt = store.src.tokens.take(pairs), store.tgt.tokens.take(pairs)
    else:
        src = _sampled(store.src, sampling.src, pairs, sampling.alpha, _draws(pairs, seed, epoch, 0))
        tgt = _sampled(store.tgt, sampling.tgt, pairs, sampling.alpha, _draws(pairs, seed, epoch, 1))
    src_lengths, tgt_lengths = torch.from_numpy(src.lengths + 1), torch.from_numpy(tgt.lengths + 1)
    return Batch(_padded(src), src_lengths, _padded(tgt, bos=True), tgt_lengths, torch.from_numpy(pairs))


def _padded(taken: Taken, bos: bool = False) -> Tensor:
    """Rows as one tensor: (bos,) the row, eos, then pad."""
    values, lengths = taken
    first, widest = int(bos), int(lengths.max())
    rows = np.full((len(lengths), first + widest + 1), PAD, np.int64)
    rows[:, :first] = BOS
    rows[:, first : first + widest][np.arange(widest) < lengths[:, None]] = values
    rows[np.arange(len(lengths)), first + lengths] = EOS
    return torch.from_numpy(rows)


def _sampled(side: Side, vocabulary: Vocabulary, pairs: Int64, alpha: float, seeds: list[int]) -> Taken:
    lines = map(side.line, pairs.tolist())
    rows = [vocabulary.sample(line, alpha, seed) for line, seed in zip(lines, seeds, strict=True)]
    return Taken(np.fromiter(chain.from_iterable(rows), np.int64), np.fromiter(map(len, rows), np.int64))


def _draws(pairs: Int64, seed: int, epoch: int, side: int) -> list[int]:
    """A seed of 32 bits for each pair."""
    key = np.random.SeedSequence((seed, epoch, side)).generate_state(1, np.uint64)
    seeds: list[int] = (_mixed(pairs.astype(np.uint64) ^ key) >> np.uint64(32)).tolist()
    return seeds


ROUNDS = 6


def shuffled(places: Int64, size: int, keys: UInt64) -> Int64:
    """What stands at some places of a shuffled 0, 1, ... size - 1, without shuffling the rest.

    A Feistel network (Luby and Rackoff, 1988) permutes the numbers of an even count of bits; what falls
    beyond `size` is permuted again until it does not.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    values = _feistel(places.astype(np.uint64), half, keys)
    while (beyond := values >= size).any():
        values[beyond] = _feistel(values[beyond], half, keys)
    return values.astype(np.int64)


def _feistel(values: UInt64, half: int, keys: UInt64) -> UInt64:
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << bits) | right


def _mixed(values: UInt64) -> UInt64:
    """Values whose every bit hangs on every bit given (SplitMix64: Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
