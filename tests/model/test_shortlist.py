"""A model whose output is restricted sentence by sentence, and the table of its words."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nmt.data.vocabulary import EOS
from nmt.decoding.model import LogProbs, TokenScores
from nmt.model.inference import CACHE_BYTES, EmbeddingProductCache, InferenceModel
from nmt.model.output_scores import ShortlistScores, VocabularyScores, top_k_of_shortlists
from nmt.model.translator import TranslationModel
from tests.model.test_translator import V, build

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
        assert isinstance(every, VocabularyScores)
        assert isinstance(some, ShortlistScores if way == "C" else VocabularyScores)
        for row, owner in enumerate(OWNERS):
            full = some.dense if isinstance(some, ShortlistScores) else some
            if way == "C":
                assert torch.equal(full.logits[row, LISTS[owner]], every.logits[row, LISTS[owner]])
            expected = every.logits[row, LISTS[owner]].log_softmax(-1).numpy()
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


@pytest.mark.parametrize("length", [*range(1, 70), 255, 256, 257, 1000])
def test_the_best_of_a_row_do_not_depend_on_where_it_lies_in_memory(length: int) -> None:
    logits = 3 * torch.randn(length)
    names = [torch.arange(length)]
    values, pieces = top_k_of_shortlists(logits, names, 5)
    for shift in range(1, 17):
        moved = torch.zeros(shift + length)[shift:].copy_(logits)
        other, same = top_k_of_shortlists(moved, names, 5)
        assert torch.equal(other, values)
        assert torch.equal(same, pieces)


def test_words_from_the_table_are_the_products_and_each_is_multiplied_once() -> None:
    made = model()
    prepared = InferenceModel(made, eos=EOS)
    assert isinstance(prepared.token_products, EmbeddingProductCache)
    asked: list[int] = []
    read = prepared.token_products.product

    def counting(vectors: torch.Tensor) -> torch.Tensor:
        asked.append(len(vectors))
        return read(vectors)

    prepared.token_products.product = counting
    for pieces in (torch.tensor([5, 7]), torch.tensor([7, 5, 7]), torch.tensor([5, 9, 7, 3])):
        assert torch.equal(prepared.token_products(pieces), read(made.decoder.embedding(pieces)))
    assert asked == [2, 2]


def test_a_table_that_would_be_large_is_not_made() -> None:
    made, asked = model(), torch.tensor([5, 7])
    expected = InferenceModel(made, eos=EOS).token_products(asked)
    other = InferenceModel(made, eos=EOS, cache_bytes=CACHE_BYTES // 2**20).token_products
    assert not isinstance(other, EmbeddingProductCache)
    assert torch.equal(other(asked), expected)
