"""The model as training and search see it, for every combination that a recipe can name."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.data.vocabulary import EOS
from nmt.decoding.model import StepOutput
from nmt.errors import UsageError
from nmt.model.attention import ATTENTIONS, AttentionSettings
from nmt.model.bridge import BRIDGES
from nmt.model.inference import InferenceModel
from nmt.model.translator import TranslationModel
from nmt.recipe.schema import TranslationRecipe
from nmt.recipe.sections import validate
from nmt.recipe.tasks.translation import build_translator
from tests.grid import STRUCTURES, mark_slow

V = 11
DATA = {"src": "de", "tgt": "en", "train": "train", "valid": "valid"}
SMALL = {"embedding": 6, "hidden": 4}


def build(
    encoder: dict[str, Any] | None = None,
    decoder: dict[str, Any] | None = None,
    vocabulary: int = V,
    **top: Any,
) -> TranslationModel:
    """A small model in float64, evaluation mode."""
    torch.manual_seed(1)
    recipe = validate(
        TranslationRecipe,
        {
            "data": DATA,
            "encoder": {**SMALL, **(encoder or {})},
            "decoder": {**SMALL, "hidden": 8, **(decoder or {})},
            **top,
        },
    )
    model = build_translator(recipe, vocabulary, vocabulary).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.encoder.embedding.weight[0] = 0
    return model


def batch() -> tuple[Tensor, Tensor]:
    """Source rows that end with eos (2) before pad (0), target rows that start with bos (1)."""
    src = torch.tensor([[5, 6, 7, 8, 2], [9, 4, 2, 0, 0], [3, 2, 0, 0, 0]])
    tgt = torch.tensor([[1, 5, 9, 10, 4], [1, 6, 6, 2, 0], [1, 3, 2, 0, 0]])
    return src, tgt


VARIANTS: dict[str, dict[str, Any]] = {
    # A bridge without weights of its own: not every cell reads the h that a linear one would learn to make.
    **{
        f"cell-{name}": {"encoder": {"cell": name}, "decoder": {"cell": name, "bridge": "copy"}}
        for name in CELLS
    },
    **{f"attention-{name}": {"decoder": {"attention": name}} for name in ATTENTIONS},
    **{
        f"feeding-{name}": {"decoder": {"attention": name, "input_feeding": True}}
        for name in ATTENTIONS
        if name != "none"
    },
    **{f"bridge-{name}": {"decoder": {"bridge": name, "layers": 2}} for name in BRIDGES},
    "deep": {
        "encoder": {"layers": 3, "bidirectional": "first", "residual_from": 3},
        "decoder": {"layers": 3, "residual_from": 2},
    },
    "deep-feeding": {
        "encoder": {"layers": 2},
        "decoder": {"layers": 3, "residual_from": 2, "input_feeding": True},
    },
    "one-direction": {"encoder": {"bidirectional": "none", "layers": 2, "residual_from": 2}},
    "conditional-gru": {"encoder": {"cell": "gru"}, "decoder": {"cell": "gru", "conditional": True}},
    "conditional-lstm-deep": {"decoder": {"conditional": True, "layers": 2, "attention": "additive"}},
    "mixed-cells": {
        "encoder": {"cell": ["gru", "lstm"], "layers": 2},
        "decoder": {"cell": ["lstm", "rnn", "gru-reset-after"], "layers": 3},
    },
    "layer-norm": {"encoder": {"layer_norm": True}, "decoder": {"layer_norm": True, "input_feeding": True}},
    "zoneout": {"encoder": {"dropout": {"zoneout": 0.3}}, "decoder": {"dropout": {"zoneout": 0.4}}},
    "zoneout-feeding": {
        "encoder": {"layers": 2, "dropout": {"zoneout": 0.3}},
        "decoder": {"conditional": True, "input_feeding": True, "dropout": {"zoneout": 0.4}},
    },
    "tied-all": {"decoder": {"tie": "all"}},
    "untied": {"decoder": {"tie": "none", "features": 5}},
}
VARIANT_GRID = mark_slow(
    VARIANTS, default={*VARIANTS} - {f"cell-{name}" for name in {*CELLS} - {*STRUCTURES}}
)


def sentences(src: Tensor) -> list[list[int]]:
    """The pieces of each row, without eos and padding."""
    return [row[row != 0][:-1].tolist() for row in src]


def log_softmax(logits: Tensor) -> Any:
    return logits.log_softmax(-1).numpy(force=True)


def steps(model: TranslationModel, src: Tensor, words: Tensor) -> Iterator[StepOutput]:
    """What a prepared model says at each position where the words [B, T] are read."""
    prepared, parents, state = InferenceModel(model, eos=EOS), np.full(len(src), -1), None
    memories = prepared.encode(sentences(src))
    for y in words.unbind(1):
        step = prepared.step(y.numpy(), state, parents, memories)
        yield step
        state, parents = step.state, np.arange(len(src))


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_steps_one_by_one_equal_the_unrolled_decoder(variant: str) -> None:
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    memory = model.encode(src)
    logits = model.output(model.unroll(memory, tgt).features)
    for t, step in enumerate(steps(model, src, tgt)):
        np.testing.assert_allclose(step.scores.all(), log_softmax(logits[:, t]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_the_unrolled_decoder_gives_what_each_step_looked_at(variant: str) -> None:
    """As a whole, and position by position, as with words of its own."""
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    every = torch.ones_like(tgt, dtype=torch.bool)
    ways = [
        model.unroll(model.encode(src), tgt, teacher_forced, return_weights=True)
        for teacher_forced in (None, every)
    ]
    for t, step in enumerate(steps(model, src, tgt)):
        for unrolled in ways:
            if step.weights is None:
                assert unrolled.weights is None
                continue
            assert unrolled.weights is not None
            for row, weights in enumerate(step.weights):
                given = unrolled.weights[row, t, : len(weights)].numpy(force=True)
                np.testing.assert_allclose(given, weights, rtol=0, atol=1e-12)


def test_weights_are_given_only_where_they_are_asked_for() -> None:
    for decoder in ({}, {"input_feeding": True}):
        model, (src, tgt) = build(decoder=decoder), batch()
        assert model.unroll(model.encode(src), tgt).weights is None


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_a_sentence_alone_equals_the_sentence_in_a_padded_batch(variant: str) -> None:
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    together = model.unroll(model.encode(src), tgt).features
    for row, length in enumerate((src != 0).sum(1).tolist()):
        alone = model.unroll(model.encode(src[row : row + 1, :length]), tgt[row : row + 1]).features
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_every_engine_equals_the_reference_in_every_gradient(variant: str) -> None:
    src, tgt = batch()
    gradients = []
    for engine in ("compiled", "torch", "reference"):
        model = build(**VARIANTS[variant], engine=engine)
        logits = model.output(model.unroll(model.encode(src), tgt).features)
        torch.manual_seed(2)
        (logits * torch.randn_like(logits)).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    *derived, reference = gradients
    for given in derived:
        assert given.keys() == reference.keys()
        for name, gradient in given.items():
            torch.testing.assert_close(
                gradient, reference[name], rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_every_parameter_takes_part_in_the_result(variant: str) -> None:
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    model.output(model.unroll(model.encode(src), tgt).features).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_forcing_every_word_equals_plain_teacher_forcing(variant: str) -> None:
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    memory = model.encode(src)
    forced = model.unroll(memory, tgt, torch.ones_like(tgt, dtype=torch.bool)).features
    torch.testing.assert_close(forced, model.unroll(memory, tgt).features, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_running_freely_feeds_the_best_word_of_each_position(variant: str) -> None:
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    memory = model.encode(src)
    free = model.output(model.unroll(memory, tgt, torch.zeros_like(tgt, dtype=torch.bool)).features)
    words = torch.cat([tgt[:, :1], free.argmax(-1)[:, :-1]], dim=1)
    for t, step in enumerate(steps(model, src, words)):
        np.testing.assert_allclose(step.scores.all(), log_softmax(free[:, t]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANT_GRID)
def test_scheduled_words_train_every_parameter(variant: str) -> None:
    model, (src, tgt) = build(**VARIANTS[variant]), batch()
    teacher_forced = torch.tensor([[True, False, True, False, False]]).expand_as(tgt)
    model.output(
        model.unroll(model.encode(src), tgt, teacher_forced, sample=True).features
    ).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_rows_of_any_sentences_go_on_from_any_rows_before_them() -> None:
    model, (src, tgt) = build(**VARIANTS["deep-feeding"]), batch()
    prepared, rows = InferenceModel(model, eos=EOS), np.array([2, 0, 0, 1])
    memories = prepared.encode(sentences(src))
    first, second = (tgt[:, t].numpy() for t in (0, 1))
    step = prepared.step(first, None, np.full(3, -1), memories)
    expected = prepared.step(second, step.state, np.arange(3), memories).scores.all()[rows]
    chosen = [memories[row] for row in rows]
    given = prepared.step(second[rows], step.state, rows, chosen).scores.all()
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-12)
    late = prepared.step(
        np.array([*second, first[1]]), step.state, np.array([0, 1, 2, -1]), [*memories, memories[1]]
    )
    np.testing.assert_allclose(late.scores.all()[3], step.scores.all()[1], rtol=0, atol=1e-12)


def test_attention_never_looks_at_padding_and_its_weights_sum_to_one() -> None:
    for name in ATTENTIONS:
        if name == "none":
            continue
        model, src = build(decoder={"attention": name}), batch()[0]
        memory = model.encode(src)
        look = model.decoder.attention.bind(memory, "auto")
        _, weights = look(torch.randn(3, 1, 8, dtype=torch.float64))
        assert (weights.squeeze(1)[src == 0] == 0).all(), name
        torch.testing.assert_close(weights.sum(2), torch.ones(3, 1, dtype=torch.float64))


def test_dot_product_attention_by_hand() -> None:
    from nmt.model.attention import DotAttention, Memory

    states = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    memory = Memory(states, states, states, torch.ones(1, 2, dtype=torch.bool), ())
    look = DotAttention(AttentionSettings(), 2, 2).bind(memory, "torch")
    context, weights = look(torch.tensor([[[0.0, 0.5]]]))  # scores 0 and 1
    share = 1 / (1 + torch.e)
    torch.testing.assert_close(weights, torch.tensor([[[share, 1 - share]]]))
    torch.testing.assert_close(context, torch.tensor([[[share, 2 * (1 - share)]]]))


def test_sizes_that_a_dot_product_cannot_join_are_refused() -> None:
    with pytest.raises(UsageError, match="equal size, not 8 and 5"):
        ATTENTIONS["dot"](AttentionSettings(), 8, 5)


def test_tied_embeddings_are_one_tensor() -> None:
    model = build(decoder={"tie": "all"})
    assert model.decoder.output.weight is model.encoder.embedding.weight
    assert model.decoder.output.weight is model.decoder.embedding.weight


def test_word_dropout_forgets_whole_words() -> None:
    from nmt.model.encoder import Embedding
    from nmt.recurrence.layer import DropoutSettings

    embedding = Embedding(V, 6, DropoutSettings(word=0.5), pad=0)
    vectors = embedding(torch.randint(3, V, (40, 50)))
    gone = (vectors == 0).all(-1)
    assert gone.any() and not gone.all()
    assert ((vectors == 0).any(-1) == gone).all()


def test_parameters_are_registered_in_the_order_of_version_0_1() -> None:
    """The order decides on the draws of weight noise and on the last bit of the gradient's norm."""
    model = build(decoder={"conditional": True, "cell": "gru"})
    parents = dict.fromkeys(name.rsplit(".", 1)[0] for name, _ in model.decoder.named_parameters())
    assert list(parents) == [
        "embedding",
        "stack.layers.0.directions.0",
        "attention.key",
        "bridge.linear.0_h",
        "conditional",
        "combine",
        "output",
    ]
