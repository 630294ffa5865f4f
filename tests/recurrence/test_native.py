"""Kernels in C: exact in single precision, kept between runs, and done without where they cannot be."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS, find_cell, find_named_cell
from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.lab.cell_check import KernelStep, list_backward_steps, list_forward_steps
from nmt.recurrence.c import compiler, native
from nmt.recurrence.c.code_generator import generate_source
from nmt.recurrence.engine import PreparedMatrix, select_backend
from nmt.recurrence.fused import bind_cell
from nmt.recurrence.layer import Layer
from nmt.recurrence.trace import program
from nmt.recurrence.trace.kernel import RESULT, VALUE, Kernel, trace_kernel
from tests.grid import CELL_GRID

needs_compiler = pytest.mark.skipif(
    compiler.find_obstacle() is not None, reason=str(compiler.find_obstacle())
)


def unary(operation: str) -> Kernel:
    return trace_kernel(lambda v: {RESULT: getattr(torch, operation)(v[VALUE])}, {VALUE: torch.zeros(2, 3)})


def applied(kernel: Kernel, x: Tensor) -> Tensor:
    """What a kernel makes of values in single precision, by C."""
    y = torch.empty(1, 1, len(x))
    step = native.CBackend().kernel(kernel, {VALUE: x.expand(1, 1, len(x)), RESULT: y}, frozenset())
    assert isinstance(step, native.CStep)
    step(0)
    return y.flatten()


@needs_compiler
@pytest.mark.parametrize("operation", ["sigmoid", "tanh", "exp"])
def test_functions_in_c_are_exact_to_a_few_units_of_the_last_place(operation: str) -> None:
    x = torch.cat(
        [torch.linspace(-20, 20, 20_001), torch.logspace(-8, 0, 2_000), -torch.logspace(-8, 0, 2_000)]
    )
    exact = getattr(torch, operation)(x.double())
    error = ((applied(unary(operation), x).double() - exact) / exact).abs().max().item()
    assert error < 4 * 2**-23


@needs_compiler
@pytest.mark.parametrize("operation", ["sigmoid", "tanh"])
def test_what_is_too_large_saturates_and_what_is_no_number_stays_none(operation: str) -> None:
    low = {"sigmoid": 0.0, "tanh": -1.0}[operation]
    y = applied(unary(operation), torch.tensor([1e30, torch.inf, -1e30, -torch.inf, torch.nan]))
    assert y[:2].tolist() == [1.0, 1.0]
    assert y[2:4].tolist() == pytest.approx([low, low], abs=1e-30)
    assert y[4].isnan()


@needs_compiler
@pytest.mark.parametrize("name", CELL_GRID)
def test_a_row_does_not_depend_on_the_rows_beside_it(name: str) -> None:
    torch.manual_seed(3)
    cell = CELLS[name](4, 13)
    x = torch.randn(1, 9, len(cell.gates) * 13)
    together = bind_cell(cell, 9, engine="compiled").step(x[0], cell.initial_state(9)).h
    for row in range(9):
        alone = bind_cell(cell, 1, engine="compiled").step(x[0, row : row + 1], cell.initial_state(1)).h
        assert torch.equal(alone[0], together[row])


def test_a_step_first_traced_for_inference_is_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """In inference mode torch hands out `layer_norm` whole, which has no equivalent in C."""
    monkeypatch.setattr(program, "_PROGRAMS", {})
    with torch.inference_mode():
        found = program.find_program(find_cell("lstm")(4, 20, layer_norm=True), padded=True, dropped=False)
    assert generate_source(found.final, frozenset(), torch.float32) is not None


@needs_compiler
def test_what_was_compiled_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = generate_source(unary("sigmoid"), frozenset(), torch.float32)
    assert text is not None
    compiler.build_library(text)
    (library,) = (tmp_path / "nmt" / "kernels").iterdir()
    made = library.stat().st_mtime_ns
    compiler.build_library(text)
    assert library.stat().st_mtime_ns == made


@needs_compiler
def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(compiler.CompilerError, match="kernel.c:1:1: error"):
        compiler.build_library("this is not C")
    assert not list((tmp_path / "nmt" / "kernels").iterdir())


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_torch_runs_the_kernels() -> None:
    cell = CELLS["lstm"](3, 2)
    h, _ = Layer([cell])(torch.randn(4, 2, 3), None)
    h.sum().backward()
    assert cell.U.grad is not None
    with pytest.raises(UsageError, match="engine: compiled: there is no C compiler"):
        select_backend("compiled", cell.b)


@pytest.mark.parametrize("name", CELL_GRID)
def test_every_kernel_of_the_table_is_compiled(name: str) -> None:
    cell = CELLS[name](3, 2)
    steps = [*list_forward_steps(cell), *list_backward_steps(cell)]
    assert all(step.compiled for step in steps if isinstance(step, KernelStep))


def test_an_operation_that_has_no_word_in_c_is_left_to_torch() -> None:
    running = trace_kernel(lambda v: {RESULT: v[VALUE].cumsum(1)}, {VALUE: torch.zeros(2, 3)})
    assert generate_source(running, frozenset(), torch.float32) is None
    assert generate_source(unary("sigmoid"), frozenset(), torch.float16) is None


UNTRACEABLE = """
from typing import NamedTuple
from torch import Tensor, tanh
from nmt.cells.cell import Cell

