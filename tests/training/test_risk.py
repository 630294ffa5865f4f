"""Risk over everything that a tiny model can write: by brute force, by finite differences, in expectation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.options import Options
from nmt.model.translator import TranslationModel
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator
from nmt.training.loss import LossTotals
from nmt.training.objectives.likelihood import Likelihood, LikelihoodSettings
from nmt.training.objectives.risk import (
    CandidateSampler,
    MinimumRisk,
    Reinforce,
    RiskObjective,
    RiskSettings,
    TokenIds,
    group_by_sentence,
    references,
    translate_batch,
)

LONGEST = 2
WORDS = (UNK, 4, 5)
EVERYTHING: list[TokenIds] = [
    (EOS,),
    *((word, EOS) for word in WORDS),
    *product(WORDS, repeat=LONGEST),
]
LIKELIHOOD = Likelihood(settings=LikelihoodSettings(label_smoothing=0.0))


def utility(hyp: Sequence[int], ref: Sequence[int]) -> float:
    """Some score between 0 and 1 that tells all translations apart."""
    return sum((3 * place + piece) % 7 for place, piece in enumerate(hyp, 1)) / 14 + 0.05 * len(ref)


@dataclass(frozen=True, kw_only=True)
class Given(CandidateSampler):
    """Draws what it is told to."""

    samples: int = 1
    utility: object = utility  # type: ignore[assignment]
    options: Options = field(default_factory=lambda: Options(max_ratio=0.0, max_extra=LONGEST))
    translations: list[list[TokenIds]] = field(default_factory=list)

    def sample(self, model: TranslationModel, batch: Batch) -> list[list[TokenIds]]:
        return self.translations


def tiny(**decoder: object) -> TranslationModel:
    """A model of six pieces in float64 that never writes pad or bos."""
    torch.manual_seed(1)
    recipe = validate(
        TranslationRecipe,
        {
            "data": {"src": "a", "tgt": "b", "train": "t", "valid": "v"},
            "encoder": {"embedding": 3, "hidden": 2},
            "decoder": {"embedding": 3, "hidden": 4, **decoder},
        },
    )
    model = build_translator(recipe, 6, 6).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
        model.decoder.output.bias[[PAD, BOS]] = -1e9
    return model


def pairs(rows: int = 2, weights: Tensor | None = None) -> Batch:
    """The first pair alone, or twice the second; more rows are the first again."""
    src = torch.tensor([[4, 5, EOS], [5, EOS, PAD]])
    tgt = torch.tensor([[BOS, 4, EOS, PAD], [BOS, 5, 4, EOS]])
    chosen = torch.tensor([0, 1]) if rows == 2 else torch.zeros(rows, dtype=torch.int64)
    lengths = torch.tensor([3, 2])[chosen], torch.tensor([2, 3])[chosen]
    return Batch(src[chosen], lengths[0], tgt[chosen], lengths[1], torch.arange(rows), weights=weights)


def probabilities(model: TranslationModel, batch: Batch, row: int, of: Sequence[TokenIds]) -> Tensor:
    """p of translations of one row, piece by piece, each by itself."""
    src = batch.src[row : row + 1, : batch.src_lengths[row]]
    found = []
    for pieces in of:
        read = torch.tensor([[BOS, *pieces[:-1]]])
        logits = model.output(model.unroll(model.encode(src), read).features[0])
        found.append(logits.softmax(-1)[range(len(pieces)), list(pieces)].prod())
    return torch.stack(found)


def utilities(batch: Batch, row: int, of: Sequence[TokenIds]) -> Tensor:
    ref = list(references(batch))[row]
    scores = [utility([piece for piece in pieces if piece != EOS], ref[:-1]) for pieces in of]
    return torch.tensor(scores, dtype=torch.float64)


def test_everything_that_the_model_can_write_has_probability_one_in_all() -> None:
    assert probabilities(tiny(), pairs(), 0, EVERYTHING).sum().item() == pytest.approx(1.0)


def minimised(objective: RiskObjective, model: TranslationModel, batch: Batch) -> Tensor:
    return objective(model, batch, None, None).loss.smoothed


@pytest.mark.parametrize("decoder", [{}, {"input_feeding": True}, {"attention": "none"}])
@pytest.mark.parametrize("sharpness", [1.0, 0.3])
def test_the_risk_over_all_translations_is_what_brute_force_finds(
    sharpness: float, decoder: dict[str, object]
) -> None:
    model, batch = tiny(**decoder), pairs(weights=torch.tensor([1.0, 2.5]).double())
    sampler = Given(translations=[EVERYTHING, EVERYTHING[:5]])
    objective = MinimumRisk(
        likelihood=LIKELIHOOD, settings=RiskSettings(sharpness=sharpness, reference=False), sampler=sampler
    )
    risks = []
    for row, own in enumerate(sampler.translations):
        p = probabilities(model, batch, row, own) ** sharpness
        risks.append((p / p.sum() * (1 - utilities(batch, row, own))).sum())
    wanted = risks[0] + 2.5 * risks[1]
    given = minimised(objective, model, batch)
    assert given.item() == pytest.approx(wanted.item(), rel=1e-9)
    names, parameters = zip(*model.named_parameters(), strict=True)
    both = (torch.autograd.grad(loss, parameters, materialize_grads=True) for loss in (given, wanted))
    for name, mine, theirs in zip(names, *both, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


def test_the_gradient_of_the_risk_is_a_finite_difference() -> None:
    model, batch = tiny(), pairs()
    sampler = Given(translations=[EVERYTHING, EVERYTHING[3:]])
    objective = MinimumRisk(
        likelihood=LIKELIHOOD,
        settings=RiskSettings(likelihood=0.4, sharpness=0.7, reference=True),
        sampler=sampler,
    )
    bias, step = model.decoder.combine.bias, 1e-6
    minimised(objective, model, batch).backward()  # type: ignore[no-untyped-call]
    for place in range(len(bias)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                bias[place] += sign * step
                values.append(minimised(objective, model, batch).item())
                bias[place] -= sign * step
        assert bias.grad is not None
        assert bias.grad[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-7)


def test_different_translations_are_weighed_once_and_the_reference_may_be_among_them() -> None:
    model, batch = tiny(), pairs()
    sampler = Given(translations=[[(5, EOS), (4, EOS), (5, EOS)], [(4, 4), (4, 4)]])
    with_it, without = (
        MinimumRisk(
            likelihood=LIKELIHOOD, settings=RiskSettings(sharpness=1.0, reference=reference), sampler=sampler
        )
        for reference in (True, False)
    )
    assert with_it.distinct_translations(model, batch) == [[(4, EOS), (5, EOS)], [(5, 4, EOS), (4, 4)]]
    assert without.distinct_translations(model, batch) == [[(5, EOS), (4, EOS)], [(4, 4)]]


def test_likelihood_is_mixed_in_and_the_risk_of_a_sentence_is_reported() -> None:
    model, batch = tiny(), pairs()
    sampler = Given(translations=[EVERYTHING, EVERYTHING])
    pure, mixed = (
        MinimumRisk(
            likelihood=LIKELIHOOD,
            settings=RiskSettings(likelihood=w, sharpness=1.0, reference=False),
            sampler=sampler,
        )
        for w in (0.0, 0.25)
    )
    ce = LIKELIHOOD(model, batch, None, None).loss
    loss = mixed(model, batch, None, None).loss
    risk = minimised(pure, model, batch).item()
    assert loss.smoothed.item() == pytest.approx(risk + 0.25 * ce.smoothed.item())
    means = LossTotals.from_loss(loss).means()
    assert means["risk"] == pytest.approx(risk / 2)
    assert means["perplexity"] == pytest.approx(LossTotals.from_loss(ce).means()["perplexity"])


def expected_risk(model: TranslationModel, batch: Batch) -> Tensor:
    return (probabilities(model, batch, 0, EVERYTHING) * (1 - utilities(batch, 0, EVERYTHING))).sum()


@pytest.mark.parametrize("baseline", ["none", "greedy", "others"])
def test_reinforce_has_in_the_mean_the_gradient_of_the_expected_risk(baseline: str) -> None:
    model = tiny(input_feeding=True)
    p = probabilities(model, pairs(1), 0, EVERYTHING).detach()
    if baseline == "others":  # every draw of two, as often as it comes
        drawn = [list(two) for two in product(EVERYTHING, repeat=2)]
        weights = torch.outer(p, p).flatten()
    else:
        drawn, weights = [[one] for one in EVERYTHING], p
    batch = pairs(len(drawn), weights=weights)
    objective = Reinforce(
        likelihood=LIKELIHOOD, settings=RiskSettings(baseline=baseline), sampler=Given(translations=drawn)
    )
    given = minimised(objective, model, batch)
    parameters = list(model.parameters())
    wanted = expected_risk(model, pairs(1))
    both = (torch.autograd.grad(loss, parameters, materialize_grads=True) for loss in (given, wanted))
    for mine, theirs in zip(*both, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def test_baselines_by_hand() -> None:
    model, batch = tiny(), pairs()
    sampler = Given(samples=3, translations=[])
    rewards = torch.tensor([[0.2, 0.5, 0.8], [1.0, 0.0, 0.5]]).double()
    others, greedy, none = (
        Reinforce(likelihood=LIKELIHOOD, settings=RiskSettings(baseline=name), sampler=sampler)
        for name in ("others", "greedy", "none")
    )
    expected = torch.tensor([[0.65, 0.5, 0.35], [0.25, 0.75, 0.5]]).double()
    torch.testing.assert_close(others.baseline_reward(model, batch, rewards), expected)
    best = [[max(EVERYTHING, key=lambda y, r=row: greedily(model, batch, r, y))] for row in range(2)]
    assert translate_batch(model, batch, replace(sampler.options, beam=1)) == best
    wanted = torch.cat([utilities(batch, row, best[row]) for row in range(2)])
    torch.testing.assert_close(greedy.baseline_reward(model, batch, rewards), wanted.unsqueeze(1))
    assert none.baseline_reward(model, batch, rewards) == 0.0


def greedily(model: TranslationModel, batch: Batch, row: int, pieces: TokenIds) -> bool:
    """Whether each piece is the best after those before it."""
    src = batch.src[row : row + 1, : batch.src_lengths[row]]
    read = torch.tensor([[BOS, *pieces[:-1]]])
    logits = model.output(model.unroll(model.encode(src), read).features[0])
    return logits.argmax(-1).tolist() == list(pieces)


def test_samples_come_as_often_as_the_model_says_and_follow_from_the_generator() -> None:
    model, batch = tiny(), pairs()
    sampler = CandidateSampler(
        samples=2000, utility=utility, options=Options(max_ratio=0.0, max_extra=LONGEST)
    )
    torch.manual_seed(4)
    first, second = sampler.sample(model, batch), sampler.sample(model, batch)
    assert first != second
    torch.manual_seed(4)
    assert sampler.sample(model, batch) == first
    for row in range(2):
        p = probabilities(model, batch, row, EVERYTHING)
        for pieces, probability in zip(EVERYTHING, p.tolist(), strict=True):
            assert first[row].count(pieces) / 2000 == pytest.approx(probability, abs=0.04)


def test_drawing_leaves_the_model_as_it_was() -> None:
    model = tiny().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    translate_batch(model, pairs(), replace(Given().options, sample=True, n_best=2))
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_of_short_numbers_draws_what_the_same_weights_in_float32_draw() -> None:
    short, batch = tiny().bfloat16(), pairs()
    options = replace(Given().options, sample=True, n_best=20)
    drawn = translate_batch(short, batch, options)
    assert short.decoder.output.weight.dtype == torch.bfloat16
    assert drawn == translate_batch(short.float(), batch, options)


@pytest.mark.parametrize("short", [torch.bfloat16, torch.float16])
def test_risk_is_summed_in_float32_whatever_the_model_computes_in(short: torch.dtype) -> None:
    model, batch = tiny().to(short), pairs(weights=torch.tensor([1.0, 0.3]))
    with torch.no_grad():
        model.decoder.output.bias[[PAD, BOS]] = -1e4
    sampler = Given(translations=[EVERYTHING, EVERYTHING[:5]])
    objective = MinimumRisk(
        likelihood=LIKELIHOOD, settings=RiskSettings(sharpness=1.0, reference=False), sampler=sampler
    )
    given = minimised(objective, model, batch)
    assert given.dtype == torch.float32
    wanted = minimised(objective, model.double(), batch._replace(weights=torch.tensor([1.0, 0.3]).double()))
    assert given.item() == pytest.approx(wanted.item(), rel=0.02)


def test_a_table_by_sentence() -> None:
    table = group_by_sentence(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 0, 2]), 3, -9.0)
    assert table.tolist() == [[1.0, 2.0], [-9.0, -9.0], [3.0, -9.0]]
