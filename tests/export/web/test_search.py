"""The page's beam search finds the hypotheses of Python's, in the same order, with the same scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nmt.data.vocabulary import EOS
from nmt.decoding.beam import search
from nmt.decoding.model import Floats, Ints, LogProbs, StepOutput
from nmt.decoding.options import Options, Request
from tests.export.web.node import run_script

V, S = 14, 5
SYMBOLS = range(10, 14)


class TableModel:
    """A model whose scores depend on the last token and the position only; many of them are equal."""

    vocabulary_size = V

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.scores = (np.round(draw.normal(size=(7, V, V)) * 2) / 2 - 3).astype(np.float32)
        self.scores[draw.random(self.scores.shape) < 0.1] = -np.inf
        self.scores[:, :, EOS] -= 1
        self.weights = draw.dirichlet(np.ones(S), size=V).astype(np.float32)

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[Any]:
        return [object() for _ in sources]

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any], /) -> StepOutput:
        position = 0 if state is None else state
        weights: list[Floats] = list(self.weights[y])
        return StepOutput(LogProbs(self.scores[position % 7][y]), position + 1, weights)


OPTIONS: list[dict[str, Any]] = [
    {"beam": 1, "max_extra": 12},
    {"beam": 3, "n_best": 3, "length_penalty": 0.0, "max_extra": 4},
    {"beam": 5, "n_best": 2, "max_ratio": 3.0},
    {"beam": 5, "n_best": 5, "length_penalty": 2.0, "coverage_penalty": 0.3},
    {"beam": 20, "n_best": 20, "max_ratio": 1.0, "max_extra": 0, "unk": False},
]
COPIES: list[list[int]] = [[], [12], [13, 10]]


@pytest.mark.parametrize("seed", [1, 2])
def test_hypotheses_and_scores_are_the_same(seed: int) -> None:
    model, source = TableModel(seed), [4, 5, 6, 7]
    cases = [(given, copies) for given in OPTIONS for copies in COPIES]
    ours = []
    for given, copies in cases:
        request = Request(0, source, copies=copies, symbols=SYMBOLS)
        [(_, found)] = search(model, [request], Options(**given))
        ours.append([[one.ids, one.score, one.finished] for one in found])
    names = {"beam": "beam", "n_best": "nBest", "length_penalty": "lengthPenalty"}
    names |= {"max_ratio": "maxRatio", "max_extra": "maxExtra", "coverage_penalty": "coveragePenalty"}
    theirs = run_script(
        """
        const toNumber = (value) => value ?? -Infinity;
        const scores = given.scores.map((table) => table.map((row) => Float32Array.from(row, toNumber)));
        const model = {
          encode: async () => ({}),
          step: async (tokens, state, parents, memory) => ({
            logProbs: tokens.map((token) => scores[(state ?? 0) % 7][token]),
            weights: tokens.map((token) => Float32Array.from(given.weights[token])),
            state: (state ?? 0) + 1,
          }),
        };
        const results = [];
        for (const [options, copies, blocksUnknown] of given.cases) {
          const constraints = { copies, symbols: { start: 10, stop: 14 }, blocksUnknown };
          const all = { ...search.DEFAULTS, ...options };
          const found = await search.search(model, given.source, all, constraints);
          results.push(found.map(({ ids, score, isFinished }) => [ids, score, isFinished]));
        }
        return results;
        """,
        {
            "source": source,
            "scores": [
                [[float(value) if value > -np.inf else None for value in row] for row in table]
                for table in model.scores
            ],
            "weights": model.weights.tolist(),
            "cases": [
                ({names[name]: given[name] for name in given if name in names}, copies, "unk" in given)
                for given, copies in cases
            ],
        },
    )
    for case, expected, found in zip(cases, ours, theirs, strict=True):
        scores = [one.pop(1) for one in found], [one.pop(1) for one in expected]
        assert (case, found) == (case, expected)
        assert scores[0] == pytest.approx(scores[1], rel=1e-12)


def test_the_best_tokens_are_the_highest_and_the_lower_of_equal_ones() -> None:
    values = [float(value) for value in np.random.default_rng(3).integers(0, 9, 200)]
    ours = [token for token in np.argsort(-np.array(values), kind="stable").tolist() if token % 3][:20]
    theirs = run_script(
        "return search.findBest(given, 20, (token) => token % 3 === 0).map(([token]) => token);", values
    )
    assert theirs == ours


def test_a_model_whose_output_is_nan_is_reported() -> None:
    script = "try { search.findBest([1, NaN], 1, () => false); } catch (error) { return error.message; }"
    assert run_script(script, None) == "the model's output is NaN"
