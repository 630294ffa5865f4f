"""Models together are worth what the arithmetic says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nmt.data.vocabulary import EOS
from nmt.decoding.beam import search
from nmt.decoding.ensemble import AVERAGES, Ensemble, ShallowFusion
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError
from tests.decoding.models import Fake, fixed_model, random_model

OPTIONS = Options(beam=4, n_best=3, attention=True, max_ratio=1.0, max_extra=5)
ONE, TWO = random_model(1, vocabulary=12), random_model(2, vocabulary=12, sharpness=2.0)
SOURCE = (4, 5, 6)


def answers(model: Model, number: int = 1, **changes: object) -> dict[int, list[tuple[object, ...]]]:
    requests = (Request(n, SOURCE[n % 3 :]) for n in range(number))
    found = search(model, requests, replace(OPTIONS, **changes))
    return {n: [(h.ids, h.log_prob, h.weights.tolist()) for h in hypotheses] for n, hypotheses in found}


def mean(one: float, two: float) -> float:
    return math.log(0.75 * math.exp(one) + 0.25 * math.exp(two))


def log(one: float, two: float) -> float:
    return 0.75 * one + 0.25 * two


@pytest.mark.parametrize(("mode", "average"), [("mean", mean), ("log", log)])
def test_an_output_has_the_average_of_the_models_probabilities(mode: str, average: object) -> None:
    [(_, hypotheses)] = search(Ensemble([ONE, TWO], [3.0, 1.0], mode), [Request(0, SOURCE)], OPTIONS)
    for h in hypotheses:
        scored = (*h.ids, EOS)[: len(h.token_log_probs)]
        for n, piece in enumerate(scored):
            each = [float(model.log_probs(SOURCE, scored[:n])[piece]) for model in (ONE, TWO)]
            assert h.token_log_probs[n] == pytest.approx(average(*each), abs=1e-5)
            # The fakes have the same attention, and so has their average.
            np.testing.assert_allclose(h.weights[n], ONE.weights(SOURCE, scored[:n]), rtol=1e-6)


@pytest.mark.parametrize("mode", AVERAGES)
def test_one_model_in_an_ensemble_is_that_model(mode: str) -> None:
    for model in (Ensemble([ONE], mode=mode), Ensemble([ONE, TWO], [2.0, 0.0], mode)):
        for alone, together in zip(answers(ONE)[0], answers(model)[0], strict=True):
            assert together[0] == alone[0]
            assert together[1] == pytest.approx(alone[1], abs=1e-5)


@pytest.mark.parametrize("mode", AVERAGES)
def test_a_batch_changes_no_bit_of_an_ensemble(mode: str) -> None:
    model = ShallowFusion(Ensemble([ONE, TWO], mode=mode), random_model(5, vocabulary=12), 0.3)
    assert answers(model, 20, batch=1) == answers(model, 20, batch=8)


def test_a_language_model_is_added_with_its_weight() -> None:
    fused = ShallowFusion(ONE, TWO, 0.5)
    [(_, hypotheses)] = search(fused, [Request(0, SOURCE)], OPTIONS)
    for h in hypotheses:
        scored = (*h.ids, EOS)[: len(h.token_log_probs)]
        expected = [
            float(ONE.log_probs(SOURCE, scored[:n])[piece])
            + 0.5 * float(TWO.log_probs(SOURCE, scored[:n])[piece])
            for n, piece in enumerate(scored)
        ]
        assert h.token_log_probs == pytest.approx(expected, abs=1e-5)
    assert answers(ShallowFusion(ONE, TWO, 0.0)) == answers(ONE)


def test_what_one_model_rules_out_the_mean_keeps_and_the_logarithm_does_not() -> None:
    never = fixed_model([0.0, 0.0, 0.0, 0.0, -math.inf, -math.inf])
    sure = fixed_model([-math.inf, -math.inf, -math.inf, -math.inf, 0.0, -math.inf])
    y, parents, memories = np.array([1]), np.array([-1]), [((4,), (4,))]
    with np.errstate(invalid="raise", divide="raise"):
        kept = Ensemble([never, sure], mode="mean").step(y, None, parents, memories).scores.all()
        ruled_out = Ensemble([never, sure], mode="log").step(y, None, parents, memories).scores.all()
    assert kept[0, 4] == pytest.approx(math.log(0.5))
    assert kept[0, 5] == ruled_out[0, 4] == -math.inf


def test_a_certain_piece_is_not_more_than_certain_in_the_mean() -> None:
    sure = fixed_model([-200.0, -200.0, -200.0, -200.0, 0.0])
    models = Ensemble([sure] * 3, [0.1, 0.7, 0.3])
    step = models.step(np.array([1]), None, np.array([-1]), [((4,),) * 3])
    assert step.scores.all().max() == 0.0


def test_a_model_without_attention_leaves_it_to_the_others() -> None:
    blind = random_model(2, vocabulary=12, attention=False)
    y, parents, memories = np.array([1]), np.array([-1]), [(SOURCE, SOURCE)]
    step = Ensemble([ONE, blind], [1.0, 9.0]).step(y, None, parents, memories)
    assert step.weights is not None
    np.testing.assert_array_equal(step.weights[0], ONE.weights(SOURCE, ()))
    assert Ensemble([blind, blind]).step(y, None, parents, memories).weights is None


@pytest.mark.parametrize(
    ("models", "weights", "mode", "message"),
    [
        ([ONE, random_model(0, vocabulary=9)], None, "mean", "9 and 12 tokens"),
        ([ONE, TWO], [1.0], "mean", "1 weights for 2 models"),
        ([], None, "mean", "0 models"),
        ([ONE, TWO], [1.0, -0.5], "mean", "0 or more"),
        ([ONE, TWO], [0.0, 0.0], "mean", "above 0"),
        ([ONE, TWO], None, "median", "no average 'median', one of: mean, log"),
    ],
)
def test_ensembles_that_cannot_be_are_refused(
    models: list[Fake], weights: list[float] | None, mode: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Ensemble(models, weights, mode)
