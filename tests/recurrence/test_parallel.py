"""The parallel scan: found by derivation, equal to the loop, and sound where gates close."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.cells.cell import Cell
from nmt.recurrence.c.native import CBackend
from nmt.recurrence.engine import Backend
from nmt.recurrence.fused import FusedCell, bind_cell
from nmt.recurrence.fused_scan import FusedScan
from nmt.recurrence.inductor import InductorBackend
from nmt.recurrence.parallel import ParallelScan, find_stages, solve_linear_recurrence
from nmt.recurrence.trace.program import find_program

B, E, H = 3, 4, 5
LINEAR = ["mingru", "minlstm", "qrnn", "ssru"]


class State(NamedTuple):
    h: Tensor
    c: Tensor


class Simple(Cell):
    """A cell without products and with two states; what it computes is its `step`'s matter."""

    gates = ("f", "n")
    recurrent = ()
    State = State


class Follows(Simple):
    """Linear one after the other: c's gate reads h, h does not read c."""

    def step(self, x: Any, s: State, U: Any) -> State:
        f = torch.sigmoid(x.f)
        return State(h=x.n - f * s.h, c=torch.tanh(s.h) * s.c / (1 + f) + s.h)


class Flat(Simple):
    """Reads a part only where no gradient can follow."""

    def step(self, x: Any, s: State, U: Any) -> State:
        return State(h=torch.sign(s.c) * x.f, c=x.n)


class Circle(Simple):
    """Each part reads the other."""

    def step(self, x: Any, s: State, U: Any) -> State:
        return State(h=x.f * s.c, c=x.n * s.h)


class Signs(Simple):
    """Where a derivative would say nothing of s.c."""

    def step(self, x: Any, s: State, U: Any) -> State:
        return State(h=x.n, c=torch.sign(s.c) + x.f * s.c)


class Chooses(Simple):
    """A choice that the state makes."""

    def step(self, x: Any, s: State, U: Any) -> State:
        c = torch.where(s.c > 0, x.f, x.n)
        return State(h=c, c=c + s.c)


class Mixes(Simple):
    """Linear, but not unit by unit."""

    def step(self, x: Any, s: State, U: Any) -> State:
        return State(h=x.f, c=x.n + s.c - s.c.mean(-1, keepdim=True))


class Multiplies(Simple):
    """The coefficient reads the state."""

    def step(self, x: Any, s: State, U: Any) -> State:
        return State(h=x.f, c=s.c * (x.n + s.c))


def is_linear(cell: Cell, padded: bool = False) -> bool:
    return find_stages(find_program(cell, padded=padded, dropped=False)) is not None


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
def test_linear_cells_are_found_by_derivation(padded: bool) -> None:
    assert sorted(name for name, kind in CELLS.items() if is_linear(kind(E, H), padded)) == LINEAR
    assert is_linear(Follows(E, H), padded)
    for kind in (Circle, Signs, Chooses, Mixes, Multiplies):
        assert not is_linear(kind(E, H), padded), kind.__name__


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("positions", range(0, 18))
def test_a_recurrence_is_solved_in_place(positions: int, reverse: bool) -> None:
    s, a = torch.randn(positions + 1, 2, 3, dtype=torch.float64), torch.randn(positions, 2, 3).double()
    expected = s.clone()
    for t in reversed(range(positions)) if reverse else range(positions):
        if reverse:
            expected[t] += a[t] * expected[t + 1]
        else:
            expected[t + 1] += a[t] * expected[t]
    solve_linear_recurrence(s, a, reverse=reverse)
    torch.testing.assert_close(s, expected, rtol=0, atol=1e-12)


def outcome(cell: Cell, x: Tensor, real: Tensor | None, reverse: bool, run: Backend | None) -> list[Tensor]:
    """Values and gradients: by a parallel scan with a back end, or (None) by the reference."""
    x = x.clone().requires_grad_()
    torch.manual_seed(5)
    bound = bind_cell(cell, B, engine="reference" if run is None else "torch", state_dropout=0.5)
    start = cell.State(*[torch.randn(B, H, dtype=torch.float64).requires_grad_() for _ in cell.State._fields])
    if run is None:
        hs, final = bound.scan(bound.project(x), start, real, reverse=reverse)
    else:
        assert isinstance(bound, FusedCell)
        program = find_program(cell, padded=real is not None, dropped=True)
        matrices = [run.matrix(U.detach()) for U in bound.weights]
        scan = ParallelScan(cell, program, run, matrices, bound.state_mask, None, real, reverse)
        hs, final = scan.run(bound.project(x), start, bound.weights, bound.biases)
    values = [hs, *final]
    loss = torch.stack([(value * torch.randn_like(value)).sum() for value in values]).sum()
    inputs = [x, *start, *cell.parameters()]
    return [*values, *torch.autograd.grad(loss, inputs, materialize_grads=True)]


@pytest.mark.parametrize("run", [Backend(), CBackend()], ids=["torch", "compiled"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("positions", [1, 2, 5, 8])
@pytest.mark.parametrize(
    "kind", [*(CELLS[name] for name in LINEAR), Follows, Flat], ids=lambda kind: kind.__name__
)
def test_a_parallel_scan_equals_the_reference(
    kind: type[Cell], positions: int, reverse: bool, run: Backend
) -> None:
    cell, x = kind(E, H).double(), torch.randn(positions, B, E, dtype=torch.float64)
    padding = torch.arange(positions).unsqueeze(1) < torch.tensor([positions, 1, (positions + 1) // 2])
    for real in (None, padding):
        results = (outcome(cell, x, real, reverse, by) for by in (run, None))
        for derived, reference in zip(*results, strict=True):
            torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


@pytest.mark.parametrize("gate", [-1e4, -60.0, 60.0, 1e4])
def test_gates_that_are_quite_shut_or_open_do_no_harm(gate: float) -> None:
    cell = CELLS["mingru"](E, H, gate_bias={"z": gate}).double()
    x = torch.randn(70, B, E, dtype=torch.float64)
    for derived, reference in zip(
        *(outcome(cell, x, None, False, r) for r in (Backend(), None)), strict=True
    ):
        assert derived.isfinite().all()
        torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("run", "batch", "parallel"),
    [
        (CBackend(), 1, False),
        (Backend(), 8, True),
        (Backend(), 9, False),
        (InductorBackend(), 8, True),
    ],
)
def test_the_scan_is_chosen_where_a_state_is_small(run: Backend, batch: int, parallel: bool) -> None:
    bound = bind_cell(CELLS["mingru"](1, 256), batch, engine="torch")
    assert isinstance(bound, FusedCell)
    bound.backend = run
    assert bound.prefers_parallel_scan(torch.empty(20, batch, 512)) is parallel


@pytest.mark.parametrize(
    ("name", "kind"), [("mingru", ParallelScan), ("sru", FusedScan), ("lstm", FusedScan)]
)
def test_a_linear_cell_with_a_small_state_is_scanned_in_parallel(name: str, kind: type[FusedScan]) -> None:
    bound = bind_cell(CELLS[name](E, H), B, engine="torch")
    assert isinstance(bound, FusedCell)
    assert bound.choose_scan(bound.program, bound.project(torch.randn(4, B, E))) is kind
