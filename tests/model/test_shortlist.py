"""A model whose output is restricted sentence by sentence, and the table of its words."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nmt.data.vocabulary import EOS
from nmt.decoding.model import LogProbs, TokenScores
from nmt.model import output_layer
from nmt.model.decoder import BoundDecoder
from nmt.model.inference import InferenceModel
from nmt.model.output_layer import OutputLayer, TokenList
from nmt.model.output_scores import CompiledScores, TorchScores
from nmt.model.token_table import TokenTable
from nmt.model.translator import TranslationModel
from nmt.recurrence.c import compiler
from nmt.recurrence.c.int8 import Int8Backend
from nmt.recurrence.c.native import CBackend
from nmt.recurrence.engine import select_backend
from tests.model.test_translator import V, build

needs_compiler = pytest.mark.skipif(
    compiler.find_obstacle() is not None, reason=str(compiler.find_obstacle())
)

SOURCES = [[5, 6, 7, 8], [9, 4], [3], [9, 4, 10]]
LISTS = [[2, 3, 5, 8], [2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 3, 10], [2, 7]]


def shortlist(source: Sequence[int]) -> np.ndarray:
    return np.array(LISTS[SOURCES.index(list(source))])


def model(dtype: torch.dtype = torch.float32) -> TranslationModel:
    return build(decoder={"input_feeding": True}).to(dtype)


def two_positions(prepared: InferenceModel, owners: Sequence[int]) -> list[TokenScores]:
    """What a model says of rows of these sentences at the first two positions."""
    memories = prepared.encode([SOURCES[i] for i in sorted(set(owners))])
    memories = [memories[sorted(set(owners)).index(i)] for i in owners]
    count = len(owners)
    first = prepared.step(np.full(count, 1), None, np.full(count, -1), memories)
    # The second pieces differ among rows of one sentence, and do not depend on the rows beside them.
    seen = [list(owners[:row]).count(owner) for row, owner in enumerate(owners)]
    y = np.array([LISTS[owner][place % len(LISTS[owner])] for owner, place in zip(owners, seen, strict=True)])
    return [first.scores, prepared.step(y, first.state, np.arange(count), memories).scores]


OWNERS = [0, 0, 0, 1, 2, 2, 3, 3, 3, 3]


@pytest.fixture(params=["C", "torch"])
def way(request: pytest.FixtureRequest) -> str:
    """With and without a C compiler."""
    if request.param == "torch":
        request.getfixturevalue("no_compiler")
    return str(request.param)


def test_logits_on_a_list_are_those_of_the_whole_layer(way: str) -> None:
    whole = two_positions(InferenceModel(model(), eos=EOS), OWNERS)
    listed = two_positions(InferenceModel(model(), eos=EOS, shortlist=shortlist), OWNERS)
    for every, some in zip(whole, listed, strict=True):
        assert isinstance(every, CompiledScores if way == "C" else TorchScores)
        for row, owner in enumerate(OWNERS):
            expected = torch.tensor(every.all()[row, LISTS[owner]]).log_softmax(-1).numpy()
            np.testing.assert_allclose(some.all()[row, LISTS[owner]], expected, atol=1e-6)
            outside = sorted(set(range(V)) - set(LISTS[owner]))
            assert (some.all()[row, outside] == -np.inf).all()


@pytest.mark.parametrize("count", [1, 2, 3, 6, V, V + 5])
def test_the_best_and_the_asked_for_are_those_of_all(way: str, count: int) -> None:
    for said in two_positions(InferenceModel(model(torch.float64), eos=EOS, shortlist=shortlist), OWNERS):
        expected = LogProbs(said.all())
        for given, right in zip(said.best(count), expected.best(count), strict=True):
            np.testing.assert_allclose(given, right, atol=1e-12)
        where = np.array([0, 4, 9, 9]), np.array([5, 10, 7, 8])
        np.testing.assert_allclose(said.gather(*where), expected.gather(*where), atol=1e-12)


def test_equal_ones_come_by_piece() -> None:
    flat = model()
    with torch.no_grad():
        flat.decoder.output.weight.zero_()
        flat.decoder.output.bias.zero_()
    said = two_positions(InferenceModel(flat, eos=EOS, shortlist=shortlist), OWNERS)[0]
    values, pieces = said.best(3)
    assert pieces[0].tolist() == [2, 3, 5]
    assert pieces[9].tolist() == [2, 7, 0]  # then what is ruled out
    assert values[9, 2] == -np.inf


@pytest.mark.parametrize("with_list", [False, True])
def test_a_row_is_the_same_to_the_bit_whatever_stands_beside_it(with_list: bool) -> None:
    made = model()
    together = two_positions(
        InferenceModel(made, eos=EOS, shortlist=shortlist if with_list else None), OWNERS
    )
    for owner in set(OWNERS):
        own = [row for row, other in enumerate(OWNERS) if other == owner]
        for count in range(1, len(own) + 1):
            fresh = InferenceModel(made, eos=EOS, shortlist=shortlist if with_list else None)
            alone = two_positions(fresh, [owner] * count)
            for here, there in zip(alone, together, strict=True):
                for mine, theirs in zip(here.best(4), there.best(4), strict=True):
                    np.testing.assert_array_equal(mine, theirs[own[:count]])
                np.testing.assert_array_equal(here.all(), there.all()[own[:count]])


@needs_compiler
@pytest.mark.parametrize("length", [*range(1, 70), 255, 256, 257, 999])
def test_the_best_of_a_row_do_not_depend_on_the_rows_that_are_multiplied_with_it(length: int) -> None:
    generator = np.random.default_rng(length)
    weight, bias, features = torch.randn(1000, 8), torch.randn(1000), torch.randn(3, 8).numpy()
    own, *others = (
        TokenList(np.sort(generator.choice(1000, size, replace=False))) for size in (length, 60, 700)
    )
    values, tokens = OutputLayer(CBackend(), weight, bias).best(features[:1], 5, [own])
    output = OutputLayer(CBackend(), weight, bias)
    for rows in ([own, *others[:1]], [own, own, *others], [own]):
        other, same = output.best(features[: len(rows)] if len(rows) < 4 else features[[0, 0, 1, 2]], 5, rows)
        assert np.array_equal(other[0], values[0])
        assert np.array_equal(same[0], tokens[0])


@needs_compiler
@pytest.mark.parametrize(
    ("backend", "size", "rows", "is_prepared"),
    [
        *((CBackend(), 300, 1, True), (CBackend(), 1500, 1, False), (CBackend(), 1500, 64, True)),
        *((CBackend(), 1700, 64, False), (Int8Backend(), 300, 1, True), (Int8Backend(), 1500, 64, False)),
    ],
)
def test_lists_are_multiplied_alone_only_if_that_saves_time(
    backend: CBackend, size: int, rows: int, is_prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Preparing a row costs as much as many products with it, and a union of most tokens saves none."""
    torch.manual_seed(size)
    features, weight, bias = torch.randn(rows, 16).numpy(), torch.randn(2000, 16), torch.randn(2000)
    tokens = TokenList(np.random.default_rng(size).choice(2000, size, replace=False))
    tokens.tokens.sort()
    output = OutputLayer(backend, weight, bias)
    chosen = output.best(features, 7, [tokens] * rows)
    assert output.lists.count == (size if is_prepared else 0)
    monkeypatch.setattr(output_layer, "MAX_LISTED_SHARE", 1.0)
    for cost in (0.0, np.inf):
        monkeypatch.setattr(output.kind, "row_preparation", cost)
        forced = OutputLayer(backend, weight, bias)
        for found, expected in zip(forced.best(features, 7, [tokens] * rows), chosen, strict=True):
            assert np.array_equal(found, expected)
        assert forced.lists.count == (0 if cost else size)


