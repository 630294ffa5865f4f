"""Kernels by torch.compile equal the reference, and are compiled once."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.recurrence import inductor
from nmt.recurrence.engine import Backend, select_backend
from nmt.recurrence.fused import bind_cell
from nmt.recurrence.trace.kernel import Kernel, TensorKey, TensorKind, Tensors, trace_kernel
from tests.grid import STRUCTURES

T, B, E, H = 4, 3, 4, 5
A_SLOT, B_SLOT, C_SLOT = (TensorKey(TensorKind.STATE, name) for name in "abc")
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated"
)  # inductor's own imports


@pytest.fixture
def _compiles() -> None:
    if obstacle := inductor.find_obstacle("cpu"):
        pytest.skip(obstacle)


@pytest.fixture
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions that inductor would compile are called as they are: a compilation takes seconds."""

    def keep(function: Callable[..., Any], **_: bool) -> Callable[..., Any]:
        return function

    caches = (inductor.find_obstacle, inductor._compile_kernel)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(torch, "compile", keep)
    yield
    for cache in caches:
        cache.cache_clear()


def outcome(cell: Cell, engine: str, x: Tensor, real: Tensor | None) -> list[Tensor]:
    """Every value of a layer, and every gradient of a sum that weighs them all differently."""
    x = x.clone().requires_grad_()
    torch.manual_seed(5)
    bound = bind_cell(cell, x.shape[1], engine=engine, state_dropout=0.25)
    start = cell.State(*[torch.randn_like(part).requires_grad_() for part in cell.initial_state(x.shape[1])])
    hs, final = bound.scan(bound.project(x), start, real)
    values = [hs, *final]
    loss = torch.stack([(value * torch.randn_like(value)).sum() for value in values]).sum()
    inputs = [x, *start, *cell.parameters()]
    return [*values, *torch.autograd.grad(loss, inputs, materialize_grads=True)]


@pytest.mark.usefixtures("_uncompiled")
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("name", STRUCTURES)
def test_what_inductor_is_given_equals_the_reference(name: str, layer_norm: bool) -> None:
    check(name, layer_norm)


@pytest.mark.slow
@pytest.mark.usefixtures("_compiles")
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_what_inductor_compiles_equals_the_reference(name: str, layer_norm: bool) -> None:
    check(name, layer_norm)


def check(name: str, layer_norm: bool) -> None:
    """Compare every value and every gradient of a padded layer with dropout."""
    cell, x = CELLS[name](E, H, layer_norm=layer_norm).double(), torch.randn(T, B, E, dtype=torch.float64)
    real = torch.arange(T).unsqueeze(1) < torch.tensor([4, 2, 3])
    results = (outcome(cell, engine, x, real) for engine in ("inductor", "reference"))
    for derived, reference in zip(*results, strict=True):
        torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


def run_swap(kernel: Kernel, backend: Backend, start: Tensor) -> Tensor:
    a, c = start.chunk(2, -1)
    step = backend.kernel(kernel, {A_SLOT: a, B_SLOT: a, C_SLOT: c}, frozenset({B_SLOT}))
    for t in range(3):
        step(t)
    return torch.stack([a, c])


@pytest.mark.slow
@pytest.mark.usefixtures("_compiles")
def test_one_kernel_serves_every_batch_and_a_batch_of_one_has_its_own() -> None:
    from torch._dynamo.utils import counters  # takes two seconds

    def swap(values: Tensors) -> dict[TensorKey, Tensor | None]:
        return {B_SLOT: values[C_SLOT].sigmoid() * 2, C_SLOT: values[A_SLOT]}

    kernel = trace_kernel(swap, {A_SLOT: torch.zeros(2, 3), C_SLOT: torch.zeros(2, 3)})
    before = counters["stats"]["unique_graphs"]
    for batch in (3, 5, 7, 1):
        start = torch.randn(3, batch, 12)
        ours, theirs = (
            run_swap(kernel, backend, start.clone()) for backend in (inductor.InductorBackend(), Backend())
        )
        torch.testing.assert_close(ours, theirs)
    assert counters["stats"]["unique_graphs"] - before == 2


def test_without_a_compiler_the_engine_quotes_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(function: object) -> object:
        raise RuntimeError("no C++ compiler\nand a long trace")

    monkeypatch.setattr(torch, "compile", fail)
    inductor.find_obstacle.cache_clear()
    try:
        with pytest.raises(UsageError, match="inductor: no C\\+\\+ compiler; `auto` uses what is available"):
            select_backend("inductor", torch.ones(1))
    finally:
        inductor.find_obstacle.cache_clear()
