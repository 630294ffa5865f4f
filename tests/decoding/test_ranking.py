"""Scores are those of the papers, in a search that sees every output."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nmt.data.vocabulary import EOS
from nmt.decoding.beam import search
from nmt.decoding.options import NORMALISATIONS, Options, Ranking, Request, coverage_penalty
from nmt.errors import UsageError
from tests.decoding.models import Fake, Output, Pieces, every_output, random_model

WIDE = Options(beam=300, max_ratio=0.0, max_extra=4, n_best=12)
RANKINGS = [
    {"normalisation": "none"},
    {"normalisation": "average"},
    {"length_penalty": 0.6},
    {"normalisation": "none", "word_reward": 0.8},
    {"word_reward": -0.4},
    {"normalisation": "average", "coverage_penalty": 0.3},
    {"coverage_penalty": 0.7, "word_reward": 0.2},
]


def score(model: Fake, source: Pieces, output: Output, options: Options) -> float:
    divisor = {
        "none": 1,
        "average": output.length,
        "gnmt": ((5 + output.length) / 6) ** options.length_penalty,
    }
    total = output.log_prob / divisor[options.normalisation] + options.word_reward * output.length
    if options.coverage_penalty:
        seen = sum(model.weights(source, output.ids[:n]).astype(float) for n in range(output.length))
        total += options.coverage_penalty * sum(math.log(min(one, 1.0)) for one in seen.tolist())
    return total


@pytest.mark.parametrize("changes", RANKINGS)
@pytest.mark.parametrize("source", [(), (4, 5, 6)])
def test_a_wide_beam_ranks_all_outputs_by_the_formula(changes: dict[str, object], source: Pieces) -> None:
    model, options = random_model(1), replace(WIDE, **changes)
    outputs = [
        (not output.finished, -score(model, source, output, options), output.ids)
        for output in every_output(model, source, 4)
    ]
    best = sorted(outputs)[:12]
    [(_, hypotheses)] = search(model, [Request(0, source)], options)
    assert [tuple(h.ids) for h in hypotheses] == [ids for _, _, ids in best]
    assert [h.score for h in hypotheses] == pytest.approx([-score for _, score, _ in best])


@pytest.mark.parametrize("changes", RANKINGS)
def test_nothing_that_follows_scores_above_the_bound(changes: dict[str, object]) -> None:
    ranking, draw = replace(WIDE, **changes).ranking, np.random.default_rng(0)
    for _ in range(200):
        length, limit = sorted(draw.integers(1, 30, 2).tolist())
        log_prob = -float(draw.exponential(5))
        for end in range(length + 1, limit + 1):
            final = log_prob - float(draw.exponential(0.1)) * int(draw.integers(2))
            weights = draw.dirichlet(np.ones(4), end).astype(np.float32)
            assert ranking.score(final, end, weights) <= ranking.bound(log_prob, length, limit)


def test_the_penalties_are_the_published_ones() -> None:
    assert NORMALISATIONS["gnmt"](-6.0, 1, 0.6) == -6.0
    assert NORMALISATIONS["gnmt"](-6.0, 13, 1.0) == -2.0
    assert NORMALISATIONS["gnmt"](-6.0, 7, 0.0) == -6.0
    weights = np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]], np.float32)  # seen: 1.25, 0.5, 0.25
    assert coverage_penalty(weights, 2.0) == pytest.approx(2.0 * (math.log(0.5) + math.log(0.25)))
    assert Ranking("average", 0.0, 0.5, 2.0).score(-3.0, 2, weights) == pytest.approx(
        -1.5 + 1.0 + 2 * math.log(0.125)
    )


def test_coverage_without_attention_is_refused() -> None:
    model = random_model(0, attention=False)
    with pytest.raises(UsageError, match="needs attention, which this model lacks"):
        [*search(model, [Request(0, (4,))], replace(WIDE, coverage_penalty=0.1))]


def test_weights_that_nobody_asked_for_are_not_kept() -> None:
    [(_, hypotheses)] = search(random_model(0), [Request(0, (4,))], replace(WIDE, coverage_penalty=0.1))
    assert all(hypothesis.weights is None for hypothesis in hypotheses)
    assert EOS not in hypotheses[0].ids
