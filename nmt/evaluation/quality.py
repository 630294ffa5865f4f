"""The quality of a line: the probability that its translation is good, from what the search found.

It is a logistic function of a few features, whose weights `nmt tune` fits on the validation pairs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Le

from nmt.decoding.job import Job
from nmt.decoding.options import Beam, LengthPenalty
from nmt.decoding.translation import Candidate, Translation
from nmt.errors import UsageError
from nmt.evaluation.metrics import build_sentence_scorer
from nmt.settings import CountOrZero, Number, OneOf, Share

Percent = Annotated[float, Ge(0.0), Le(100.0)]
Correlation = Annotated[float, Ge(-1.0), Le(1.0)]


@cache
def _load_chrf() -> Callable[[str, str], float]:
    return build_sentence_scorer("chrf")


def measure_agreement(best: str, others: list[str]) -> float:
    """Return the mean chrF of a translation, from 0 to 1, with others of its n-best list as the reference."""
    return sum(_load_chrf()(best, other) for other in others) / len(others) / 100 if others else 1.0


def _measure_coverage(best: Candidate) -> float:
    """Return the mean attention that a source token has received, counted up to 1."""
    if best.attention is None or not best.attention.size:
        return 1.0
    return float(best.attention.sum(axis=0, dtype="float64").clip(0.0, 1.0).mean())


FEATURES: dict[str, Callable[[list[Candidate]], float]] = {
    "log_prob": lambda found: found[0].log_prob / len(found[0].tokens),
    "lowest": lambda found: min(found[0].token_log_probs),
    "length": lambda found: math.log(len(found[0].tokens)),
    "agreement": lambda found: measure_agreement(found[0].text, [one.text for one in found[1:]]),
    "coverage": lambda found: _measure_coverage(found[0]),
}
"""Functions of the n-best list of a line: log probability per token, that of the least likely token, the
logarithm of the length in tokens, agreement with the rest of the list, attention that the source received."""


def list_features(*, beam: int, attends: bool) -> list[str]:
    """Return the features that a search provides: `agreement` needs a beam, `coverage` attention."""
    missing = {"agreement": beam < 2, "coverage": not attends}
    return [name for name in FEATURES if not missing.get(name, False)]


@dataclass(frozen=True)
class ReliabilityBin:
    """Validation lines with about the same estimate: the estimate and the share that is good, on average."""

    quality: Share
    good: Share
    lines: CountOrZero


@dataclass(frozen=True)
class QualityEvidence:
    """Cross-validated accuracy of the estimate on the validation lines."""

    lines: CountOrZero
    good: CountOrZero  # of these lines
    rank_correlation: Correlation  # of estimate and chrF (Spearman)
    rank_correlation_score: Correlation  # of the score of the search and chrF
    rank_correlation_log_prob: Correlation  # of the log probability and chrF
    brier: Share  # mean squared error of the probability
    calibration_error: Share  # mean distance of estimate and share in the bins
    bins: list[ReliabilityBin]


@dataclass(frozen=True)
class QualityModel:
    """A fitted estimate of quality, and the search that it was fitted for."""

    threshold: Percent  # chrF from which on a line is good
    beam: Beam
    length_penalty: LengthPenalty
    weights: dict[Annotated[str, OneOf(lambda: FEATURES)], Number]
    bias: Number
    evidence: QualityEvidence

    __pydantic_config__ = {"allow_inf_nan": False}

    def estimate(self, candidates: list[Candidate]) -> float:
        """Return the probability that the first of an n-best list is good."""
        logit = self.bias
        for name, weight in self.weights.items():
            logit += weight * FEATURES[name](candidates)
        return 1 / (1 + math.exp(-min(max(logit, -700.0), 700.0)))

    def describe(self) -> str:
        """Describe the estimate in a sentence."""
        facts = self.evidence
        return (
            f"quality: the probability that chrF is {self.threshold:g} or more, calibrated on "
            f"{facts.lines:,} validation lines ({facts.good / max(facts.lines, 1):.0%} of them good); rank "
            f"correlation with chrF {facts.rank_correlation:.3f} (cross-validated; the score alone: "
            f"{facts.rank_correlation_score:.3f})"
        )


class QualityRequest(NamedTuple):
    """The estimation of quality in a job, with the candidates and attention that the caller requested."""

    model: QualityModel
    n_best: int
    attention: bool

    def __call__(self, translation: Translation) -> Translation:
        """Return a translation with its quality: None for a blank line, 0 for one that was not translated."""
        found, quality = translation.candidates, None
        if translation.line.text.strip():
            quality = self.model.estimate(found) if found[0].tokens else 0.0
        if not self.attention:
            found = [one._replace(attention=None) for one in found]
        return translation._replace(candidates=found[: self.n_best], quality=quality)

    def settings(self) -> Mapping[str, Any]:
        """Return all that the estimates depend on, as JSON values."""
        return {name: value for name, value in asdict(self.model).items() if name != "evidence"}


def request_quality(job: Job) -> Job:
    """Return a job whose translations have their quality.

    Raises UsageError if its model has no estimate, or one for another search.
    """
    model = job.estimator
    if model is None:
        raise UsageError(
            "this model has no estimate of quality: calibrate it with `nmt tune RUN --write`; for ensembles "
            "and with a language model there is none"
        )
    assert isinstance(model, QualityModel)
    options = job.options
    expected = replace(
        options,
        beam=model.beam,
        length_penalty=model.length_penalty,
        normalisation="gnmt",
        word_reward=0.0,
        coverage_penalty=0.0,
        sample=False,
        groups=1,
    )
    if options != expected or job.utility is not None:
        raise UsageError(
            f"quality is calibrated for a search with beam {model.beam} and length penalty "
            f"{model.length_penalty:g}: use this search, or calibrate another with `nmt tune RUN --beams`"
        )
    return prepare_candidates(job)._replace(
        quality=QualityRequest(model, job.n_best, job.soft_attention),
    )


def prepare_candidates(job: Job) -> Job:
    """Return a job whose translations have the candidates and the attention that the features need."""
    beam, attends = job.options.beam, job.attends
    options = replace(job.options, n_best=beam, attention=job.options.attention or attends)
    return job._replace(options=options, n_best=beam, soft_attention=job.soft_attention or attends)
