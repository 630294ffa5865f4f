"""Losses beside the likelihood, by hand, by torch, and by finite differences."""

import math

import pytest
import torch
from torch.nn import functional as F

from nmt.model.decoder import DecoderOutput
from nmt.training.loss import CHUNK, LossTotals, cross_entropy, divergence, log_probs
from nmt.training.objectives.likelihood import (
    AttentionLossSettings,
    Likelihood,
    LikelihoodSettings,
    RDrop,
    alignment_loss,
    coverage_loss,
    repeat_batch,
    word_loss,
)
from nmt.training.objectives.noise import add_weight_noise, switch_tokens
from nmt.training.update import to_device
from tests.model.test_translator import build
from tests.training.runs import BOS, EOS, PAD, Tiny, make_batch, make_learner


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("positions", [7, CHUNK + 3])
def test_positions_count_as_they_are_weighed(positions: int, smoothing: float) -> None:
    parts = [torch.randn(shape, dtype=torch.float64) for shape in ((positions, 5), (11, 5), (11,))]
    gold, counts = torch.randint(11, (positions,)), torch.rand(positions, dtype=torch.float64)
    mine, theirs = ([part.clone().requires_grad_() for part in parts] for _ in range(2))
    found = cross_entropy(*mine, gold, label_smoothing=smoothing, counts=counts)
    logits = F.linear(*theirs)
    each = F.cross_entropy(logits, gold, label_smoothing=smoothing, reduction="none")
    assert found.smoothed.item() == pytest.approx((each * counts).sum().item(), rel=1e-10)
    assert found.nll.item() == pytest.approx(F.cross_entropy(logits, gold, reduction="sum").item(), rel=1e-10)
    gradients = torch.autograd.grad(found.smoothed, mine), torch.autograd.grad(each @ counts, theirs)
    for my, their in zip(*gradients, strict=True):
        torch.testing.assert_close(my, their, rtol=1e-10, atol=1e-10)


def test_a_pair_that_counts_twice_is_learnt_like_two_pairs() -> None:
    model, batch = Tiny().eval(), make_batch(3)
    weighed = batch._replace(weights=torch.tensor([2.0, 1.0, 0.0]))
    rows = torch.tensor([0, 0, 1])
    repeated = batch._replace(
        src=batch.src[rows], tgt=batch.tgt[rows], src_lengths=batch.src_lengths[rows],
        tgt_lengths=batch.tgt_lengths[rows], pairs=batch.pairs[rows],
    )  # fmt: skip
    likelihood = Likelihood(settings=LikelihoodSettings(label_smoothing=0.1))
    one, two = (
        likelihood(model, given, None, None).loss  # type: ignore[arg-type]
        for given in (weighed, repeated)
    )
    assert one.smoothed.item() == pytest.approx(two.smoothed.item(), rel=1e-6)
    assert one.tokens == int(batch.tgt_lengths.sum())


def test_log_probabilities_and_divergences_equal_torchs_and_so_do_their_gradients() -> None:
    shapes = ((CHUNK + 2, 3), (CHUNK + 2, 3), (7, 3), (7,))
    f, g, weight, bias = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    pieces = torch.randint(7, (CHUNK + 2,))
    p, q = (F.linear(features, weight, bias).log_softmax(-1) for features in (f, g))
    wanted = p.gather(1, pieces[:, None]).squeeze(1)
    both = F.kl_div(p, q, reduction="none", log_target=True) + F.kl_div(
        q, p, reduction="none", log_target=True
    )
    upstream = torch.randn(CHUNK + 2, dtype=torch.float64)
    for given, expected in (
        (log_probs(f, weight, bias, pieces), wanted),
        (divergence(f, g, weight, bias), both.sum(1)),
    ):
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-12)
        gradients = (
            torch.autograd.grad(each @ upstream, (f, g, weight, bias), allow_unused=True, retain_graph=True)
            for each in (given, expected)
        )
        torch.testing.assert_close(*map(list, gradients), rtol=0, atol=1e-10)


def test_links_of_a_word_share_its_probability_and_other_words_count_for_nothing() -> None:
    weights = torch.tensor([[[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], [[1.0, 0.0, 0.0], [0.3, 0.3, 0.4]]])
    links = torch.tensor([[0, 0, 1], [0, 0, 2], [0, 1, 2], [1, 1, 0]])
    missed, words = alignment_loss(weights, links)
    expected = [-0.5 * math.log(0.25) - 0.5 * math.log(0.25) - math.log(0.7), -math.log(0.3)]
    assert missed.tolist() == pytest.approx(expected)
    assert words == 3


def test_a_link_to_what_was_never_looked_at_has_a_finite_loss() -> None:
    missed, _ = alignment_loss(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[0, 0, 1]]))
    assert missed.isfinite().all()


