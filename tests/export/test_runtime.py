"""An exported translator computes the numbers of the original, with every cell and attention."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nmt.cells import CELLS
from nmt.data.vocabulary import BOS, EOS
from nmt.decoding.model import Floats, Model
from nmt.errors import DataError, UsageError
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from nmt.trust import trust_file
from tests.grid import mark_slow
from tests.model.test_translator import VARIANTS, V, build

onnx = pytest.importorskip("onnx", reason="exporting needs the extra [export]")
pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")

from nmt.export import translator_graphs as graphs  # noqa: E402
from nmt.export.directory import name_graph_file  # noqa: E402
from nmt.export.export_model import prepare_for_tracing  # noqa: E402
from nmt.export.runtime import OnnxModel  # noqa: E402

SENTENCES = [[5, 6, 7, 8], [9], [3, 4, 9, 9, 10, 5, 6, 7, 8], [4, 4]]


def exported(translator: TranslationModel, folder: Path, *, int8: bool = False) -> OnnxModel:
    """The runtime of a translator's graphs."""
    traced, files = prepare_for_tracing(translator), {}
    made = {
        "encoder": graphs.build_encoder_graph(traced, int8=int8),
        "step": graphs.build_step_graph(traced, int8=int8),
        "best": graphs.build_top_k_graph(),
    }
    for name, graph in made.items():
        onnx.checker.check_model(graph)
        files[name] = folder / name_graph_file(name)
        onnx.save(graph, files[name])
    return OnnxModel(files, vocabulary_size=V)


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
        words = [4 + (3 * row + position) % (V - 4) for row in rows]
        y = np.where(np.array(parents) < 0, BOS, words)
        step = model.step(y, state, np.array(parents), [memories[row] for row in rows])
        found.append((step.scores.all(), list(step.weights or [])))
        state = step.state
    return found


EVERY_CELL: dict[str, Any] = {
    "encoder": {"cell": [*CELLS], "layers": len(CELLS), "bidirectional": "first"},
    "decoder": {"cell": [*CELLS], "layers": len(CELLS), "bridge": "copy", "attention": "none"},
}
QUICK = ("feeding-multi-head", "layer-norm")


def check(variant: dict[str, Any], folder: Path) -> None:
    translator = build(**variant).float()
    ours, theirs = exported(translator, folder), InferenceModel(translator, eos=EOS)
    pairs = zip(walk(ours, SENTENCES), walk(theirs, SENTENCES), strict=True)
    for (log_probs, weights), (expected, seen) in pairs:
        np.testing.assert_allclose(log_probs, expected, atol=2e-5)
        assert [w.shape for w in weights] == [w.shape for w in seen]
        for w, s in zip(weights, seen, strict=True):
            np.testing.assert_allclose(w, s, atol=2e-5)


@pytest.mark.slow
def test_every_cell_has_the_numbers_of_the_trained_model(tmp_path: Path) -> None:
    check(EVERY_CELL, tmp_path)


@pytest.mark.parametrize("variant", QUICK)
def test_the_numbers_are_those_of_the_trained_model(variant: str, tmp_path: Path) -> None:
    check(VARIANTS[variant], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted({*VARIANTS} - {*QUICK}))
def test_so_they_are_for_all_that_a_recipe_can_name(variant: str, tmp_path: Path) -> None:
    check(VARIANTS[variant], tmp_path)


WIDE: dict[str, Any] = {
    "encoder": {"embedding": 24, "hidden": 40},
    "decoder": {"embedding": 24, "hidden": 48},
}


ATTENTIONS = ("general", "additive", "multi-head")
SIZES = mark_slow(product(ATTENTIONS, (False, True)), default=[("additive", False), ("multi-head", True)])


