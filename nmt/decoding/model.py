"""The interface of a model to the search, whether it runs in torch, C or onnxruntime."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]


class TokenScores(Protocol):
    """Log probabilities (natural) of the next token of R hypotheses."""

    def best(self, count: int) -> tuple[Floats, Ints]:
        """Return the `count` best of each row (at most V) and their tokens, [R, count]; ties by token."""

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        """Return the log probabilities of tokens [N] in rows [N]."""

    def all(self) -> Floats:
        """Return all log probabilities [R, V]; -inf for tokens that are not on a shortlist."""


class StepOutput(NamedTuple):
    """The result of one position for R hypotheses."""

    scores: TokenScores
    state: Any  # of the R rows; passed to the next step
    weights: Sequence[Floats] | None  # attention of each row over its source [S] with eos; None without


class LiveBeams(NamedTuple):
    """The live hypotheses of G sentences, one beam each, and the end of a run of positions.

    A position is the last if a hypothesis ends there with a higher log probability than is `needed` to enter
    its sentence's results, or if no live one of a sentence exceeds its `floor`.
    """

    tokens: Ints  # [R] the last of each
    parents: Ints  # [R] as in `Model.step`
    sentences: Ints  # [R] number of the sentence of each, ascending
    totals: Doubles  # [R] log probabilities
    width: int  # of each beam
    never: Sequence[int]  # tokens that are not generated
    eos: int
    symbols: range  # copy symbols, none of which may follow: the search handles a position with one
    positions: int  # at most
    needed: Doubles  # [G, positions]
    floors: Doubles  # [G]


class BeamPositions(NamedTuple):
    """The hypotheses that a search selected at P consecutive positions, N at most.

    Those that ended are left out, except at the last position.
    """

    tokens: Ints  # [P, N]
    parents: Ints  # [P, N] row that each continues, of the position before
    sentences: Ints  # [P, N]
    log_probs: Doubles  # [P, N] of the last tokens
    totals: Doubles  # [P, N]
    counts: Ints  # [P] hypotheses of each position, whose columns are the first
    state: Any  # that those of the last position continue


class Model(Protocol):
    """A model that encodes sentences and predicts the next token of each row, independent of other rows."""

    @property
    def vocabulary_size(self) -> int: ...  # V

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[Any]:
        """Encode sentences (tokens without eos) one by one."""

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        """Run one decoder step for R hypotheses of any sentences.

        y [R]: the previous token (bos first); parents [R]: the row of `state` that each continues, -1 at the
        start (state is None if all rows start); memories: the encoded sentence of each row.
        """


@runtime_checkable
class BeamModel(Protocol):
    """A model that also runs the search for sentences without constraints."""

    def run_beams(self, beams: LiveBeams, state: Any, memories: Sequence[Any], /) -> BeamPositions | None:
        """Extend hypotheses as `step` and the search do, `memories` [G] being those of the sentences.

        Positions end before one with NaN or a copy symbol, or at which a beam has no continuation. None if
        the model has parts that cannot run so.
        """


STRIPES = 16


class LogProbs:
    """`TokenScores` over an array of log probabilities [R, V]."""

    def __init__(self, log_probs: Floats) -> None:
        self.log_probs = log_probs

    def best(self, count: int) -> tuple[Floats, Ints]:
        rows, vocabulary = self.log_probs.shape
        count = min(count, vocabulary)
        # All candidates in order of row and token, an order that the stable sort keeps among ties.
        row, token = np.divmod(np.flatnonzero(~(self.log_probs < self._floor(count))), vocabulary)
        order = np.lexsort((-self.log_probs[row, token], row))
        first = np.searchsorted(row, np.arange(rows))
        best = order[first[:, None] + np.arange(count)]
        return self.log_probs[row[best], token[best]], token[best]

    def _floor(self, count: int) -> Floats:
        """Return a value [R, 1] that at least `count` values of each row reach.

        The maxima of as many columns of stripes are such values, and far fewer to sort than all.
        """
        rows, vocabulary = self.log_probs.shape
        columns = vocabulary // STRIPES
        if count > columns:
            return np.full((rows, 1), -np.inf, np.float32)
        stripes = self.log_probs[:, : columns * STRIPES].reshape(rows, STRIPES, columns)
        highest: Floats = np.partition(stripes.max(axis=1), columns - count, axis=1)
        return highest[:, columns - count, None]

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        return self.log_probs[rows, tokens]

    def all(self) -> Floats:
        return self.log_probs