class Moody(Cell):
    gates = ("n",)
    class State(NamedTuple):
        h: Tensor
    def step(self, x, s, U):
        n = tanh(x.n + U.n(s.h))
        return self.State(h=n if n.sum() > 0 else -n)
"""


def test_a_step_that_looks_at_values_is_refused_by_name_and_line(tmp_path: Path) -> None:
    file = tmp_path / "cells.py"
    file.write_text(UNTRACEABLE, encoding="utf-8")
    cell: Cell = find_named_cell(f"{file}:Moody")(3, 2)
    x = torch.randn(4, 2, 3)
    with pytest.raises(
        UsageError, match=r"the step of Moody .*cells.py, line 12\); `engine: reference` runs it"
    ):
        Layer([cell])(x, None)
    Layer([cell], engine="reference")(x, None)[0].sum().backward()
    assert cell.U.grad is not None


@needs_compiler
def test_rows_that_are_not_dense_are_read_right() -> None:
    cell, x = CELLS["lstm"](3, 4).double(), torch.randn(5, 4 * 4, dtype=torch.float64)
    sparse = torch.empty(5, 4 * 4, 2, dtype=torch.float64)[..., 0].copy_(x)
    states = [bind_cell(cell, 5, engine="compiled").step(v, cell.initial_state(5)) for v in (x, sparse)]
    assert torch.equal(states[0].h, states[1].h)


@needs_compiler
def test_a_kernel_that_cannot_be_built_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/bin/false")
    assert native.compile_kernel.__wrapped__(unary("tanh"), frozenset(), torch.float32) is None


SIZES = [
    (1, 1, 1),
    (1, 33, 7),
    (5, 16, 1),
    (13, 31, 40),
    (12, 64, 17),
    (130, 70, 9),
    (3, 5, 600),
    (125, 40, 530),
]


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("size", SIZES)
def test_a_product_in_c_equals_that_of_torch(
    size: tuple[int, int, int], turned: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(4)
    M, N, K = size
    v = torch.randn(K, M, dtype=dtype).t() if turned else torch.randn(M, K, dtype=dtype)
    for weight in (torch.randn(N, K, dtype=dtype), torch.randn(K, N, dtype=dtype).t()):
        product, exact = native.PackedMatrix(weight), v.double() @ weight.t().double()
        near = {"rtol": 0, "atol": 1e-4 if dtype == torch.float32 else 1e-12}
        for add in (None, torch.randn(N, dtype=dtype), torch.randn(M, N, dtype=dtype)):
            wanted = exact if add is None else exact + add.double()
            torch.testing.assert_close(product(v, add).double(), wanted, **near)
        total = torch.randn(M, N, dtype=dtype)
        wanted = exact + total.double()
        assert product(v, total, out=total) is total  # what it adds to may be where it writes
        torch.testing.assert_close(total.double(), wanted, **near)


def check_rows_are_independent(prepare: Callable[[Tensor], PreparedMatrix]) -> None:
    """A row of a product has the same bits among any others and with any number of threads."""
    torch.manual_seed(5)
    v, product = torch.randn(260, 700), prepare(torch.randn(90, 700))
    together = product(v)
    for rows in (1, 2, 5, 11, 16, 33, 64, 121):
        assert torch.equal(product(v[130 : 130 + rows]), together[130 : 130 + rows])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        assert torch.equal(product(v), together)
    finally:
        torch.set_num_threads(threads)


@needs_compiler
def test_a_row_of_a_product_in_c_is_the_same_to_the_bit_among_any_others() -> None:
    check_rows_are_independent(native.PackedMatrix)


@needs_compiler
def test_what_lies_beyond_a_product_is_left_alone() -> None:
    wide = torch.full((6, 50), 7.0)
    native.PackedMatrix(torch.randn(37, 20))(torch.randn(6, 20), out=wide[:, :37])
    assert (wide[:, 37:] == 7.0).all()


DETACHING = """
from torch import tanh
from nmt.cells.cell import Cell
from nmt.cells.gru import GRU

class Cut(Cell):
    gates = ("n",)
    State = GRU.State
    def step(self, x, s, U):
        return self.State(h=tanh(x.n + U.n(s.h)) + s.h.detach())
"""


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_step_that_cuts_a_gradient_has_it_cut(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "cells.py"
    file.write_text(DETACHING, encoding="utf-8")
    cell: Cell = find_named_cell(f"{file}:Cut")(3, 2).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    given, expected = (
        torch.autograd.grad(Layer([cell], engine=e)(x, None)[0].sum(), [cell.U, cell.W])  # type: ignore[arg-type]
        for e in (engine, "reference")
    )
    for derived, reference in zip(given, expected, strict=True):
        torch.testing.assert_close(derived, reference, rtol=0, atol=1e-12)


@needs_compiler
def test_a_state_of_another_type_than_the_weights_is_refused() -> None:
    cell, x = CELLS["lstm"](3, 4).double(), torch.randn(5, 2, 3, dtype=torch.float64)
    bound = bind_cell(cell, 2, engine="compiled")
    with pytest.raises(TypeError, match=r"torch.float32, torch.float64"):
        bound.step(bound.project(x)[0], cell.State(*torch.zeros(2, 2, 4)))
