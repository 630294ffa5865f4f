"""Gradients through time, compared with autograd and with cells whose gradients are known."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.cells import CELLS
from nmt.cells.cell import Cell, Gates, Products
from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.lab.inspect.gradients import (
    ClippingStatistics,
    GradientProfile,
    measure_clipping,
    measure_gradient_profiles,
)
from nmt.model.attention import Memory
from nmt.model.decoder import DecoderState
from nmt.model.translator import TranslationModel
from nmt.recurrence.recording import CellPath
from nmt.recurrence.state import detach_states
from nmt.training.objectives.likelihood import Likelihood
from tests.model.test_translator import build

PLAIN = {"attention": "none", "bridge": "zero"}


class Keeping(Cell):
    """h' = x + a h: a step multiplies the gradient by a, which is 1 for an identity."""

    gates = ("n",)
    recurrent = ()
    a = 1.0

    class State(NamedTuple):
        h: Tensor

    def step(self, x: Gates, s: State, U: Products) -> State:
        return self.State(h=x.n + self.a * s.h)


class Halving(Keeping):
    """A contraction."""

    gates = ("n",)
    recurrent = ()
    a = 0.5


class TwoWays(Cell):
    """c' = x + 0.9 c + 0.2 h and h' = 2 c': the way through c alone 0.9 a step, through h alone 0.4."""

    gates = ("n",)
    recurrent = ()

    class State(NamedTuple):
        h: Tensor
        c: Tensor

    def step(self, x: Gates, s: State, U: Products) -> State:
        c = x.n + 0.9 * s.c + 0.2 * s.h
        return self.State(h=2 * c, c=c)


def make_batch() -> Batch:
    src = torch.tensor([[5, 6, 8, 9, EOS], [7, EOS, PAD, PAD, PAD]])
    tgt = torch.tensor([[BOS, 4, 5, 6, 9, 7, EOS], [BOS, 9, EOS, PAD, PAD, PAD, PAD]])
    return Batch(src, torch.tensor([5, 2]), tgt, torch.tensor([6, 2]), torch.arange(2))


def with_cells(kind: type[Cell], **sides: Any) -> TranslationModel:
    """A small model whose cells are of some kind."""
    model = build(**sides)
    for stack in (model.encoder.stack, model.decoder.stack):
        for layer in stack.layers:
            layer.directions = torch.nn.ModuleList(  # type: ignore[assignment]
                [kind(cell.input_size, cell.hidden_size).double() for cell in layer.directions]
            )
    return model


def found_in(model: TranslationModel, lags: int = 9) -> dict[tuple[str, str, str], GradientProfile]:
    return {
        (r.cell.side, r.cell.direction, r.path): r
        for r in measure_gradient_profiles(model, [make_batch()], lags=lags)
    }


def powers(a: float, reach: GradientProfile) -> Any:
    return pytest.approx([a**lag for lag in range(len(reach.norms))])


@pytest.mark.parametrize(("kind", "a"), [(Keeping, 1.0), (Halving, 0.5)])
def test_a_cell_that_multiplies_by_a_has_shares_a_to_the_lag(kind: type[Cell], a: float) -> None:
    found = found_in(with_cells(kind, encoder={"cell": "rnn"}, decoder={"cell": "rnn", **PLAIN}))
    reach = found["decoder", "forward", "h"]
    assert len(reach.norms) == 6
    assert reach.shares == powers(a, reach)


@pytest.mark.parametrize(("kind", "a"), [(Keeping, 1.0), (Halving, 0.5)])
def test_an_encoder_sends_back_from_where_each_direction_ends(kind: type[Cell], a: float) -> None:
    last = {"decoder": {"cell": "rnn", "attention": "none", "bridge": "copy"}}
    found = found_in(with_cells(kind, encoder={"cell": "rnn", "embedding": 6, "hidden": 4}, **last))
    for direction in ("forward", "backward"):
        reach = found["encoder", direction, "h"]
        assert len(reach.norms) == 5
        assert reach.shares == powers(a, reach)


def test_the_ways_through_the_parts_of_a_state_are_told_apart() -> None:
    found = found_in(with_cells(TwoWays, decoder=PLAIN))
    c_alone, h_alone, c = (found["decoder", "forward", path] for path in ("c alone", "h alone", "c"))
    assert c_alone.shares == powers(0.9, c_alone)
    assert h_alone.shares == powers(0.4, h_alone)
    assert c.shares == powers(1.3, c)