def test_no_links_give_no_loss() -> None:
    missed, words = alignment_loss(torch.rand(2, 3, 4), torch.zeros(0, 3, dtype=torch.int64))
    assert (missed.tolist(), words) == ([0.0, 0.0], 0)


def test_coverage_counts_what_is_looked_at_again() -> None:
    weights = torch.tensor([[[0.6, 0.4], [0.5, 0.5], [0.0, 1.0]]])
    real = torch.tensor([[True, True, True]])
    # second word: min(.5, .6) + min(.5, .4); third: min(0, 1.1) + min(1, .9)
    assert coverage_loss(weights, real).tolist() == pytest.approx([0.9 + 0.9])
    assert coverage_loss(weights, torch.tensor([[True, True, False]])).tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("loss", ["alignment", "coverage"])
def test_gradients_of_attention_losses_are_finite_differences(loss: str) -> None:
    weights = torch.rand(2, 3, 4, dtype=torch.float64).softmax(-1).requires_grad_()
    links = torch.tensor([[0, 0, 1], [0, 0, 2], [1, 2, 0]])
    real = torch.tensor([[True, True, True], [True, True, False]])
    functions = {
        "alignment": lambda w: alignment_loss(w, links)[0],
        "coverage": lambda w: coverage_loss(w, real),
    }
    assert torch.autograd.gradcheck(functions[loss], weights)


@pytest.mark.parametrize("decoder", [{}, {"input_feeding": True}, {"conditional": True, "cell": "gru"}])
def test_attention_losses_teach_the_attention(decoder: dict[str, object]) -> None:
    model, batch = build(decoder=decoder), make_batch(2)
    batch = batch._replace(src=batch.src.clamp_max(10), tgt=batch.tgt.clamp_max(10))
    batch = batch._replace(
        alignments=torch.tensor([[0, 0, 1], [1, 1, 0]]), weights=torch.tensor([1.0, 2.0, 0.5]).double()
    )
    plain = Likelihood(settings=LikelihoodSettings(label_smoothing=0.1))
    guided = Likelihood(
        settings=LikelihoodSettings(label_smoothing=0.1),
        attention=AttentionLossSettings(guided_alignment=0.3, coverage=0.7),
    )
    one, other = (each(model, batch, None, None).loss.smoothed.item() for each in (plain, guided))
    loss = guided(model, batch, None, None).loss
    weights = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], return_weights=True).weights
    assert weights is not None
    missed, covered = (
        alignment_loss(weights, batch.alignments)[0],
        coverage_loss(weights, batch.tgt[:, 1:] != PAD),
    )
    assert batch.weights is not None
    added = 0.3 * missed @ batch.weights + 0.7 * covered @ batch.weights
    assert other - one == pytest.approx(added.item(), rel=1e-9)
    means = LossTotals.from_loss(loss).means()
    assert means["alignment"] == pytest.approx(missed.sum().item() / 2)
    assert means["coverage"] == pytest.approx(covered.sum().item() / int(batch.tgt_lengths.sum()))


def test_guided_attention_learns_to_look_where_the_links_are() -> None:
    batch = make_batch(2)
    batch = batch._replace(src=batch.src.clamp_max(10), tgt=batch.tgt.clamp_max(10))
    places = [(row, t) for row, length in enumerate(batch.tgt_lengths.tolist()) for t in range(length)]
    backwards = [[row, t, int(batch.src_lengths[row]) - 1 - t] for row, t in places]
    guided = Likelihood(attention=AttentionLossSettings(guided_alignment=1.0))
    learner = make_learner(model=build(decoder={"input_feeding": True}).train(), objective=guided)
    batch = batch._replace(alignments=torch.tensor(backwards))
    found = [learner.update([batch], rate=0.03, ratio=1.0).totals.means()["alignment"] for _ in range(40)]
    assert found[-1] < 0.3 * found[0]


def test_all_that_is_computed_with_goes_to_the_models_device() -> None:
    batch = make_batch(1)._replace(weights=torch.ones(3), alignments=torch.zeros(1, 3, dtype=torch.int64))
    moved = to_device(batch, torch.device("meta"))
    assert all(
        part is not None and part.is_meta for part in (moved.src, moved.tgt, moved.weights, moved.alignments)
    )
    assert to_device(make_batch(1), torch.device("meta")).alignments is None


