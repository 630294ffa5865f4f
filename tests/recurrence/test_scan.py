"""Every engine equals the reference, which is the definition, in all values and all gradients."""

import gc
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.cells.cell import Cell
from nmt.recurrence.fused import bind_cell
from nmt.recurrence.fused_scan import FusedScan
from nmt.recurrence.layer import DropoutSettings, Layer, Stack
from nmt.recurrence.reference import BoundCell
from nmt.recurrence.state import NO_ZONEOUT, Zoneout
from nmt.recurrence.trace.program import trace_plan
from tests.grid import CELL_GRID, mark_slow

T, B, E, H = 6, 3, 4, 5
FEW = 2  # inputs and units of a cell whose every value is changed in turn
DERIVED = ["compiled", "torch"]
ENGINES = [*DERIVED, "reference"]


def make(name: str, *, layer_norm: bool = False, size: int = E, hidden: int = H) -> Cell:
    torch.manual_seed(11)
    cell = CELLS[name](size, hidden, layer_norm=layer_norm).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return cell


def padding() -> Tensor:
    return torch.arange(T).unsqueeze(1) < torch.tensor([6, 2, 4])


def scan(cell: Cell, engine: str, x: Tensor, real: Tensor | None, **how: bool) -> list[Tensor]:
    """Every value of a scan, and every gradient of a sum that weighs them all differently."""
    return outcome(cell, engine, x, lambda bound, x, start: bound.scan(x, start, real, **how))


def outcome(
    cell: Cell,
    engine: str,
    x: Tensor,
    run: Callable[..., Any],
    dropout: float = 0.0,
    zoneout: Zoneout = NO_ZONEOUT,
) -> list[Tensor]:
    x = x.clone().requires_grad_()
    torch.manual_seed(5)
    bound = bind_cell(cell, B, engine=engine, input_dropout=dropout, state_dropout=dropout, zoneout=zoneout)
    start = cell.State(*[torch.randn(B, H, dtype=torch.float64).requires_grad_() for _ in cell.State._fields])
    hs, final = run(bound, bound.project(x), start)
    values = [hs, *final]
    loss = sum((value * torch.randn_like(value)).sum() for value in values)
    inputs = [x, *start, *cell.parameters()]
    return [*values, *torch.autograd.grad(loss, inputs, materialize_grads=True)]  # not every cell reads h


def by_steps(bound: BoundCell, x: Tensor, s: Any) -> tuple[Tensor, Any]:
    hs = []
    for x_t in x.unbind(0):
        s = bound.step(x_t, s)
        hs.append(s.h)
    return torch.stack(hs), s


# Each pair of two settings' values is in the default run.
SETTINGS = mark_slow(
    product((False, True), repeat=3),
    default=[(False, False, False), (False, True, True), (True, False, True), (True, True, False)],
)


@pytest.mark.parametrize(("padded", "layer_norm", "reverse"), SETTINGS)
@pytest.mark.parametrize("engine", DERIVED)
@pytest.mark.parametrize("name", CELL_GRID)
def test_a_scan_equals_the_reference(
    name: str, engine: str, reverse: bool, layer_norm: bool, padded: bool
) -> None:
    cell, x = make(name, layer_norm=layer_norm), torch.randn(T, B, E, dtype=torch.float64)
    real = padding() if padded else None
    results = (scan(cell, e, x, real, reverse=reverse) for e in (engine, "reference"))
    for derived, reference in zip(*results, strict=True):
        torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dropout", [0.0, 0.5], ids=["whole", "dropout"])
@pytest.mark.parametrize("layer_norm", [False, True], ids=["plain", "layer-norm"])
@pytest.mark.parametrize("engine", DERIVED)
@pytest.mark.parametrize("name", CELL_GRID)
def test_single_steps_equal_the_reference(name: str, engine: str, layer_norm: bool, dropout: float) -> None:
    cell, x = make(name, layer_norm=layer_norm), torch.randn(T, B, E, dtype=torch.float64)
    expected = outcome(cell, "reference", x, by_steps, dropout)
    for run in (by_steps, lambda bound, x, s: bound.scan(x, s)):
        for derived, reference in zip(outcome(cell, engine, x, run, dropout), expected, strict=True):
            torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CELL_GRID)
def test_gradients_agree_with_finite_differences(name: str, engine: str) -> None:
    cell = make(name, size=FEW, hidden=FEW)
    names = [f"cell.{name}" for name, _ in cell.named_parameters()]
    real = torch.tensor([[True, True], [True, False], [True, False]])

    def run(x: Tensor, *values: Tensor) -> Tensor:
        class Frozen(torch.nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return Layer([cell], engine=engine)(x, real)[0]

        frozen = Frozen()
        frozen.cell = cell
        return torch.func.functional_call(frozen, dict(zip(names, values, strict=True)), (x,))

    x = torch.randn(3, 2, FEW, dtype=torch.float64, requires_grad=True)
    parameters = [p.detach().clone().requires_grad_() for p in cell.parameters()]
    assert torch.autograd.gradcheck(run, (x, *parameters))


@pytest.mark.parametrize("name", CELL_GRID)
@pytest.mark.parametrize("engine", DERIVED)
def test_gradients_of_gradients_are_refused_but_by_the_reference(name: str, engine: str) -> None:
    cell = make(name)
    h, _ = Layer([cell], engine=engine)(torch.randn(T, B, E, dtype=torch.float64), None)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(h.sum(), cell.W, create_graph=True)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_the_reference_scan_has_gradients_of_gradients(name: str) -> None:
    cell = make(name)
    x = torch.randn(2, 1, E, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: Layer([cell], engine="reference")(x, None)[0], (x,))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CELL_GRID)
