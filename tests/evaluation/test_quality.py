"""The features of a line, and the probability computed from them."""

import math

import numpy as np
import pytest

from nmt.decoding.translation import Candidate
from nmt.evaluation.quality import (
    FEATURES,
    QualityEvidence,
    QualityModel,
    list_features,
    measure_agreement,
)

EVIDENCE = QualityEvidence(10, 5, 0.5, 0.4, 0.3, 0.2, 0.1, [])


def candidate(text: str, log_probs: list[float], attention: list[list[float]] | None = None) -> Candidate:
    weights = None if attention is None else np.array(attention, np.float32)
    total = sum(log_probs)
    return Candidate(text, total, total, ["t"] * len(log_probs), log_probs, weights)


BEST = candidate("a good dog", [-0.5, -0.25, -0.125, -0.125], [[1, 0], [0.5, 0.25], [0, 0], [0, 0]])


def test_features_by_hand() -> None:
    found = [BEST, candidate("a good dog", [-2.0]), candidate("zzz", [-3.0])]
    values = {name: feature(found) for name, feature in FEATURES.items()}
    assert values["log_prob"] == -0.25
    assert values["lowest"] == -0.5
    assert values["length"] == math.log(4)
    assert values["agreement"] == pytest.approx(0.5)
    assert values["coverage"] == pytest.approx((1 + 0.25) / 2)


def test_a_line_without_alternatives_agrees_with_itself() -> None:
    assert measure_agreement("a", []) == 1
    assert FEATURES["coverage"]([candidate("a", [-1.0])]) == 1


def test_a_search_without_alternatives_or_attention_has_fewer_features() -> None:
    assert list_features(beam=5, attends=True) == [*FEATURES]
    assert "agreement" not in list_features(beam=1, attends=True)
    assert "coverage" not in list_features(beam=5, attends=False)


def test_the_probability_is_logistic() -> None:
    model = QualityModel(50.0, 5, 1.0, {"log_prob": 4.0, "length": 0.0}, 1.0, EVIDENCE)
    assert model.estimate([BEST]) == pytest.approx(0.5)
    far = QualityModel(50.0, 5, 1.0, {"log_prob": 1e30}, 0.0, EVIDENCE)
    assert far.estimate([BEST]) < 1e-300
