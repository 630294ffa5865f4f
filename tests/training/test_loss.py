"""The loss of the output layer equals torch's cross-entropy, and padding counts for nothing."""

import pytest
import torch
from torch.nn import functional as F

from nmt.training import loss
from nmt.training.loss import CHUNK, LossTotals, cross_entropy, perplexity
from nmt.training.objectives.likelihood import Likelihood, LikelihoodSettings
from tests.training.runs import PAD, Tiny, make_batch


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("positions", [1, 7, CHUNK + 3])
def test_values_and_gradients_equal_torch_cross_entropy(positions: int, smoothing: float) -> None:
    parts = [torch.randn(shape, dtype=torch.float64) for shape in ((positions, 5), (11, 5), (11,))]
    gold = torch.randint(11, (positions,))
    mine, theirs = ([part.clone().requires_grad_() for part in parts] for _ in range(2))
    found = cross_entropy(*mine, gold, label_smoothing=smoothing)
    logits = F.linear(*theirs)
    wanted = F.cross_entropy(logits, gold, label_smoothing=smoothing, reduction="sum")
    assert found.smoothed.item() == pytest.approx(wanted.item(), rel=1e-10)
    assert found.nll.item() == pytest.approx(F.cross_entropy(logits, gold, reduction="sum").item(), rel=1e-10)
    assert found.correct.item() == (logits.argmax(-1) == gold).sum().item()
    gradients = torch.autograd.grad(found.smoothed / 3, mine), torch.autograd.grad(wanted / 3, theirs)
    for my, their in zip(*gradients, strict=True):
        torch.testing.assert_close(my, their, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_softmax_in_c_equals_that_of_torch(monkeypatch: pytest.MonkeyPatch, weighted: bool) -> None:
    torch.manual_seed(3)
    logits, targets, count = torch.randn(70, 300), torch.randint(300, (70,)), torch.rand(70)
    logits[5, 7:9] = logits[5].max() + 1  # of equal ones the first
    targets[5] = 8
    results = []
    for compiled in (True, False):
        monkeypatch.setattr(loss, "runs_in_c", lambda *_, compiled=compiled: compiled)
        changed, bias = logits.clone(), torch.ones(300)
        gradients = [bias, bias, bias]
        found = loss._softmax_loss(changed, targets, count if weighted else None, 0.1, gradients)
        results.append((*found, changed, bias))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert not results[0][2][5]


def test_without_gradients_none_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("gradients that nobody asked for")

    monkeypatch.setattr(loss, "_initial_gradients", never)
    weight, bias = torch.ones(4, 3, requires_grad=True), torch.ones(4, requires_grad=True)
    with torch.no_grad():
        found = cross_entropy(torch.ones(2, 3), weight, bias, torch.tensor([0, 1]), label_smoothing=0.1)
    assert found.tokens == 2


def test_the_loss_of_a_batch_counts_real_words_only() -> None:
    model, batch = Tiny().eval(), make_batch(1)
    totals = LossTotals.from_loss(
        Likelihood(settings=LikelihoodSettings(label_smoothing=0.1))(model, batch, None, None).loss
    )  # type: ignore[arg-type]
    features = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], state=None)[0]
    logits, gold = model.decoder.output(features).flatten(0, 1), batch.tgt[:, 1:].flatten()  # type: ignore[operator]
    wanted = F.cross_entropy(logits, gold, ignore_index=PAD, label_smoothing=0.1, reduction="sum")
    assert totals.tokens == int(batch.tgt_lengths.sum())
    assert totals.loss == pytest.approx(wanted.item(), rel=1e-5)


def test_perplexity_does_not_overflow() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(1e9) < float("inf")