def test_padding_changes_nothing(name: str, engine: str) -> None:
    layer = Layer([make(name), make(name)], engine=engine)
    x = torch.randn(T, B, E, dtype=torch.float64)
    h, finals = layer(x, padding())
    for sentence, length in enumerate(padding().sum(0).tolist()):
        alone, alone_finals = layer(x[:length, sentence : sentence + 1], None)
        torch.testing.assert_close(h[:length, sentence], alone[:, 0], rtol=0, atol=1e-12)
        for final, alone_final in zip(finals, alone_finals, strict=True):
            torch.testing.assert_close(final.h[sentence], alone_final.h[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CELL_GRID)
def test_steps_one_by_one_equal_the_scan(name: str, engine: str) -> None:
    cell, x = make(name), torch.randn(T, B, E, dtype=torch.float64)
    hs, final = Layer([cell], engine=engine)(x, None)
    s = cell.initial_state(B)
    for t in range(T):
        bound = bind_cell(cell, B, engine=engine)
        s = bound.step(bound.cell.normalise_input(bound.input_product()(x[t])), s)
        torch.testing.assert_close(s.h, hs[t], rtol=0, atol=1e-12)
    torch.testing.assert_close(s.h, final[0].h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CELL_GRID)
def test_state_dropout_is_one_mask_for_the_whole_sequence(name: str) -> None:
    cell, x = make(name), torch.randn(T, B, E, dtype=torch.float64)
    results = []
    for engine in ENGINES:
        torch.manual_seed(2)
        bound = bind_cell(cell, B, engine=engine, input_dropout=0.4, state_dropout=0.5)
        results.append(bound.scan(bound.project(x), cell.initial_state(B))[0])
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(results[0], results[2], rtol=0, atol=1e-12)
    plain = bind_cell(cell, B)
    assert not torch.allclose(results[0], plain.scan(plain.project(x), cell.initial_state(B))[0])


def test_dropout_is_off_outside_training() -> None:
    cell, x = make("lstm"), torch.randn(T, B, E, dtype=torch.float64)
    layer = Layer([cell], DropoutSettings(input=0.5, state=0.5))
    assert not torch.equal(layer(x, None)[0], layer(x, None)[0])
    layer.eval()
    assert torch.equal(layer(x, None)[0], layer(x, None)[0])


@pytest.mark.parametrize("learnt", [True, False], ids=["backward", "dropped"])
def test_a_scan_leaves_nothing_behind(learnt: bool) -> None:
    gc.freeze()  # only what is made from here on is looked through
    gc.disable()  # a cycle would be freed only when Python looks for cycles, and memory grow till then
    try:
        h = Layer([make("gru")])(torch.randn(T, B, E, dtype=torch.float64), None)[0]
        if learnt:
            h.sum().backward()
        del h
        assert not [thing for thing in gc.get_objects() if type(thing) is FusedScan]
    finally:
        gc.enable()
        gc.unfreeze()


class Delay(Cell):
    """Hands a part of its state on as it is."""

    gates = ("n",)
    recurrent = ()
    vectors = ("u",)

    State = CELLS["lstm"].State

    def step(self, x, s, U):
        return self.State(h=s.c, c=torch.tanh(x.n + self.u * s.h))


@pytest.mark.parametrize("engine", DERIVED)
def test_a_part_that_is_handed_on_unchanged_keeps_its_gradient(engine: str) -> None:
    torch.manual_seed(11)
    cell, x = Delay(E, H).double(), torch.randn(T, B, E, dtype=torch.float64)
    torch.nn.init.normal_(cell.u)
    for derived, reference in zip(*(scan(cell, e, x, None) for e in (engine, "reference")), strict=True):
        torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


def test_the_plan_merges_products_that_read_one_operand() -> None:
    assert trace_plan(make("lstm")) == [("i", "f", "g", "o")]
    assert trace_plan(make("gru")) == [("r", "z"), ("n",)]
    assert trace_plan(make("gru-reset-after")) == [("r", "z", "n")]
    assert trace_plan(make("mlstm")) == [("m",), ("i", "f", "g", "o")]
    assert trace_plan(make("rhn")) == [("h", "t"), ("h2", "t2"), ("h3", "t3")]
    assert trace_plan(make("sru")) == []


def test_a_residual_layer_adds_its_input() -> None:
    lower, upper = Layer([make("gru")]), Layer([make("gru", size=H)])
    x = torch.randn(T, B, E, dtype=torch.float64)
    h, _ = Stack([lower, upper], residual_from=2)(x, None)
    below, _ = lower(x, None)
    torch.testing.assert_close(h, below + upper(below, None)[0])


def test_a_residual_layer_whose_sizes_differ_is_refused() -> None:
    from nmt.errors import UsageError

    with pytest.raises(UsageError, match="layer 1 has 4 inputs and 5 outputs"):
        Stack([Layer([make("gru")])], residual_from=1)
