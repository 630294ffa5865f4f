"""An inference model gives a sentence the same values, to the bit, whatever else is in the batch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.cells import CELLS
from nmt.data.vocabulary import BOS, EOS
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from nmt.errors import DataError
from nmt.model.attention import ATTENTIONS
from nmt.model.inference import CompiledSentence, EncodedSentence, InferenceModel
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator
from nmt.recurrence.c import native
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.state import map_tensors
from tests.grid import STRUCTURES, mark_slow

V = 40
DATA = {"src": "de", "tgt": "en", "train": "train", "valid": "valid"}


def prepared(
    cell: str, attention: str, engine: str = "auto", int8: bool = False, **more: object
) -> InferenceModel:
    torch.manual_seed(1)
    encoder = {"cell": cell, "embedding": 64, "hidden": 64, **more}
    decoder = {"cell": cell, "embedding": 64, "hidden": 128, "attention": attention, **more}
    decoder["input_feeding"] = attention != "none"
    sections = {"data": DATA, "engine": engine, "encoder": encoder, "decoder": decoder}
    recipe = validate(TranslationRecipe, sections)
    return InferenceModel(build_translator(recipe, V, V), eos=EOS, int8=int8)


def sentences() -> list[list[int]]:
    generator = np.random.default_rng(2)
    return [generator.integers(4, V, length).tolist() for length in (1, 7, 3, 7, 12, 2, 19, 7, 5)]


def numbers(memory: CompiledSentence | EncodedSentence) -> Iterator[Tensor]:
    found: list[Tensor] = []
    if isinstance(memory, CompiledSentence):
        source = memory.source
        return (t for t in (source.start, source.keys, source.values) if t is not None)
    map_tensors(lambda t: found.append(t) or t, memory.start)  # type: ignore[func-returns-value]
    return iter(found)


CASES = [(name, "general", {}) for name in CELLS] + [("gru", name, {}) for name in ATTENTIONS]
CASES += [("lstm", "general", {"layer_norm": True}), ("gru", "additive", {"layers": 2, "residual_from": 2})]
CASES += [
    ("lstm", attention, {"engine": name}) for name in ("torch", "reference") for attention in ATTENTIONS
]
CASES += [(cell, attention, {"int8": True}) for cell in ("gru", "sru") for attention in ATTENTIONS]


QUICK = [("gru", name, {}) for name in ATTENTIONS] + [(name, "general", {}) for name in STRUCTURES]
QUICK += [("lstm", "general", {"layer_norm": True}), ("lstm", "additive", {"engine": "torch"})]
QUICK += [(cell, "general", {"int8": True}) for cell in ("gru", "sru")]


@pytest.mark.parametrize(
    ("cell", "attention", "more"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_a_sentence_gives_the_same_bits_alone_and_among_others(cell: str, attention: str, more: dict) -> None:
    model, sources, beam = prepared(cell, attention, **more), sentences(), 3
    together = model.encode(sources)
    pieces = np.random.default_rng(3).integers(4, V, (2, len(sources), beam))
    first = np.full(len(sources) * beam, BOS)
    rows = [memory for memory in together for _ in range(beam)]
    one = model.step(first, None, np.full(len(first), -1), rows)
    two = model.step(pieces[1].flatten(), one.state, np.arange(len(first)), rows)
    for i, source in enumerate(sources):
        [alone] = model.encode([source])
        for a, b in zip(numbers(alone), numbers(together[i]), strict=True):
            assert torch.equal(a, b)
        own = model.step(first[:beam], None, np.full(beam, -1), [alone] * beam)
        own = model.step(pieces[1, i], own.state, np.arange(beam), [alone] * beam)
        assert np.array_equal(own.scores.all(), two.scores.all()[i * beam : (i + 1) * beam])
        for a, b in zip(own.scores.best(4), two.scores.best(4), strict=True):
            assert np.array_equal(a, b[i * beam : (i + 1) * beam])


class ProductShapes(TorchDispatchMode):
    """The shapes of torch's products and gates: what decides which kernel a library takes."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[object, ...]] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "sigmoid", "tanh", "_softmax"):
            self.shapes.add((name, *[tuple(a.shape) for a in args if isinstance(a, Tensor)]))
        return func(*args, **(kwargs or {}))


def product_shapes(model: InferenceModel, sources: list[list[int]], beam: int) -> set[tuple[object, ...]]:
    with ProductShapes() as recorded:
        rows = [memory for memory in model.encode(sources) for _ in range(beam)]
        first = model.step(np.full(len(rows), BOS), None, np.full(len(rows), -1), rows)
        model.step(np.full(len(rows), 5), first.state, np.arange(len(rows)), rows)
    return recorded.shapes


@pytest.mark.parametrize("beam", mark_slow([1, 3, 20], default=[20]))
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("engine", mark_slow(["torch", "reference"], default=["torch"]))
def test_without_a_compiler_every_computation_has_the_same_shape_alone_and_among_others(
    engine: str, attention: str, beam: int
) -> None:
    model, sources = prepared("lstm", attention, engine), sentences()
    for module in model.model.modules():
        if isinstance(module, PackableLinear):
            module.matrix = None  # as where there is no compiler
    alone = set().union(*(product_shapes(model, [source], beam) for source in sources))
    assert {shape[0] for shape in alone} & {"mm", "addmm", "linear"}
    assert product_shapes(model, sources, beam) == alone