def test_what_sends_nothing_has_vanished_and_what_is_no_number_has_exploded() -> None:
    for a, lost in ((0.0, True), (math.nan, False)):
        kind = type("Kind", (Keeping,), {"a": a})
        found = found_in(with_cells(kind, encoder={"cell": "rnn"}, decoder={"cell": "rnn", **PLAIN}))
        reach = found["encoder", "forward", "h"]  # nothing of an encoder is read
        assert (reach.norms[0], reach.vanished, reach.exploded) == (0.0, 0, None)
        reach = found["decoder", "forward", "h"]
        assert (reach.vanished, reach.exploded) == ((1, None) if lost else (None, 0))


def test_no_further_is_looked_than_the_longest_sentence() -> None:
    (reach, *_) = measure_gradient_profiles(build(), [make_batch()], lags=10**12)
    assert len(reach.norms) == 5


def test_a_cell_of_one_part_has_one_way() -> None:
    assert {path for *_, path in found_in(build(encoder={"cell": "gru"}, decoder={"cell": "gru"}))} == {"h"}


VARIANTS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "deep and fed": {"decoder": {"layers": 2, "input_feeding": True}, "encoder": {"layers": 2}},
    "no attention": {"decoder": {"attention": "none"}},
    "recomputed": {"decoder": {"input_feeding": True}, "training": {"recompute": 2}},
    "normalised": {"decoder": {"layer_norm": True, "cell": "gru"}},
}


def states_after(
    model: TranslationModel, batch: Batch, row: int, state: DecoderState | None = None
) -> Iterator[tuple[list[Any], Tensor]]:
    """The top state after each word of one sentence, and the loss of each word, by search's steps."""
    length = int(batch.tgt_lengths[row])
    memory = model.encode(batch.src[row : row + 1, : batch.src_lengths[row]])
    states, losses = [], []
    for t in range(length):
        one = model.unroll(memory, batch.tgt[row : row + 1, t : t + 1], state=state)
        state = one.state
        states.append(state.layers[-1])
        logits = model.output(one.features[:, 0])
        losses.append(F.cross_entropy(logits, batch.tgt[row : row + 1, t + 1]))
    for loss in losses:
        yield states, loss


def test_a_text_goes_on_from_the_state_of_the_batch_before() -> None:
    model, batch = build(engine="reference"), make_batch().select_rows(slice(1))
    memory, tgt = model.encode(batch.src), batch.tgt[:, :-1]
    carried = detach_states(model.unroll(memory, tgt).state)
    by_lag: dict[int, list[float]] = {}
    for before in (None, carried):
        for t, (states, loss) in enumerate(states_after(model, batch, 0, before)):
            gradients = torch.autograd.grad(loss, [s.h for s in states[: t + 1]], retain_graph=True)
            for j, gradient in enumerate(gradients):
                by_lag.setdefault(t - j, []).append(gradient.norm().item())
    found = measure_gradient_profiles(model, [batch._replace(is_continued=True), batch], lags=4)
    (reach,) = [r for r in found if r.cell.side == "decoder" and r.path == "h"]
    assert reach.norms == pytest.approx([sum(by_lag[k]) / len(by_lag[k]) for k in range(5)])
    fresh = measure_clipping(model, [batch, batch], 1.0)
    gone_on = measure_clipping(model, [batch._replace(is_continued=True), batch], 1.0)
    assert gone_on.norms[0] == fresh.norms[0] == fresh.norms[1]
    loss = Likelihood()(model, batch, None, carried).loss.smoothed / 6
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    assert gone_on.norms[1] == pytest.approx(torch.stack([g.norm() for g in gradients]).norm().item())


@pytest.mark.parametrize("variant", VARIANTS)
def test_norms_are_those_of_autograd_word_by_word(variant: str) -> None:
    model, batch = build(**VARIANTS[variant], engine="reference"), make_batch()
    by_lag: dict[int, list[float]] = {}
    for row in range(2):
        for t, (states, loss) in enumerate(states_after(model, batch, row)):
            hs = [s.h for s in states[: t + 1]]
            gradients = torch.autograd.grad(loss, hs, retain_graph=True)
            for j, gradient in enumerate(gradients):
                by_lag.setdefault(t - j, []).append(gradient.norm().item())
    depth = len(model.decoder.stack.layers)
    for asked in (model, build(**VARIANTS[variant])):  # whatever the engine that the model trains with
        found = measure_gradient_profiles(asked, [batch], lags=4)
        (reach,) = [r for r in found if r.cell[:2] == ("decoder", depth) and r.path == "h"]
        assert reach.norms == pytest.approx([sum(by_lag[k]) / len(by_lag[k]) for k in range(5)])


