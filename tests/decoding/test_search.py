"""The search finds what it promises: beside brute force, argmax, and itself in other batches."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from nmt.data.subwords import BOS, EOS, PAD, UNK
from nmt.decoding.search import Hypothesis, longest, penalty, search
from nmt.errors import DataError, UsageError
from tests.decoding.models import GruModel, TableModel, random_table

GREEDY = {"beam": 1, "length_penalty": 0.0, "max_ratio": 1.0, "max_extra": 5}
BEAM = {"beam": 5, "length_penalty": 0.6, "max_ratio": 2.0, "max_extra": 4}


def sources(*lengths: int, vocabulary: int = 30, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    src = torch.full((len(lengths), max(lengths) + 1), PAD)
    for row, length in enumerate(lengths):
        src[row, :length] = torch.randint(4, vocabulary, (length,), generator=generator)
        src[row, length] = EOS
    return src


def every_output(
    model: TableModel, source: int, limit: int, alpha: float
) -> list[tuple[list[int], float, bool]]:
    """All outputs of up to `limit` positions with their scores, best first, those without eos last."""
    log_probs = model.table[source].log_softmax(-1)
    pieces = [p for p in range(log_probs.shape[-1]) if p not in (PAD, BOS, EOS)]
    found = []
    for length in range(limit + 1):
        for ids in itertools.product(pieces, repeat=length):
            chain = [BOS, *ids] if length == limit else [BOS, *ids, EOS]
            total = sum(log_probs[a, b].item() for a, b in itertools.pairwise(chain))
            found.append((list(ids), total / penalty(len(chain) - 1, alpha), length < limit))
    return sorted(found, key=lambda one: (not one[2], -one[1]))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed: int, alpha: float) -> None:
    model = random_table(seed, sharpness=1.0)
    src = torch.tensor([[0, EOS], [1, EOS], [2, EOS]])
    found = search(model, src, beam=256, length_penalty=alpha, max_ratio=1.0, max_extra=3, n_best=20)
    for source, hypotheses in enumerate(found):
        best = every_output(model, source, 3 + (source != PAD), alpha)[:20]
        assert [h.ids for h in hypotheses] == [ids for ids, _, _ in best]
        assert [h.score for h in hypotheses] == pytest.approx([score for _, score, _ in best], abs=1e-5)
        assert [h.finished for h in hypotheses] == [finished for _, _, finished in best]


def argmax_chain(model: GruModel, src: Tensor, limit: int) -> list[int]:
    memory = model.encode(src)
    state, y, ids = model.start(memory), torch.tensor([BOS]), []
    while len(ids) < limit:
        step = model.step(y, state, memory)
        logits = step.logits[0].clone()
        logits[[PAD, BOS]] = -math.inf
        y, state = logits.argmax()[None], step.state
        if y.item() == EOS:
            break
        ids.append(int(y))
    return ids


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_a_beam_of_one_takes_the_most_probable_piece_at_every_position(seed: int, alpha: float) -> None:
    model, src = GruModel(seed), sources(3, 7, 5, 1, seed=seed)
    with torch.no_grad():
        expected = [
            argmax_chain(model, row[row != PAD][None], longest(n, 2.0, 4))
            for row, n in zip(src, (3, 7, 5, 1), strict=True)
        ]
    found = search(model, src, beam=1, length_penalty=alpha, max_ratio=2.0, max_extra=4)
    assert [hypotheses[0].ids for hypotheses in found] == expected


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_gives_what_its_sentences_give_one_by_one(seed: int) -> None:
    model, src = GruModel(seed), sources(*range(1, 14), seed=seed)
    together = search(model, src, **BEAM, n_best=3, attention=True)
    for row, hypotheses in zip(src, together, strict=True):
        [alone] = search(model, row[row != PAD][None], **BEAM, n_best=3, attention=True)
        assert [h.ids for h in alone] == [h.ids for h in hypotheses]
        assert [h.score for h in alone] == pytest.approx([h.score for h in hypotheses], abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_sentences_of_one_length_give_the_same_bits_in_every_batch_size(seed: int) -> None:
    model, src = GruModel(seed, vocabulary=200, hidden=64), sources(*[6] * 23, vocabulary=200, seed=seed)
    whole = search(model, src, **BEAM, n_best=5)
    for size in (1, 2, 3, 5, 8):
        parts = [hyps for part in src.split(size) for hyps in search(model, part, **BEAM, n_best=5)]
        assert parts == whole


@pytest.mark.parametrize("seed", range(4))
def test_the_log_probability_is_the_sum_of_those_of_the_pieces(seed: int) -> None:
    model, src = GruModel(seed), sources(4, 6, seed=seed)
    for hypothesis in itertools.chain(*search(model, src, **BEAM, n_best=5, attention=True)):
        scored = len(hypothesis.ids) + hypothesis.finished
        assert len(hypothesis.token_log_probs) == scored
        assert hypothesis.log_prob == pytest.approx(sum(hypothesis.token_log_probs), abs=1e-4)
        assert hypothesis.score == hypothesis.log_prob / penalty(scored, 0.6)
        assert hypothesis.weights is not None
        assert hypothesis.weights.shape == (scored, src.shape[1])
        torch.testing.assert_close(hypothesis.weights.sum(-1), torch.ones(scored))


def teacher_forced(model: GruModel, src: Tensor, hypothesis: Hypothesis) -> tuple[list[float], Tensor]:
    memory = model.encode(src)
    state, log_probs, weights = model.start(memory), [], []
    scored = hypothesis.ids + [EOS] * hypothesis.finished
    for before, piece in zip([BOS, *hypothesis.ids], scored, strict=False):
        step = model.step(torch.tensor([before]), state, memory)
        state = step.state
        log_probs.append(step.logits[0].log_softmax(-1)[piece].item())
        weights.append(step.weights[0])
    return log_probs, torch.stack(weights)


def test_scores_and_attention_are_those_of_the_chosen_path() -> None:
    model, src = GruModel(3), sources(5, 8, 2)
    for row, hypotheses in zip(src, search(model, src, **BEAM, n_best=5, attention=True), strict=True):
        for hypothesis in hypotheses:
            with torch.no_grad():
                log_probs, weights = teacher_forced(model, row[None], hypothesis)
            assert hypothesis.token_log_probs == pytest.approx(log_probs, abs=1e-4)
            torch.testing.assert_close(hypothesis.weights, weights, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
def test_stopping_early_changes_nothing(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"beam": 4, "length_penalty": alpha, "max_ratio": 1.0, "max_extra": 12}
    src = torch.tensor([[s, EOS] for s in range(24)])
    model = random_table(5, sources=24)
    early = search(model, src, **settings, n_best=2)
    rows, model.rows = model.rows, 0
    monkeypatch.setattr("nmt.decoding.search._Sentence._settled", lambda self, best: False)
    assert search(model, src, **settings, n_best=2) == early
    assert rows < model.rows


def test_settled_sentences_leave_the_batch() -> None:
    model, lengths = GruModel(1), list(range(1, 40))
    search(model, sources(*lengths), beam=2, length_penalty=0.0, max_ratio=1.0, max_extra=1)
    assert model.seen_rows[0] - 78 in range(4 * torch.get_num_threads())  # rounded up
    assert model.seen_rows == sorted(model.seen_rows, reverse=True)
    assert model.seen_rows[-1] < 40


def test_equal_continuations_come_by_beam_slot_and_then_by_piece() -> None:
    flat = torch.zeros(1, 8, 8)
    src = torch.tensor([[0, EOS]])
    flat[..., EOS] = -9.0
    [found] = search(TableModel(flat), src, beam=4, length_penalty=0.0, max_ratio=1.0, max_extra=2, n_best=4)
    assert [h.ids for h in found] == [[UNK, UNK], [UNK, 4], [UNK, 5], [UNK, 6]]


def test_padding_and_the_start_are_never_written_and_unknown_only_if_allowed() -> None:
    table = torch.zeros(1, 6, 6)
    table[..., [PAD, BOS]] = 9.0
    table[..., UNK] = 5.0
    src = torch.tensor([[0, EOS]])
    [found] = search(TableModel(table), src, **GREEDY)
    assert set(found[0].ids) == {UNK}
    [found] = search(TableModel(table), src, **GREEDY, unk=False)
    assert set(found[0].ids) <= {4, 5}


def test_without_eos_the_output_ends_at_the_longest_length_and_says_so() -> None:
    table = torch.zeros(1, 6, 6)
    table[..., EOS] = -50.0
    table[..., 4] = 5.0
    src = torch.tensor([[4, 4, 4, EOS]])
    [[found]] = search(
        TableModel(table.expand(6, 6, 6)), src, beam=3, length_penalty=0.6, max_ratio=2.0, max_extra=1
    )
    assert found.ids == [4] * 7
    assert not found.finished


def test_a_finished_hypothesis_comes_before_a_cut_one_of_higher_score() -> None:
    table = torch.zeros(1, 6, 6)
    table[..., 4], table[..., EOS] = 9.0, 3.0
    src = torch.tensor([[0, EOS]])
    [found] = search(TableModel(table), src, beam=3, length_penalty=0.0, max_ratio=1.0, max_extra=3, n_best=3)
    assert found[0].finished
    cut = [h for h in found if not h.finished]
    assert all(h.score > found[0].score for h in cut)


def test_an_empty_source_and_an_empty_batch_are_no_trouble() -> None:
    [[found]] = search(GruModel(0), torch.tensor([[EOS]]), **BEAM)
    assert len(found.ids) <= 4
    assert search(GruModel(0), torch.empty((0, 3), dtype=torch.long), **BEAM) == []


def test_more_outputs_than_the_beam_holds_are_refused() -> None:
    with pytest.raises(UsageError, match="6 best of a beam of 5"):
        search(GruModel(0), sources(3), **BEAM, n_best=6)


def test_a_model_that_gives_not_a_number_is_reported() -> None:
    with pytest.raises(DataError, match="not a number"):
        search(TableModel(torch.full((6, 6, 6), math.nan)), torch.tensor([[4, EOS]]), **BEAM)


def test_the_length_penalty_is_the_published_one() -> None:
    assert penalty(1, 0.6) == 1.0
    assert penalty(13, 1.0) == 3.0
    assert penalty(7, 0.0) == 1.0