def test_r_drop_without_dropout_is_the_likelihood() -> None:
    model, batch = Tiny().eval(), make_batch(1)._replace(weights=torch.tensor([1.0, 0.5, 2.0]))
    likelihood = Likelihood(settings=LikelihoodSettings(label_smoothing=0.1, r_drop=5.0))
    plain = likelihood(model, batch, None, None).loss  # type: ignore[arg-type]
    twofold = RDrop(likelihood)(model, batch, None, None).loss  # type: ignore[arg-type]
    once, twice = (LossTotals.from_loss(loss).means() for loss in (plain, twofold))
    assert twice == pytest.approx(once | {"divergence": 0.0})
    assert twofold.smoothed.item() == pytest.approx(plain.smoothed.item())


def test_r_drop_by_hand() -> None:
    model, batch = Tiny(), make_batch(1)
    likelihood = Likelihood(settings=LikelihoodSettings(r_drop=3.0))
    torch.manual_seed(5)
    found = RDrop(likelihood)(model, batch, None, None).loss  # type: ignore[arg-type]
    torch.manual_seed(5)
    pair = repeat_batch(batch)
    unrolled: DecoderOutput = likelihood.unroll(model, pair, None, None)  # type: ignore[arg-type]
    real = batch.tgt[:, 1:] != PAD
    p, q = (model.decoder.output(f)[real].log_softmax(-1) for f in unrolled.features.split(3))  # type: ignore[operator]
    differing = (p.exp() * (p - q)).sum() + (q.exp() * (q - p)).sum()
    ce = word_loss(model, pair, unrolled, 0.0).smoothed  # type: ignore[arg-type]
    # Liang et al.: the sum of both likelihoods plus alpha / 2 of both divergences; here half of that
    assert found.smoothed.item() == pytest.approx((ce / 2 + 3.0 / 4 * differing).item(), rel=1e-5)
    assert differing > 0.01


def test_every_pair_twice_has_its_links_twice() -> None:
    batch = make_batch(1)._replace(alignments=torch.tensor([[2, 0, 1]]), weights=torch.arange(3.0))
    both = repeat_batch(batch)
    assert both.alignments is not None
    assert both.weights is not None
    assert both.alignments.tolist() == [[2, 0, 1], [5, 0, 1]]
    assert both.weights.tolist() == [0, 1, 2, 0, 1, 2]
    assert torch.equal(both.tgt[3:], batch.tgt)


def test_switchout_replaces_as_many_pieces_as_its_temperature_says() -> None:
    row = [BOS, 4, 5, 6, EOS, PAD]
    pieces = torch.tensor(20_000 * [row])
    given = switch_tokens(pieces, 9, 0.8)
    changed = given != pieces
    assert not changed[:, [0, 4, 5]].any()
    assert given.min() == PAD
    assert given[:, 1:4].min() == 4
    assert given[:, 1:4].max() == 8
    weights = [math.exp(-n / 0.8) for n in range(4)]
    shares = torch.bincount(changed.sum(1), minlength=4) / len(pieces)
    assert shares.tolist() == pytest.approx([weight / sum(weights) for weight in weights], abs=0.015)
    by_place = changed.float().mean(0)[1:4]
    assert by_place.tolist() == pytest.approx(3 * [by_place.mean().item()], abs=0.015)
    others = torch.bincount(given[changed[:, 1], 1], minlength=9)[[5, 6, 7, 8]]
    assert (others / others.sum()).tolist() == pytest.approx(4 * [0.25], abs=0.03)


def test_switchout_of_temperature_zero_replaces_nothing_and_draws_nothing() -> None:
    pieces, before = torch.tensor([[4, 5, EOS]]), torch.get_rng_state()
    assert switch_tokens(pieces, 9, 0.0) is pieces
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_noisy_within_and_bit_for_bit_the_same_afterwards() -> None:
    model = Tiny()
    before = [parameter.detach().clone() for parameter in model.parameters()]

    def fail() -> None:
        with add_weight_noise(model, 0.1):
            for parameter, old in zip(model.parameters(), before, strict=True):
                assert (parameter - old).std().item() == pytest.approx(0.1, abs=0.04)
            raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        fail()
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_the_gradient_is_that_of_the_noisy_weights() -> None:
    learner, batch = make_learner(model=Tiny().eval(), weight_noise=0.5), make_batch(0)
    torch.manual_seed(3)
    learner.accumulate(batch, 1, 1.0, None)
    given = [parameter.grad.clone() for parameter in learner.model.parameters() if parameter.grad is not None]
    learner.optimiser.zero_grad()
    torch.manual_seed(3)
    for parameter in learner.model.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape)
    loss = learner.objective(learner.model, batch, None, None).loss
    loss.smoothed.backward()  # type: ignore[no-untyped-call]
    for parameter, gradient in zip(learner.model.parameters(), given, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