def test_the_encoder_s_norms_are_those_of_autograd() -> None:
    model, batch = build(encoder={"cell": "gru", "bidirectional": "none"}, engine="reference"), make_batch()
    by_lag: dict[int, list[float]] = {}
    for row in range(2):
        length = int(batch.src_lengths[row])
        pieces = batch.src[row : row + 1, :length]
        x, states, before = model.encoder.embedding(pieces.t()), [], None
        for j in range(length):
            h, before = model.encoder.stack(x[j : j + 1], None, before)
            states.append(before[0][0].h)
        h = torch.stack(states, 1)
        mask = torch.ones_like(pieces, dtype=torch.bool)
        keys, values = model.decoder.attention.project_memory(h)
        memory = Memory(h, keys, values, mask, before)
        tgt = batch.tgt[row : row + 1, : batch.tgt_lengths[row] + 1]
        logits = model.output(model.unroll(memory, tgt[:, :-1]).features)
        loss = F.cross_entropy(logits[0], tgt[0, 1:], reduction="sum")
        for j, gradient in enumerate(torch.autograd.grad(loss, states)):
            by_lag.setdefault(length - 1 - j, []).append(gradient.norm().item())
    expected = [sum(by_lag[k]) / len(by_lag[k]) for k in range(5)]
    for lags in (9, 1):  # the loss is that of the whole sentence, however far back is looked
        (reach,) = [
            r for r in measure_gradient_profiles(model, [batch], lags=lags) if r.cell.side == "encoder"
        ]
        assert reach.norms == pytest.approx(expected[: lags + 1])


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_measured(cell: str) -> None:
    model = build(encoder={"cell": cell}, decoder={"cell": cell, "bridge": "copy"})
    found = found_in(model)
    assert {reach.cell.cell for reach in found.values()} == {cell}
    assert all(math.isfinite(norm) for reach in found.values() for norm in reach.norms)
    assert all(reach.shares[0] == pytest.approx(1.0) for reach in found.values() if reach.norms[0])


def test_the_two_cells_of_a_conditional_layer_are_told_apart() -> None:
    model = build(decoder={"conditional": True})
    paths = {one.cell: one.path for one in model.recurrent_cells()}
    assert paths[model.decoder.conditional] == CellPath("decoder", 1, "conditional", "lstm")  # type: ignore[index]
    assert ("decoder", "conditional", "c alone") in found_in(model)


def test_a_model_is_left_as_it_was() -> None:
    model, batch = build(decoder={"cell": "gru"}).train(), make_batch()
    measure_gradient_profiles(model, [batch], lags=3)
    measure_clipping(model, [batch], 1.0)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(one.layer.bound_cells == {} for one in model.recurrent_cells())
    assert all(layer.engine == "auto" for layer in model.decoder.stack.layers)


def test_vanishing_and_exploding_are_the_first_lags_beyond_the_limits() -> None:
    place = CellPath("decoder", 1, "forward", "rnn")
    fading = GradientProfile(place, "h", [1, 0.1, 0.009, 0.001], [1, 0.1, 0.009, 0.001])
    growing = GradientProfile(place, "h", [1, 99, 101, math.inf], [1, 99, 101, math.inf])
    lost = GradientProfile(place, "h", [1, math.nan], [1, math.nan])
    assert (fading.vanished, fading.exploded) == (2, None)
    assert (growing.vanished, growing.exploded) == (None, 2)
    assert lost.exploded == 1


def test_clipping_is_that_of_an_update() -> None:
    model, batch = build(), make_batch()
    loss = Likelihood()(model, batch, None, None).loss.smoothed / 8
    gradients = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    found = measure_clipping(model, [batch], norm / 4)
    assert found.norms == pytest.approx([norm])
    assert found.factors == pytest.approx([0.25])
    assert ClippingStatistics([2.0, 0.5], 1.0).factors == [0.5, 1.0]
    assert ClippingStatistics([2.0], None).factors == [1.0]


def test_with_zoneout_the_loss_of_a_token_reaches_the_cell_state_of_its_position() -> None:
    model = build(
        {"cell": "lstm", "dropout": {"zoneout": 0.1}}, {"cell": "lstm", "dropout": {"zoneout": 0.1}}
    )
    profiles = [
        p for p in measure_gradient_profiles(model, [make_batch()], lags=2) if p.cell.side == "decoder"
    ]
    assert {p.path for p in profiles} == {"h", "c", "h alone", "c alone"}
    assert all(p.norms[0] > 0 and p.shares[0] == 1 for p in profiles)
