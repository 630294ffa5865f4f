"""A recording holds what each step computed, by the names of the step's equations."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.model.translator import TranslationModel
from nmt.recurrence.layer import Layer
from nmt.recurrence.recording import CellRecord, record_values
from nmt.training.validation import evaluation_mode
from nmt.trust import trust_file
from tests.grid import CELL_GRID
from tests.model.test_translator import VARIANTS, batch, build


def recorded(model: TranslationModel, src: Tensor | None = None) -> list[CellRecord]:
    own, tgt = batch()
    src = own if src is None else src
    with evaluation_mode(model), record_values(model.recurrent_cells()) as records:
        model.unroll(model.encode(src), tgt)
    return records


@pytest.mark.parametrize("name", VARIANTS)
def test_the_states_seen_are_those_that_the_model_computes(name: str) -> None:
    model = build(**VARIANTS[name])
    src, tgt = batch()
    with torch.no_grad():
        memory = model.encode(src)
        state = model.unroll(memory, tgt).state
    found = recorded(model)
    last: dict[tuple[str, int], CellRecord] = {(w.path.side, w.path.layer): w for w in found}
    for depth, expected in enumerate(state.layers, 1):
        for field, value in expected._asdict().items():
            torch.testing.assert_close(last["decoder", depth].values[field][-1], value)
    lengths = (src != model.pad).sum(1)
    for depth, finals in enumerate(memory.finals, 1):
        directions = [w for w in found if (w.path.side, w.path.layer) == ("encoder", depth)]
        assert [w.path.direction for w in directions] == ["forward", "backward"][: len(finals)]
        for w, final in zip(directions, finals, strict=True):
            ends = lengths - 1 if w.path.direction == "forward" else torch.zeros_like(lengths)
            seen = w.values["h"][ends, torch.arange(len(lengths))]
            torch.testing.assert_close(seen, final.h)


def test_both_cells_of_a_conditional_layer_are_seen() -> None:
    found = recorded(build(decoder={"conditional": True, "layers": 2, "attention": "additive"}))
    places = [(w.path.layer, w.path.direction) for w in found if w.path.side == "decoder"]
    assert places == [(1, "forward"), (1, "conditional"), (2, "forward")]


NAMED = {
    "rnn": ((), ()),
    "gru": (("r", "z", "n"), ()),
    "lstm": (("i", "f", "g", "o"), ()),
    "mlstm": (("i", "f", "g", "o", "m"), ()),
    "atr": (("p", "q", "i", "f"), ()),
    "rhn": (("t", "y"), ()),
    "lrn": (("i", "f"), ("q", "k", "v")),
    "mingru": (("z",), ("n",)),
    "qrnn": (("z", "f", "o"), ()),
}


@pytest.mark.parametrize("name", NAMED)
def test_gates_have_the_names_of_the_step_and_those_without_one_are_told(name: str) -> None:
    first = recorded(build(**VARIANTS[f"cell-{name}"]))[0]
    assert (first.path.cell, (first.gates, first.unnamed)) == (name, NAMED[name])
    for value in first.values.values():
        assert value.shape == (5, 3, 4)


KEPT: dict[str, Callable[[CellRecord], dict[str, Tensor]]] = {
    "rnn": lambda w: {},
    "rnn-relu": lambda w: {},
    "lstm": lambda w: {"c": w.values["f"]},
    "mlstm": lambda w: {"c": w.values["f"]},
    "lstm-coupled": lambda w: {"c": 1 - w.values["i"]},
    "gru": lambda w: {"h": w.values["z"]},
    "gru-reset-after": lambda w: {"h": w.values["z"]},
    "gru-no-reset": lambda w: {"h": w.values["z"]},
    "mgu": lambda w: {"h": 1 - w.values["f"]},
    "atr": lambda w: {"h": w.values["f"]},
    "qrnn": lambda w: {"c": w.values["f"]},
    "ssru": lambda w: {"c": w.values["f"]},
    "mingru": lambda w: {"h": 1 - w.values["z"]},
    "minlstm": lambda w: {"h": w.values["f"] / (w.values["f"] + w.values["i"])},
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_what_is_kept_of_a_state_is_what_the_equations_say(name: str, layer_norm: bool) -> None:
    stack = {"cell": name, "layer_norm": layer_norm}
    for w in recorded(build(stack, {**stack, "bridge": "copy"})):
        expected = KEPT[name](w)
        assert w.kept.keys() == expected.keys()
        for field, value in expected.items():
            torch.testing.assert_close(w.kept[field], value)


def test_zoneout_keeps_its_share_of_every_unit() -> None:
    """In evaluation h' = ζ h + (1 - ζ) step(h), so a unit keeps ζ + (1 - ζ) z."""
    stack = {"cell": "gru", "dropout": {"zoneout": 0.25}}
    for w in recorded(build(stack, stack)):
        torch.testing.assert_close(w.kept["h"], 0.25 + 0.75 * w.values["z"])


@pytest.mark.parametrize("name", CELL_GRID)
def test_every_cell_of_the_table_can_be_watched(name: str) -> None:
    for w in recorded(build(**VARIANTS[f"cell-{name}"])):
        assert {*w.gates, *w.unnamed} >= {*CELLS[name].gates} - {*CELLS[name].State._fields}
        assert all(value.isfinite().all() for value in (*w.values.values(), *w.kept.values()))


OWN = """
from typing import NamedTuple
from torch import Tensor, sigmoid, tanh
from nmt.cells.gru import GRU

class Base(GRU):
    def step(self, x, s, U):
        r = sigmoid(x.r + U.r(s.h))
        z = sigmoid(x.z + U.z(s.h))
        valve = z * r
        share = 0.5
        return self.State(h=valve * s.h + (1 - valve) * tanh(x.n + U.n(s.h)))

class Own(Base):
    def step(self, x, s, U):
        z = 1 - super().step(x, s, U).h
        return self.State(h=z)
"""


def test_a_cell_of_ones_own_shows_its_own_names_and_those_of_a_step_that_it_calls(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    trust_file(tmp_path / "own.py")
    name = f"{tmp_path / 'own.py'}:Own"
    first = recorded(build({"cell": name}, {"cell": name}))[0]
    assert (first.path.cell, first.gates, first.unnamed) == ("Own", ("r", "z", "valve"), ("n",))
    torch.testing.assert_close(first.values["z"], first.values["h"])
    torch.testing.assert_close(first.kept["h"], -first.values["valve"])


def test_the_model_is_afterwards_as_it_was_also_when_the_pass_fails() -> None:
    model = build().train()
    layers = [module for module in model.modules() if isinstance(module, Layer)]
    marks: list[dict[Any, Any]] = [{} for _ in layers]
    for layer, mark in zip(layers, marks, strict=True):
        layer.bound_cells = mark
    tracer = sys.getprofile()
    with pytest.raises(IndexError):
        recorded(model, batch()[0] + 1000)
    assert all(layer.bound_cells is mark for layer, mark in zip(layers, marks, strict=True))
    assert model.training and sys.getprofile() is tracer


def test_a_profiler_that_is_at_work_stays_at_work() -> None:
    def profiler(*_: object) -> None: ...

    sys.setprofile(profiler)
    try:
        recorded(build())
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
