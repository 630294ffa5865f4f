"""Several models that predict together: ensembles, and fusion with a language model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nmt.decoding.job import Job
from nmt.decoding.model import Floats, Ints, LogProbs, Model, StepOutput
from nmt.errors import UsageError


class EnsembleMember(NamedTuple):
    """A model and its weight."""

    model: Model
    weight: float


class _ModelGroup:
    """Models that take every step together, each with a memory and a state of its own."""

    def __init__(self, members: Sequence[EnsembleMember]) -> None:
        sizes = sorted({member.model.vocabulary_size for member in members})
        if len(sizes) > 1:
            raise UsageError(
                "models that are combined need the same target vocabulary; these have "
                + " and ".join(f"{size:,}" for size in sizes)
                + " tokens"
            )
        if any(member.weight < 0 for member in members):
            raise UsageError("the weight of a model must be 0 or more")
        self.members = list(members)

    @property
    def vocabulary_size(self) -> int:
        """Size of the vocabulary that all share."""
        return self.members[0].model.vocabulary_size

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[tuple[Any, ...]]:
        """Encode each sentence with each model."""
        return list(zip(*(member.model.encode(sources) for member in self.members), strict=True))

    def steps(
        self, y: Ints, state: Any, parents: Ints, memories: Sequence[tuple[Any, ...]]
    ) -> list[StepOutput]:
        """Take the step of each model."""
        states = [None] * len(self.members) if state is None else state
        return [
            member.model.step(y, own, parents, [memory[index] for memory in memories])
            for index, (member, own) in enumerate(zip(self.members, states, strict=True))
        ]


class Ensemble(_ModelGroup):
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
        if sum(weights) <= 0:
            raise UsageError("at least one weight of the ensemble must be above 0")
        super().__init__([EnsembleMember(m, w / sum(weights)) for m, w in zip(models, weights, strict=True)])
        self.mode = mode

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        """Take one position of all models."""
        steps = self.steps(y, state, parents, memories)
        weights = [np.float32(member.weight) for member in self.members]
        log_probs = AVERAGES[self.mode]([step.scores.all() for step in steps], weights)
        return StepOutput(LogProbs(log_probs), [step.state for step in steps], self._attention(steps))

    def _attention(self, steps: Sequence[StepOutput]) -> list[Floats] | None:
        pairs = [
            (member.weight, step.weights)
            for member, step in zip(self.members, steps, strict=True)
            if step.weights is not None
        ]
        total = sum(weight for weight, _ in pairs)
        if total <= 0:
            return None
        shares = [np.float32(weight / total) for weight, _ in pairs]
        rows = zip(*(weights for _, weights in pairs), strict=True)
        return [_weighted_sum(row, shares) for row in rows]


class Fusion(_ModelGroup):
    """A translator with a language model's log probabilities added, times a weight (Gulcehre et al., 2015).

    This is their shallow fusion; eos is weighted like every token. The language model is a `Model` that
    ignores the source.
    """

    def __init__(self, model: Model, language_model: Model, weight: float) -> None:
        super().__init__([EnsembleMember(model, 1.0), EnsembleMember(language_model, weight)])

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        """Take one position of both; attention is the translator's."""
        steps = self.steps(y, state, parents, memories)
        weights = [np.float32(member.weight) for member in self.members]
        log_probs = _weighted_sum([step.scores.all() for step in steps], weights)
        return StepOutput(LogProbs(log_probs), [step.state for step in steps], steps[0].weights)


def _weighted_sum(arrays: Sequence[Floats], weights: Sequence[np.float32]) -> Floats:
    # In this order, and without weights of 0: 0 times -inf is NaN.
    terms = [weight * array for weight, array in zip(weights, arrays, strict=True) if weight > 0]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _mean(log_probs: Sequence[Floats], weights: Sequence[np.float32]) -> Floats:
    highest = np.maximum.reduce(log_probs)
    highest = np.maximum(highest, np.finfo(np.float32).min)  # where all are -inf
    mean = _weighted_sum([np.exp(one - highest) for one in log_probs], weights)
    with np.errstate(divide="ignore"):
        # Rounding must not give a probability above 1: the bounds of the search rely on it.
        averaged: Floats = np.minimum(highest + np.log(mean), np.float32(0))
    return averaged


AVERAGES = {"mean": _mean, "log": _weighted_sum}


def combine_jobs(jobs: Sequence[Job], weights: Sequence[float] | None = None, average: str = "mean") -> Job:
    """Return a job of one or more models together, otherwise as the first of them.

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
    attends = any(job.attends for job in jobs)
    return first._replace(model=Ensemble([job.model for job in jobs], weights, average), attends=attends)