@pytest.mark.parametrize(("attention", "int8"), SIZES)
def test_a_row_has_the_same_bits_whatever_is_beside_it(attention: str, int8: bool, tmp_path: Path) -> None:
    wide = {**WIDE, "decoder": {**WIDE["decoder"], "attention": attention, "bridge": "mean"}}
    runtime = exported(build(**wide).float(), tmp_path, int8=int8)
    draw = np.random.default_rng(1)
    sentences = [draw.integers(4, V, size).tolist() for size in (1, 3, 8, 17, 40, 150)]
    together = runtime.encode(sentences)
    rows = [row for row in range(len(sentences)) for _ in range(1 + 3 * row)]  # up to 16 for one sentence
    y, start = np.array([4 + row % 7 for row in rows]), np.full(len(rows), -1)
    first = runtime.step(y, None, start, [together[row] for row in rows])
    step = runtime.step(y, first.state, np.arange(len(rows)), [together[row] for row in rows])
    for row in (0, 5, len(rows) - 1):
        (alone,) = runtime.encode([sentences[rows[row]]])
        one = runtime.step(y[[row]], None, start[:1], [alone])
        one = runtime.step(y[[row]], one.state, np.array([0]), [alone])
        np.testing.assert_array_equal(one.scores.all()[0], step.scores.all()[row])
        assert one.weights and step.weights
        np.testing.assert_array_equal(one.weights[0], step.weights[row])


def test_the_best_pieces_are_those_of_the_scores_and_the_lower_of_equal_ones(tmp_path: Path) -> None:
    runtime = exported(build(decoder={"attention": "none"}).float(), tmp_path)
    scores = runtime.step(np.array([BOS]), None, np.array([-1]), runtime.encode([[5]])).scores
    values, pieces = scores.best(3)
    assert pieces.tolist() == [np.argsort(-scores.all()[0])[:3].tolist()]
    np.testing.assert_array_equal(values[0], scores.gather(np.zeros(3, np.int64), pieces[0]))
    scores.all()[:] = -1.0
    assert scores.best(V + 5)[1].tolist() == [[*range(V)]]


def test_results_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = exported(build().float(), tmp_path)
    memories, first = runtime.encode([[5, 6]]), (np.array([BOS]), None, np.array([-1]))
    scores = runtime.step(*first, memories).scores
    values, tokens = scores.best(3)
    for graph, call, results, message in (
        (runtime._top_k, lambda: scores.best(3), [values, tokens + V], "it returned a token that"),
        (runtime._top_k, lambda: scores.best(3), [values, tokens - V], "it returned a token that"),
        (runtime._top_k, lambda: scores.best(3), [values[:, 1:], tokens], "its result values has the shape"),
        (runtime._encoder, lambda: runtime.encode([[5]]), None, "its result keys has the shape"),
        (runtime._step, lambda: runtime.step(*first, memories), None, "its result log_probs has the shape"),
    ):
        run: Any = (lambda *_, found=results: found) if results else cut_last(graph._session.run)
        with monkeypatch.context() as patch:
            patch.setattr(graph, "_session", SimpleNamespace(run=run))
            with pytest.raises(DataError, match=f"{graph.file.name}: refused: {message}"):
                call()


def cut_last(run: Callable[..., list[NDArray[Any]]]) -> Callable[..., list[NDArray[Any]]]:
    """A run of a graph whose results lack the end of their last dimension."""
    return lambda *given: [array[..., :-1] for array in run(*given)]


@pytest.mark.slow
def test_eight_bits_stay_near_and_need_a_quarter(tmp_path: Path) -> None:
    translator = build(
        encoder={"embedding": 64, "hidden": 64}, decoder={"embedding": 64, "hidden": 128}
    ).float()
    whole, eight = tmp_path / "whole", tmp_path / "eight"
    whole.mkdir(), eight.mkdir()
    ours, theirs = exported(translator, whole), exported(translator, eight, int8=True)
    for (a, _), (b, _) in zip(walk(ours, SENTENCES), walk(theirs, SENTENCES), strict=True):
        assert 0 < np.abs(a - b).max() < 0.1
    assert sum(f.stat().st_size for f in eight.iterdir()) < 0.4 * sum(
        f.stat().st_size for f in whole.iterdir()
    )


def test_a_step_that_onnx_cannot_say_is_named(tmp_path: Path) -> None:
    cell = tmp_path / "odd.py"
    cell.write_text(ODD, encoding="utf-8")
    trust_file(cell)
    translator = build(decoder={"cell": f"{cell}:Odd"}).float()
    with pytest.raises(UsageError, match="aten.cumsum"):
        exported(translator, tmp_path)


ODD = """\
from typing import NamedTuple
from torch import Tensor, tanh
from nmt.cells.cell import Cell


class Odd(Cell):
    gates = ("h",)

    class State(NamedTuple):
        h: Tensor

    def step(self, x, s, U):
        return self.State(h=tanh(x.h + U.h(s.h)).cumsum(-1))
"""
