"""Small models that speak the search's protocol: what follows is a function of source and output."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.model import Floats, Ints, LogProbs, StepOutput

Pieces = tuple[int, ...]
Doubles = NDArray[np.float64]
Logits = Callable[[Pieces, Pieces], Doubles]  # of source and output so far, without bos


def log_softmax(logits: Doubles) -> Floats:
    shifted = logits - logits.max()
    return (shifted - np.log(np.exp(shifted).sum())).astype(np.float32)


class Fake:
    """A model whose state is the output so far, so that a row continued from a wrong parent is seen."""

    def __init__(self, logits: Logits, vocabulary: int, attention: bool = True) -> None:
        self.vocabulary_size, self.attention = vocabulary, attention
        self.seen_rows: list[int] = []
        self.encoded: list[int] = []
        self.log_probs = cache(lambda source, ids: log_softmax(logits(source, ids)))

    def encode(self, sources: Sequence[Sequence[int]]) -> list[Pieces]:
        self.encoded.append(len(sources))
        return [tuple(source) for source in sources]

    def step(
        self, y: Ints, state: list[Pieces] | None, parents: Ints, memories: Sequence[Pieces]
    ) -> StepOutput:
        assert (state is None) == bool((parents < 0).all())
        self.seen_rows.append(len(y))
        outputs = []
        for piece, parent in zip(y.tolist(), parents.tolist(), strict=True):
            assert (piece == BOS) == (parent < 0)
            outputs.append(() if state is None or parent < 0 else (*state[parent], piece))
        rows = list(zip(memories, outputs, strict=True))
        weights = [self.weights(*row) for row in rows] if self.attention else None
        return StepOutput(LogProbs(np.stack([self.log_probs(*row) for row in rows])), outputs, weights)

    def weights(self, source: Pieces, ids: Pieces) -> Floats:
        logits = np.random.default_rng([7, *source, 99, *ids]).normal(size=len(source) + 1) * 2
        return np.exp(log_softmax(logits))


def random_model(
    seed: int, *, vocabulary: int = 7, sharpness: float = 1.0, eos: float = 0.0, attention: bool = True
) -> Fake:
    """Any output is as probable as chance has it; `eos` makes the end more probable."""

    def logits(source: Pieces, ids: Pieces) -> Doubles:
        drawn = np.random.default_rng([seed, *source, 99, *ids]).normal(size=vocabulary) * sharpness
        drawn[EOS] += eos
        return drawn

    return Fake(logits, vocabulary, attention)


def fixed_model(logits: Sequence[float]) -> Fake:
    """The same logits at every position."""
    values = np.array(logits, np.float64)
    return Fake(lambda source, ids: values, len(values))


class Output(NamedTuple):
    """One output among all there are."""

    ids: Pieces
    log_prob: float
    length: int  # positions, eos counted
    finished: bool


def every_output(model: Fake, source: Pieces, limit: int, unk: bool = True) -> Iterator[Output]:
    """All outputs of up to `limit` positions."""
    pieces = [p for p in range(model.vocabulary_size) if p not in (PAD, BOS, EOS) and (unk or p != UNK)]
    for length in range(limit + 1):
        for ids in itertools.product(pieces, repeat=length):
            scored = ids if length == limit else (*ids, EOS)
            total = sum(float(model.log_probs(source, ids[:n])[piece]) for n, piece in enumerate(scored))
            yield Output(ids, total, len(scored), length < limit)


def bits(hypotheses: list[Hypothesis]) -> list[tuple[object, ...]]:
    """What two searches must agree on to the last bit."""
    return [(*h[:5], None if h.weights is None else h.weights.tobytes()) for h in hypotheses]
