"""Batches: every pair once, in an order that (seed, epoch) decide, padded the way models expect."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.data import batches as module
from nmt.data.batches import (
    Batch,
    BatchPlan,
    BatchSettings,
    SubwordSampling,
    count_batches,
    read_batches,
    read_validation_batches,
)
from nmt.data.pairs import Corpus
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary import BOS, EOS, PAD, Vocabulary, WordVocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary

COUNT = 500
VOCABULARY = WordVocabulary([str(n) for n in range(COUNT)])
PLANS = [BatchPlan(BatchSettings(size=16), seed=1), BatchPlan(BatchSettings(by="tokens", size=100), seed=1)]
POOLS = [plan._replace(pool=pool) for plan in PLANS for pool in (1 << 16, 100)]


def built(folder: Path, vocabulary: Vocabulary, with_text: bool = False) -> TokenStore:
    rng = np.random.default_rng(1)
    path = folder / "pairs.tsv"
    sizes = rng.integers(0, 20, (COUNT, 2))
    path.write_text(
        "".join(f"{' '.join([str(n)] * s)}\t{' '.join([str(n)] * t)}\n" for n, (s, t) in enumerate(sizes)),
        encoding="utf-8",
    )
    corpus = Corpus((path,))
    return prepare_store(
        folder / "store", corpus, src=vocabulary, tgt=vocabulary, keep=None, with_text=with_text
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return built(tmp_path_factory.mktemp("store"), VOCABULARY)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[:5], other[:5], strict=True))


def order(store: TokenStore, plan: BatchPlan, epoch: int) -> list[list[int]]:
    return [batch.pairs.tolist() for batch in read_batches(store, plan, epoch)]


@pytest.mark.parametrize("plan", POOLS)
def test_every_pair_comes_once_in_an_epoch(store: TokenStore, plan: BatchPlan) -> None:
    for found in (read_batches(store, plan, 0), read_validation_batches(store, plan)):
        assert sorted(pair for batch in found for pair in batch.pairs.tolist()) == list(range(COUNT))


def test_a_batch_is_padded_with_bos_and_eos_where_models_expect_them(store: TokenStore) -> None:
    for batch in read_batches(store, PLANS[0], 0):
        for i, pair in enumerate(batch.pairs.tolist()):
            one = np.array([pair])
            src, tgt = store.src.tokens.take(one).values.tolist(), store.tgt.tokens.take(one).values.tolist()
            assert batch.src_lengths[i] == len(src) + 1
            assert batch.tgt_lengths[i] == len(tgt) + 1
            assert batch.src[i].tolist() == [*src, EOS] + [PAD] * (batch.src.shape[1] - len(src) - 1)
            assert batch.tgt[i].tolist() == [BOS, *tgt, EOS] + [PAD] * (batch.tgt.shape[1] - len(tgt) - 2)
        assert batch.src.shape[1] == batch.src_lengths.max()
        assert batch.tgt.shape[1] == batch.tgt_lengths.max() + 1
        assert {tensor.dtype for tensor in batch[:5]} == {torch.int64}


@pytest.mark.parametrize("plan", POOLS)
def test_the_order_is_a_function_of_seed_and_epoch(store: TokenStore, plan: BatchPlan) -> None:
    assert order(store, plan, 3) == order(store, plan, 3)
    assert order(store, plan, 3) != order(store, plan, 4)
    assert order(store, plan, 3) != order(store, plan._replace(seed=2), 3)
    assert count_batches(store, plan, 3) == len(order(store, plan, 3))


@pytest.mark.parametrize("plan", POOLS)
def test_an_epoch_can_be_entered_anywhere(store: TokenStore, plan: BatchPlan) -> None:
    whole = list(read_batches(store, plan, 1))
    for start in (0, 1, len(whole) // 2, len(whole) - 1, len(whole)):
        rest = list(read_batches(store, plan, 1, start))
        assert len(rest) == len(whole) - start
        assert all(map(same, rest, whole[start:]))


def test_entering_late_does_not_read_what_came_before(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    collate = module._collate
    monkeypatch.setattr(module, "_collate", lambda *given: read.append(1) or collate(*given))
    next(read_batches(store, PLANS[0], 0, 20))
    assert len(read) == 1


def test_batches_have_their_size_and_alike_lengths(store: TokenStore) -> None:
    found = list(read_batches(store, PLANS[0], 0))
    assert sorted(len(batch.pairs) for batch in found) == [COUNT % 16, *[16] * (COUNT // 16)]
    padded = sum(batch.src.numel() for batch in found)
    assert padded < 1.1 * sum(int(batch.src_lengths.sum()) for batch in found)


def test_batches_by_tokens_stay_within_their_budget_and_fill_it(store: TokenStore) -> None:
    sizes = [len(b.pairs) * max(b.src.shape[1], b.tgt.shape[1] - 1) for b in read_batches(store, PLANS[1], 0)]
    assert max(sizes) <= 100
    assert np.mean(sizes) > 60


def test_a_pair_above_the_budget_is_a_batch_alone(store: TokenStore) -> None:
    for batch in read_batches(store, BatchPlan(BatchSettings(by="tokens", size=5), seed=1), 0):
        assert (
            len(batch.pairs) == 1 or len(batch.pairs) * max(batch.src.shape[1], batch.tgt.shape[1] - 1) <= 5
        )


def test_sampled_tokens_are_a_function_of_seed_epoch_and_pair(tmp_path: Path) -> None:
    lines = [f"{n} {n * 7} {n * n}" for n in range(COUNT)]
    vocabulary = train_vocabulary(lines, SubwordSettings(kind="unigram", size=100))
    store = built(tmp_path, vocabulary, with_text=True)
    sampling = SubwordSampling(vocabulary, vocabulary, 0.2)

    def drawn(plan: BatchPlan, epoch: int, start: int = 0) -> dict[int, list[int]]:
        found = read_batches(store, plan, epoch, start, sampling)
        return {
            pair: row[row != PAD].tolist()
            for b in found
            for pair, row in zip(b.pairs.tolist(), b.src, strict=True)
        }

    first = drawn(PLANS[0], 0)
    assert drawn(PLANS[1], 0) == first
    assert drawn(PLANS[0], 0, 10).items() <= first.items()
    assert drawn(PLANS[0], 1) != first != drawn(PLANS[0]._replace(seed=2), 0)
    assert [vocabulary.decode(ids) for _, ids in sorted(first.items())] == store.src.lines(np.arange(COUNT))


def test_validation_batches_remember_the_given_order(store: TokenStore) -> None:
    found = list(read_validation_batches(store, PLANS[0]))
    assert all(map(same, found, read_validation_batches(store, PLANS[0]._replace(seed=9))))
    for batch in found:
        for pair, row in zip(batch.pairs.tolist(), batch.src.tolist(), strict=True):
            assert VOCABULARY.decode(row) in (
                "",
                " ".join([str(pair)] * (len(VOCABULARY.encode(VOCABULARY.decode(row))))),
            )


def test_batches_of_a_real_corpus_leave_little_padding(shared_corpora: Path, tmp_path: Path) -> None:
    files = (shared_corpora / "multi30k" / "val.de.gz", shared_corpora / "multi30k" / "val.en.gz")
    corpus = Corpus(files)
    words = train_vocabulary(["a"], SubwordSettings(kind="pretokenized", size=10))
    store = prepare_store(tmp_path / "store", corpus, src=words, tgt=words, keep=None)
    assert len(store) == 1014
    found = list(islice(read_batches(store, PLANS[0], 0), 1000))
    assert sum(b.src.numel() for b in found) < 1.05 * sum(int(b.src_lengths.sum()) for b in found)


def test_a_part_of_a_batch_is_as_if_only_its_pairs_had_been_there() -> None:
    def rows(*lengths: int) -> torch.Tensor:
        return torch.stack(
            [torch.arange(max(lengths)).where(torch.arange(max(lengths)) < n, 0) for n in lengths]
        )

    batch = Batch(
        rows(3, 5, 2),
        torch.tensor([3, 5, 2]),
        rows(6, 4, 4),
        torch.tensor([5, 3, 3]),
        torch.tensor([7, 8, 9]),
        weights=torch.tensor([1.0, 2.0, 3.0]),
        alignments=torch.tensor([[0, 4, 1], [1, 0, 4], [2, 1, 1], [2, 2, 0]]),
    )
    part = batch.select_rows(slice(0, None, 2))
    assert part.src.tolist() == rows(3, 2).tolist()
    assert part.tgt.tolist() == rows(6, 4).tolist()
    assert part.pairs.tolist() == [7, 9]
    assert part.weights is not None
    assert part.weights.tolist() == [1.0, 3.0]
    assert part.alignments is not None
    assert part.alignments.tolist() == [[0, 4, 1], [1, 1, 1], [1, 2, 0]]
    assert batch.select_rows(slice(1, 2)).src.shape == (1, 5)