def test_scores_of_chosen_pieces_and_of_all_are_those_of_the_best() -> None:
    model = prepared("lstm", "general")
    memories = model.encode(sentences())
    scores = model.step(np.full(9, BOS), None, np.full(9, -1), memories).scores
    values, pieces = scores.best(V)
    assert values.shape == (9, V) and (np.diff(values, axis=1) <= 0).all()
    everything = scores.all()
    np.testing.assert_allclose(np.take_along_axis(everything, pieces, 1), values, rtol=1e-5, atol=1e-5)
    rows = np.array([0, 3, 8])
    np.testing.assert_allclose(scores.gather(rows, pieces[rows, 2]), values[rows, 2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.exp(everything).sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("attention", ["general", "additive"])
@pytest.mark.parametrize("missing", ["attention", "kernels"])
def test_what_c_does_not_compute_runs_in_python_between_the_steps_in_c(
    attention: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces, results = np.random.default_rng(3).integers(4, V, 27), []
    for _ in range(2):
        model = prepared("lstm", attention)
        rows = [memory for memory in model.encode(sentences()) for _ in range(3)]
        first = model.step(np.full(27, BOS), None, np.full(27, -1), rows)
        second = model.step(pieces, first.state, np.arange(27)[::-1].copy(), rows[::-1])
        assert second.weights is not None
        results.append((second.scores.all(), *second.weights))
        if missing == "attention":
            monkeypatch.setattr(ATTENTIONS[attention], "compiled_form", lambda self: None)
        else:
            monkeypatch.setattr(native, "compile_kernel", lambda *_: None)
    for given, expected in zip(*results, strict=True):
        np.testing.assert_allclose(given, expected, rtol=0, atol=2e-5)


class StepsOnly:
    """A model whose search runs in Python, position by position."""

    def __init__(self, model: InferenceModel) -> None:
        self.encode, self.step, self.vocabulary_size = model.encode, model.step, model.vocabulary_size


SEARCHES = [
    {"beam": 1},
    {"beam": 4, "batch": 1},
    {"beam": 4, "batch": 3, "n_best": 3, "unk": False},
    {"beam": 3, "batch": 4, "n_best": 2, "normalisation": "average", "word_reward": 0.3},
    {"beam": 5, "batch": 2, "normalisation": "none", "word_reward": -0.2, "max_extra": 3, "max_ratio": 1.0},
    {"beam": 6, "batch": 5, "length_penalty": 10.0, "max_extra": 40},
    {"beam": 50, "batch": 2, "n_best": 7, "max_extra": 2},  # more than the vocabulary has
]


@pytest.mark.parametrize("settings", SEARCHES)
@pytest.mark.parametrize("case", [{}, {"int8": True}, {"cell": "gru", "attention": "none"}])
def test_positions_that_run_in_c_give_the_hypotheses_of_the_search_in_python(
    case: dict, settings: dict
) -> None:
    model = prepared(**{"cell": "lstm", "attention": "general"} | case)
    model.model.decoder.output.bias.data[EOS] += 1.5  # so that some end before the maximum length
    requests = [Request(number, source) for number, source in enumerate(sentences())]
    for shortlist in (None, lambda source: np.unique([EOS, *range(3, 9), *source])):
        model.shortlist = shortlist
        compiled, plain = (
            sorted(search(one, requests, Options(**settings))) for one in (model, StepsOnly(model))
        )
        assert compiled == plain
        assert any(one.finished for _, found in plain for one in found)


@pytest.mark.parametrize("settings", [{"beam": 1}, {"beam": 4, "batch": 1}, {"beam": 3, "batch": 4}])
def test_sentences_without_copies_run_in_c_where_other_sentences_may_have_copies(
    settings: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = prepared("lstm", "general")
    model.model.decoder.output.bias.data[20:24] -= 0.1  # only some positions have copy symbols
    requests = [Request(number, source, symbols=range(20, 24)) for number, source in enumerate(sentences())]
    plain = sorted(search(StepsOnly(model), requests, Options(**settings)))
    assert not {20, 21, 22, 23} & {token for _, found in plain for one in found for token in one.ids}
    steps, step = [], model.step
    monkeypatch.setattr(model, "step", lambda *arguments: steps.append(1) or step(*arguments))
    assert sorted(search(model, requests, Options(**settings))) == plain
    assert 0 < len(steps) < sum(len(found[0].ids) for _, found in plain)


def test_nan_is_an_error_where_positions_run_in_c() -> None:
    model = prepared("gru", "general")
    model.model.decoder.output.bias.data[5] = torch.nan
    with pytest.raises(DataError, match="NaN"):
        list(search(model, [Request(1, [4, 5])], Options(beam=2)))
