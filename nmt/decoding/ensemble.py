"""Several models that write together: ensembles, and fusion with a language model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nmt.decoding.job import Job
from nmt.decoding.model import Floats, Ints, LogProbs, Model, StepOutput
from nmt.errors import UsageError


class EnsembleMember(NamedTuple):
    """A model and what its word counts."""

    model: Model
    weight: float


class _Together:
    """Models that take every step side by side, each with a memory and a state of its own."""

    def __init__(self, members: Sequence[EnsembleMember]) -> None:
        sizes = sorted({member.model.pieces for member in members})
        if len(sizes) > 1:
            raise UsageError(
                "models that translate together need one target vocabulary, these have "
                + " and ".join(f"{size:,}" for size in sizes)
                + " pieces"
            )
        if any(member.weight < 0 for member in members):
            raise UsageError("the weight of a model is 0 or more")
        self.members = list(members)

    @property
    def pieces(self) -> int:
        """Pieces of the vocabulary that all share."""
        return self.members[0].model.pieces

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[tuple[Any, ...]]:
        """What each model remembers of each sentence."""
        return list(zip(*(member.model.encode(sources) for member in self.members), strict=True))

    def steps(
        self, y: Ints, state: Any, parents: Ints, memories: Sequence[tuple[Any, ...]]
    ) -> list[StepOutput]:
        """The step of each model."""
        states = [None] * len(self.members) if state is None else state
        return [
            member.model.step(y, own, parents, [memory[place] for memory in memories])
            for place, (member, own) in enumerate(zip(self.members, states, strict=True))
        ]


class Ensemble(_Together):
    """Models whose probabilities (`mean`), or the logarithms of them (`log`), are averaged by their weights.

    The average of logarithms is not normalised again. Attention is averaged over the models that have it.
    """

    def __init__(
        self, models: Sequence[Model], weights: Sequence[float] | None = None, mode: str = "mean"
    ) -> None:
        if mode not in AVERAGES:
            raise UsageError(f"no average '{mode}', one of: {', '.join(AVERAGES)}")
        weights = [1.0] * len(models) if weights is None else weights
        if len(weights) != len(models) or not models:
            raise UsageError(f"{len(models)} models with {len(weights)} weights: one is needed for each")
        if sum(weights) <= 0:
            raise UsageError("no model of the ensemble has a weight above 0")
        super().__init__([EnsembleMember(m, w / sum(weights)) for m, w in zip(models, weights, strict=True)])
        self.mode = mode

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        """One position of all models."""
        steps = self.steps(y, state, parents, memories)
        weights = [np.float32(member.weight) for member in self.members]
        log_probs = AVERAGES[self.mode]([step.scores.all() for step in steps], weights)
        return StepOutput(LogProbs(log_probs), [step.state for step in steps], self._attention(steps))

    def _attention(self, steps: Sequence[StepOutput]) -> list[Floats] | None:
        seen = [
            (member.weight, step.weights)
            for member, step in zip(self.members, steps, strict=True)
            if step.weights is not None
        ]
        whole = sum(weight for weight, _ in seen)
        if whole <= 0:
            return None
        shares = [np.float32(weight / whole) for weight, _ in seen]
        rows = zip(*(weights for _, weights in seen), strict=True)
        return [_weighted_sum(row, shares) for row in rows]


class Fusion(_Together):
    """A translator with a language model's log probabilities added, times a weight (Gulcehre et al., 2015).

    This is their shallow fusion; the end of the output is weighed like every piece. The language model is a
    `Model` that remembers nothing of the source.
    """

    def __init__(self, model: Model, language_model: Model, weight: float) -> None:
        super().__init__([EnsembleMember(model, 1.0), EnsembleMember(language_model, weight)])

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        """One position of both; attention is the translator's."""
        steps = self.steps(y, state, parents, memories)
        weights = [np.float32(member.weight) for member in self.members]
        log_probs = _weighted_sum([step.scores.all() for step in steps], weights)
        return StepOutput(LogProbs(log_probs), [step.state for step in steps], steps[0].weights)


def _weighted_sum(arrays: Sequence[Floats], weights: Sequence[np.float32]) -> Floats:
    # In this order, and a weight of 0 takes part in nothing: 0 times -inf is no number.
    terms = [weight * array for weight, array in zip(weights, arrays, strict=True) if weight > 0]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _mean(log_probs: Sequence[Floats], weights: Sequence[np.float32]) -> Floats:
    highest = np.maximum.reduce(log_probs)
    highest = np.maximum(highest, np.finfo(np.float32).min)  # where all say -inf
    mean = _weighted_sum([np.exp(one - highest) for one in log_probs], weights)
    with np.errstate(divide="ignore"):
        # Rounding must not make a probability more than certain: the search's bounds rest on it.
        averaged: Floats = np.minimum(highest + np.log(mean), np.float32(0))
    return averaged


AVERAGES = {"mean": _mean, "log": _weighted_sum}


def combine_jobs(jobs: Sequence[Job], weights: Sequence[float] | None = None, average: str = "mean") -> Job:
    """A job of one or more models that write together, else as the first of them says.

    Raises UsageError if their vocabularies are not the same.
    """
    first, *others = jobs
    for number, other in enumerate(others, 2):
        for side in ("source", "target"):
            if getattr(other, side).fingerprint() != getattr(first, side).fingerprint():
                raise UsageError(
                    f"model {number} of the ensemble has another {side} vocabulary than the first: "
                    "train them on one (runs of one recipe with other seeds have it)"
                )
    if not others and weights is None:
        return first
    attends = any(job.attends for job in jobs)
    return first._replace(model=Ensemble([job.model for job in jobs], weights, average), attends=attends)
