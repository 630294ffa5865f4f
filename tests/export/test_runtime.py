"""An exported translator gives the numbers of the one it was made from, by any cell and any attention."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, tanh

from nmt.cells.cell import Cell
from nmt.cells.gru import GRU
from nmt.data.subwords import BOS, EOS
from nmt.decoding.model import Floats, Model
from nmt.model.prepared import Prepared
from nmt.model.translator import Translator
from tests.model.test_translator import VARIANTS, V, build

onnx = pytest.importorskip("onnx", reason="exporting needs the extra [export]")
pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")

from nmt.export import model as graphs  # noqa: E402 - they need onnx
from nmt.export.directory import graph_file  # noqa: E402
from nmt.export.run import traceable  # noqa: E402
from nmt.export.runtime import Runtime  # noqa: E402

SENTENCES = [[5, 6, 7, 8], [9], [3, 4, 9, 9, 10, 5, 6, 7, 8], [4, 4]]


def exported(translator: Translator, folder: Path, *, int8: bool = False) -> Runtime:
    """The runtime of a translator's graphs."""
    traced, files = traceable(translator), {}
    made = {
        "encoder": graphs.encoder(traced, int8=int8),
        "step": graphs.step(traced, int8=int8),
        "best": graphs.best(),
    }
    for name, graph in made.items():
        onnx.checker.check_model(graph)
        files[name] = folder / graph_file(name)
        onnx.save(graph, files[name])
    return Runtime(files, pieces=V)


def walk(model: Model, sentences: list[list[int]]) -> list[tuple[Floats, list[Floats]]]:
    """What a model says on a way through a search: hypotheses fork, sentences leave, one comes later."""
    memories = model.encode(sentences)
    last = len(sentences) - 1
    ways: list[tuple[list[int], list[int]]] = [  # the row that each row continues, and its sentence
        ([-1] * last, list(range(last))),
        ([0, 0, 1, 2, -1], [0, 0, 1, 2, last]),
        ([1, 1, 0, 4, 4, 4], [0, 0, 0, last, last, last]),
        ([5, 0], [last, 0]),
    ]
    found, state = [], None
    for position, (parents, rows) in enumerate(ways):
        y = np.array([BOS if parent < 0 else 4 + (3 * row + position) % (V - 4) for row, parent in zip(rows, parents, strict=True)])
        step = model.step(y, state, np.array(parents), [memories[row] for row in rows])
        found.append((step.scores.all(), list(step.weights or [])))
        state = step.state
    return found


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_numbers_are_those_of_the_trained_model(variant: dict[str, Any], tmp_path: Path) -> None:
    translator = build(**variant).float()
    ours, theirs = exported(translator, tmp_path), Prepared(translator, eos=EOS)
    for (log_probs, weights), (expected, seen) in zip(walk(ours, SENTENCES), walk(theirs, SENTENCES), strict=True):
        np.testing.assert_allclose(log_probs, expected, atol=2e-5)
        assert [w.shape for w in weights] == [w.shape for w in seen]
        for w, s in zip(weights, seen, strict=True):
            np.testing.assert_allclose(w, s, atol=2e-5)
