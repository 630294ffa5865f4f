"""What search asks of a model, whoever runs it: torch, C or onnxruntime."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Scores(Protocol):
    """Log probabilities (natural) of the next piece of R hypotheses."""

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best (or all V, if fewer) of each row and their pieces, [R, count] both.

        Best first, equal ones by piece.
        """

    def of(self, rows: Ints, pieces: Ints) -> Floats:
        """Of some pieces: [N] for rows [N] and pieces [N]."""

    def all(self) -> Floats:
        """Of every piece, [R, V]; -inf where a piece is ruled out (a shortlist)."""


class StepOutput(NamedTuple):
    """The result of one position for R hypotheses."""

    scores: Scores
    state: Any  # of the R rows; passed to the next step
    weights: Sequence[Floats] | None  # attention of each row over its source [S] with eos; None without


class Model(Protocol):
    """A model that can read sentences and write pieces.

    A row's numbers are the same whatever rows are beside it.
    """

    @property
    def pieces(self) -> int: ...  # V

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[Any]:
        """What is remembered of each sentence (its pieces, no eos)."""

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        """One position of R hypotheses of any sentences.

        y [R] the piece before (bos first); parents [R] the row of `state` that each continues, -1 for one
        that starts (state is None when all do); memories: R of them, one per row.
        """


STRIPES = 16


class LogProbs:
    """`Scores` over an array of log probabilities [R, V]."""

    def __init__(self, log_probs: Floats) -> None:
        self.log_probs = log_probs

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count] both; equal ones by piece."""
        rows, vocabulary = self.log_probs.shape
        count = min(count, vocabulary)
        # All that may be among them, in order of row and piece, so that a stable sort leaves equal ones so.
        row, piece = np.divmod(np.flatnonzero(~(self.log_probs < self._floor(count))), vocabulary)
        order = np.lexsort((-self.log_probs[row, piece], row))
        first = np.searchsorted(row, np.arange(rows))
        chosen = order[first[:, None] + np.arange(count)]
        return self.log_probs[row[chosen], piece[chosen]], piece[chosen]

    def _floor(self, count: int) -> Floats:
        """A number [R, 1] that at least `count` values of each row reach.

        The largest values of as many places are such values, and far fewer to look through than all.
        """
        rows, vocabulary = self.log_probs.shape
        places = vocabulary // STRIPES
        if count > places:
            return np.full((rows, 1), -np.inf, np.float32)
        stripes = self.log_probs[:, : places * STRIPES].reshape(rows, STRIPES, places)
        highest: Floats = np.partition(stripes.max(axis=1), places - count, axis=1)
        return highest[:, places - count, None]

    def of(self, rows: Ints, pieces: Ints) -> Floats:
        """Of some pieces: [N] for rows [N] and pieces [N]."""
        return self.log_probs[rows, pieces]

    def all(self) -> Floats:
        """Of every piece, [R, V]."""
        return self.log_probs
