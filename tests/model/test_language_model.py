"""A language model is a translator of nothing: a decoder from zeros, that can be read on from any state."""

import pytest
import torch

from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from nmt.recipe.schema import LanguageModelRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.language_model import build_language_model
from nmt.recurrence.state import map_tensors
from nmt.training.objectives.likelihood import Likelihood
from tests.grid import CELL_GRID

PIECES = 11


def make_model(cell: str = "lstm", **settings: object) -> TranslationModel:
    recipe = validate(
        LanguageModelRecipe,
        {
            "task": "language-model",
            "data": {"train": "a", "valid": "b"},
            "decoder": {"cell": cell, "layers": 2, "embedding": 6, "hidden": 7, **settings},
        },
    )
    return build_language_model(recipe, PIECES).double()


def make_text(rows: int = 3, length: int = 9) -> torch.Tensor:
    return torch.randint(EOS, PIECES, (rows, length))


@pytest.mark.parametrize("cell", CELL_GRID)
def test_a_text_read_in_chunks_is_the_text_in_values_and_gradients(cell: str) -> None:
    model, text = make_model(cell), make_text()
    whole = model.unroll(model.encode(text), text)
    whole.features.square().sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    model.zero_grad(set_to_none=True)
    features, state = [], None
    for chunk in text.split(4, dim=1):
        given, state, _ = model.unroll(model.encode(chunk), chunk, state=state)
        features.append(given)
    read = torch.cat(features, 1)
    torch.testing.assert_close(read, whole.features, rtol=0, atol=1e-12)
    map_tensors(lambda a, b: torch.testing.assert_close(a, b, rtol=0, atol=1e-12) or a, state, whole.state)
    read.square().sum().backward()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-10)


def test_own_words_are_read_on_from_a_state_too() -> None:
    model, text = make_model(), make_text()
    gold = torch.ones_like(text, dtype=torch.bool)
    whole = model.unroll(model.encode(text), text, gold)
    first = model.unroll(model.encode(text), text[:, :4], gold[:, :4])
    second = model.unroll(model.encode(text), text[:, 4:], gold[:, 4:], state=first.state)
    torch.testing.assert_close(second.features, whole.features[:, 4:], rtol=0, atol=1e-12)


def test_no_gradient_goes_back_before_a_batch() -> None:
    model, text = make_model(), make_text(length=10)
    lengths = torch.full((3,), 4)
    one, other = (
        Batch(torch.full((3, 1), EOS), lengths, tgt, lengths, lengths, is_continued=True)
        for tgt in (text[:, :5], text[:, 4:9])
    )
    first = Likelihood()(model, one, None, None)
    assert first.carried is not None
    second = Likelihood()(model, other, None, first.carried)
    anew = Likelihood()(model, other, None, None)
    assert not any(layer.h.requires_grad for layer in first.carried.layers)
    assert second.loss.nll != anew.loss.nll
    assert Likelihood()(model, one._replace(is_continued=False), None, None).carried is None


def test_the_end_of_a_line_is_read_as_the_beginning_of_the_next() -> None:
    model = make_model().eval()
    ends, begins = torch.tensor([[EOS, 5, EOS]]), torch.tensor([[BOS, 5, BOS]])
    one, other = (model.unroll(model.encode(text), text).features for text in (ends, begins))
    assert torch.equal(one, other)


def test_the_source_says_nothing() -> None:
    model, text = make_model().eval(), make_text()
    one, other = (
        model.unroll(model.encode(src), text).features
        for src in (torch.full((3, 1), EOS), torch.randint(4, PIECES, (3, 5)))
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize("tie", ["target", "none"])
def test_what_a_search_sees_is_what_training_saw(tie: str) -> None:
    model, text = make_model("gru", tie=tie).float().eval(), make_text(2, 6)
    text[:, 0] = BOS
    logits = model.output(model.unroll(model.encode(text), text).features).log_softmax(-1)
    prepared = InferenceModel(model, eos=EOS)
    memories, state, parents = prepared.encode([[], []]), None, torch.full((2,), -1).numpy()
    for position in range(text.shape[1]):
        step = prepared.step(text[:, position].numpy(), state, parents, memories)
        state, parents = step.state, torch.arange(2).numpy()
        found = torch.from_numpy(step.scores.all())
        torch.testing.assert_close(found, logits[:, position], rtol=0, atol=1e-5)
        assert step.weights is None


def test_padding_is_a_zero_vector_here_too() -> None:
    assert not make_model().decoder.embedding(torch.tensor([PAD])).any()