@needs_compiler
@pytest.mark.parametrize("size", [16, 50, 1027])
def test_few_tokens_are_multiplied_in_int8_if_the_layer_is(size: int) -> None:
    torch.manual_seed(size)
    output = OutputLayer(Int8Backend(), torch.randn(size, 64), torch.randn(size))
    features = torch.randn(2, 64)
    logits = Int8Backend().matrix(output.weight)(features, output.bias)
    assert torch.equal(output.logits(features.numpy()), logits)
    lists = [np.array([3, size - 1]), np.arange(size // 3), np.array([0, 3])]
    for rows in ([0], [1], [1, 0], [2, 0, 1]):
        for tokens in (lists[row] for row in rows):
            values, found = output.best(features[:1].numpy(), len(tokens), [TokenList(tokens)])
            exact = logits[0, found[0]].log_softmax(0)
            np.testing.assert_allclose(values[0], exact, rtol=0, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 7, 1500, 3000])
def test_the_best_of_a_large_vocabulary_are_found_block_by_block(count: int, dtype: torch.dtype) -> None:
    torch.manual_seed(count)
    weight, bias, features = (torch.randn(*shape, dtype=dtype) for shape in ((3000, 4), (3000,), (20, 4)))
    weight[1500:1600] = weight[7]  # ties
    bias[1500:1600] = bias[7]
    output = OutputLayer(CBackend(), weight, bias)
    values, tokens = output.best(features.numpy(), count, None)
    order = torch.from_numpy(np.ascontiguousarray(output.logits(features.numpy()))).sort(
        dim=1, descending=True, stable=True
    )[1]
    assert np.array_equal(tokens, order[:, :count].numpy())
    exact = (features.double() @ weight.double().t() + bias.double()).log_softmax(1).gather(1, order)
    np.testing.assert_allclose(values, exact[:, :count].numpy(), rtol=0, atol=2e-5)


@needs_compiler
def test_buffers_that_did_not_fit_into_memory_are_made_again() -> None:
    torch.manual_seed(1)
    weight, bias, features = torch.randn(70, 4), torch.randn(70), torch.randn(200, 4).numpy()
    output = OutputLayer(CBackend(), weight, bias)
    first = output.best(features[:2], 3, None)
    with pytest.raises((RuntimeError, MemoryError)):
        output.reserve(1 << 50, 3)
    for rows in (2, 200):
        values, tokens = output.best(features[:rows], 3, None)
        assert np.array_equal(values[:2], first[0])
        assert np.array_equal(tokens[:2], first[1])


@needs_compiler
def test_a_position_that_did_not_fit_into_memory_is_bound_again() -> None:
    prepared = InferenceModel(model(), eos=EOS)
    before = two_positions(prepared, OWNERS)[-1].best(3)
    position = prepared.decoder.position
    for rows, longest in ((1 << 50, 1), (1, 1 << 50)):
        with pytest.raises((RuntimeError, MemoryError)):
            position.reserve(rows, longest)
        for found, expected in zip(two_positions(prepared, OWNERS)[-1].best(3), before, strict=True):
            assert np.array_equal(found, expected)


@needs_compiler
def test_lists_of_earlier_sentences_are_not_kept() -> None:
    torch.manual_seed(1)
    output = OutputLayer(CBackend(), torch.randn(2000, 4), torch.randn(2000))
    for _ in range(5):
        output.best(torch.randn(20, 4).numpy(), 3, [TokenList(np.arange(40))] * 20)
        assert output.lists.count
        assert len(output.lists.shortlists) == 1


def test_a_row_with_nan_gives_nan() -> None:
    output = OutputLayer(select_backend("auto", torch.zeros(1)), torch.randn(70, 4), torch.randn(70))
    features = torch.randn(3, 4).numpy()
    features[1, 2] = np.nan
    values, _ = output.best(features, 4, None)
    assert np.isnan(values).any(axis=1).tolist() == [False, True, False]


@needs_compiler
def test_the_vector_of_a_token_is_its_product_and_each_is_multiplied_once() -> None:
    made = model()
    table = TokenTable(BoundDecoder(made.decoder, 1), 1 << 20)
    asked: list[int] = []
    read = table.product

    def counting(vectors: torch.Tensor) -> torch.Tensor:
        asked.append(len(vectors))
        return read(vectors)

    table.product = counting
    with torch.inference_mode():
        for tokens in (np.array([5, 7]), np.array([7, 5, 7]), np.array([5, 9, 7, 3])):
            table.ensure_cached(tokens)
            assert torch.equal(table.table[tokens], read(made.decoder.embedding(torch.from_numpy(tokens))))
    assert asked == [2, 2]


@needs_compiler
def test_without_a_table_the_product_is_computed_at_every_position() -> None:
    results = [
        two_positions(InferenceModel(model(), eos=EOS, **more), OWNERS) for more in ({}, {"cache_bytes": 0})
    ]
    for some, others in zip(*results, strict=True):
        assert np.array_equal(some.all(), others.all())
