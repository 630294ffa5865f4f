"""Several models that predict together: ensembles, and fusion with a language model."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from nmt.data.trained_lengths import TrainedLengths
from nmt.decoding.job import Job
from nmt.decoding.model import Floats, Ints, LogProbs, Model, StepOutput
from nmt.errors import UsageError


class Ensemble:
    """Models whose probabilities (`mean`), or log probabilities (`log`), are averaged by their weights.

    The average of log probabilities is not renormalised. Attention is averaged over the models that have it.
    """

    def __init__(
        self, models: Sequence[Model], weights: Sequence[float] | None = None, mode: str = "mean"
    ) -> None:
        if mode not in AVERAGES:
            raise UsageError(f"no average '{mode}', one of: {', '.join(AVERAGES)}")
        weights = [1.0] * len(models) if weights is None else weights
        if len(weights) != len(models) or not models:
            raise UsageError(f"{len(weights)} weights for {len(models)} models: give one for each")
        if min(weights) < 0:
            raise UsageError("the weight of a model must be 0 or more")
        if sum(weights) <= 0:
            raise UsageError("at least one weight of the ensemble must be above 0")
        sizes = sorted({model.vocabulary_size for model in models})
        if len(sizes) > 1:
            raise UsageError(
                "models that are combined need the same target vocabulary; these have "
                f"{' and '.join(f'{size:,}' for size in sizes)} tokens"
            )
        self.models, self.mode = list(models), mode
        self.weights = [weight / sum(weights) for weight in weights]

    @property
    def vocabulary_size(self) -> int:
        """Size of the common vocabulary."""
        return self.models[0].vocabulary_size

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[tuple[Any, ...]]:
        """Encode each sentence with each model."""
        return list(zip(*(model.encode(sources) for model in self.models), strict=True))

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[tuple[Any, ...]], /) -> StepOutput:
        """Run one step of all models."""
        states = [None] * len(self.models) if state is None else state
        steps = [
            model.step(y, model_state, parents, model_memories)
            for model, model_state, model_memories in zip(
                self.models, states, zip(*memories, strict=True), strict=True
            )
        ]
        log_probs = AVERAGES[self.mode]([step.scores.all() for step in steps], self.weights)
        return StepOutput(LogProbs(log_probs), [step.state for step in steps], self._attention(steps))

    def _attention(self, steps: Sequence[StepOutput]) -> list[Floats] | None:
        attending = [
            (weight, step.weights)
            for weight, step in zip(self.weights, steps, strict=True)
            if step.weights is not None
        ]
        total = sum(weight for weight, _ in attending)
        if total <= 0:
            return None
        shares = [weight / total for weight, _ in attending]
        return [_weighted_sum(row, shares) for row in zip(*(rows for _, rows in attending), strict=True)]


class ShallowFusion(Ensemble):
    """A translator with a language model's log probabilities added, times a weight (Gulcehre et al., 2015).

    This is their shallow fusion; eos is weighted like every token. The language model is a `Model` that
    ignores the source and has no attention.
    """

    def __init__(self, model: Model, language_model: Model, weight: float) -> None:
        super().__init__([model, language_model], [1.0, weight], "log")
        self.weights = [1.0, weight]  # a sum, not an average


def _weighted_sum(arrays: Sequence[Floats], weights: Sequence[float]) -> Floats:
    # In this order, and without weights of 0: 0 times -inf is NaN.
    pairs = zip(map(np.float32, weights), arrays, strict=True)
    return reduce(np.add, [weight * array for weight, array in pairs if weight > 0])


def _mean(log_probs: Sequence[Floats], weights: Sequence[float]) -> Floats:
    highest = np.maximum.reduce(log_probs)
    highest = np.maximum(highest, np.finfo(np.float32).min)  # where all are -inf
    mean = _weighted_sum([np.exp(one - highest) for one in log_probs], weights)
    with np.errstate(divide="ignore"):
        # Rounding must not give a probability above 1: the bounds of the search rely on it.
        averaged: Floats = np.minimum(highest + np.log(mean), np.float32(0))
    return averaged


AVERAGES = {"mean": _mean, "log": _weighted_sum}


def combine_jobs(jobs: Sequence[Job], weights: Sequence[float] | None = None, average: str = "mean") -> Job:
    """Return the first job with its model replaced by an ensemble of all models.

    Raises UsageError if their vocabularies differ.
    """
    first, *others = jobs
    for number, other in enumerate(others, 2):
        for side in ("source", "target"):
            if getattr(other, side).fingerprint() != getattr(first, side).fingerprint():
                raise UsageError(
                    f"model {number} of the ensemble has a different {side} vocabulary than the first: train "
                    "the models with one vocabulary, for example one recipe with several seeds"
                )
    if not others and weights is None:
        return first
    model, attends = Ensemble([job.model for job in jobs], weights, average), any(job.attends for job in jobs)
    first = first._replace(model=model, attends=attends, estimator=None)
    return first.with_lengths(_shortest([job.lengths for job in jobs]))


def _shortest(lengths: Sequence[TrainedLengths | None]) -> TrainedLengths | None:
    """Return lengths that all models were trained on, as far as they are known."""
    known = [one for one in lengths if one]
    if not known:
        return None
    return TrainedLengths(min(one.tokens for one in known), min(one.sentences for one in known))
