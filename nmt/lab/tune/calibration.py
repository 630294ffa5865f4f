"""Calibration of quality estimates on validation pairs: ridge regression of chrF, then a probability.

The weights of the features are those of a linear regression of chrF, which uses lines of all qualities; a
logistic regression with the prediction as its only input then gives the probability that a line is good.
Together they are one logistic function of the features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.job import Job
from nmt.decoding.translation import translate_lines
from nmt.errors import DataError
from nmt.evaluation.metrics import build_sentence_scorer
from nmt.evaluation.quality import (
    FEATURES,
    QualityEvidence,
    QualityModel,
    ReliabilityBin,
    list_features,
    prepare_candidates,
)

Doubles = NDArray[np.float64]

RIDGE = 1.0  # weight of the penalty on squared weights, in lines
FOLDS = 10  # of cross-validation
BINS = 10  # of the reliability diagram
FEWEST = 10  # good lines, and other lines, below which no probability is fitted
STEPS = 100  # of Newton's method, at most


class LineFacts(NamedTuple):
    """Features, chrF and scores of validation lines."""

    features: Doubles  # [lines, features]
    chrf: Doubles  # [lines]
    scores: Doubles  # [lines] of the search
    log_probs: Doubles  # [lines]


class LogisticFit(NamedTuple):
    """Weights of features and a bias, whose sum is the logit of a probability."""

    weights: Doubles
    bias: float

    def __call__(self, features: Doubles) -> Doubles:
        """Return probabilities [lines]."""
        logits: Doubles = features @ self.weights + self.bias
        return 1 / (1 + np.exp(-np.clip(logits, -700, 700)))


def calibrate_quality(
    job: Job, sources: Sequence[str], references: Sequence[str], threshold: float
) -> QualityModel:
    """Translate validation lines, and fit the probability that chrF is `threshold` or more.

    Raises DataError if nearly all lines are good, or nearly none.
    """
    names = list_features(beam=job.options.beam, attends=job.attends)
    facts = measure_lines(job, sources, references, names)
    good = facts.chrf >= threshold
    if min(good.sum(), (~good).sum()) < FEWEST:
        advice = "choose another --good" if len(good) >= 2 * FEWEST else "more lines are needed"
        raise DataError(
            f"quality cannot be calibrated: {good.sum():,} of {len(good):,} validation lines have chrF "
            f"{threshold:g} or more, and at least {FEWEST} must and {FEWEST} must not: {advice} "
            f"(half of the lines have {np.median(facts.chrf):.1f} or more)"
        )
    fit = fit_quality(facts.features, facts.chrf, good)
    return QualityModel(
        threshold,
        job.options.beam,
        job.options.length_penalty,
        dict(zip(names, fit.weights.tolist(), strict=True)),
        fit.bias,
        measure_evidence(facts, good),
    )


def measure_lines(
    job: Job, sources: Sequence[str], references: Sequence[str], names: Sequence[str]
) -> LineFacts:
    """Translate lines and return the features, the score and chrF of each line that is not blank."""
    chrf, rows = build_sentence_scorer("chrf"), []
    found = translate_lines(((source, None) for source in sources), prepare_candidates(job))
    for translation, reference in zip(found, references, strict=True):
        best = translation.candidates[0]
        if best.tokens:
            features = [FEATURES[name](translation.candidates) for name in names]
            rows.append([*features, chrf(best.text, reference), best.score, best.log_prob])
    table = np.array(rows, np.float64).reshape(len(rows), len(names) + 3)
    return LineFacts(table[:, :-3], table[:, -3], table[:, -2], table[:, -1])


def fit_quality(features: Doubles, chrf: Doubles, good: NDArray[np.bool_]) -> LogisticFit:
    """Fit the probability of `good` [lines] to features [lines, F]."""
    means, scales = features.mean(axis=0), features.std(axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    standard, target = (features - means) / scales, (chrf - chrf.mean()) / 100
    weights = np.linalg.solve(standard.T @ standard + RIDGE * np.eye(len(means)), standard.T @ target)
    predicted = standard @ weights
    scale = float(predicted.std()) or 1.0
    slope, bias = _fit_logistic(predicted / scale, good.astype(np.float64))
    weights = slope / scale * weights / scales
    return LogisticFit(weights, bias - float(weights @ means))


def _fit_logistic(x: Doubles, y: Doubles) -> tuple[float, float]:
    """Return slope and bias of a logistic regression of y on one input, by Newton's method.

    The slope has a weak prior, so that it is finite where an input separates the classes.
    """
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    ridge, weights = np.diag([0.1, 0.0]), np.zeros(2)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(inputs @ weights, -700, 700)))
        gradient = inputs.T @ (p - y) + ridge @ weights
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs + ridge + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return float(weights[0]), float(weights[1])


def predict_held_out(facts: LineFacts, good: NDArray[np.bool_]) -> Doubles:
    """Return the quality of each line by a fit without it: one of each ten lines at a time."""
    predicted, fold = np.zeros(len(good)), np.arange(len(good)) % FOLDS
    for number in range(FOLDS):
        held, rest = fold == number, fold != number
        fit = fit_quality(facts.features[rest], facts.chrf[rest], good[rest])
        predicted[held] = fit(facts.features[held])
    return predicted


def measure_evidence(facts: LineFacts, good: NDArray[np.bool_]) -> QualityEvidence:
    """Measure how well the quality, cross-validated, predicts the chrF of lines."""
    predicted = predict_held_out(facts, good)
    bins = measure_reliability(predicted, good)
    error = sum(one.lines * abs(one.quality - one.good) for one in bins) / len(good)
    return QualityEvidence(
        len(good),
        int(good.sum()),
        correlate_ranks(predicted, facts.chrf),
        correlate_ranks(facts.scores, facts.chrf),
        correlate_ranks(facts.log_probs, facts.chrf),
        float(np.mean((predicted - good) ** 2)),
        float(error),
        bins,
    )


def measure_reliability(predicted: Doubles, good: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """Return mean estimate and share of good lines in bins of equal width, without empty ones."""
    index = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    members = [index == number for number in range(BINS)]
    return [
        ReliabilityBin(float(predicted[mask].mean()), float(good[mask].mean()), int(mask.sum()))
        for mask in members
        if mask.any()
    ]


def correlate_ranks(a: Doubles, b: Doubles) -> float:
    """Return Spearman's rank correlation; equal values have the mean of their ranks, 0 if all are equal."""
    ranks = [_rank(values) - (len(values) - 1) / 2 for values in (a, b)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return max(-1.0, min(1.0, float(ranks[0] @ ranks[1]) / norm)) if norm else 0.0


def _rank(values: Doubles) -> Doubles:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Doubles = (ends - (counts + 1) / 2)[inverse]
    return ranks
