"""The engines where the model is not on the CPU: on a GPU if there is one, and on a device without values."""

from itertools import product

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.cells.cell import Cell
from nmt.recurrence.engine import Backend
from nmt.recurrence.fused import FusedCell, bind_cell
from nmt.recurrence.fused_scan import FusedScan
from nmt.recurrence.layer import Layer
from nmt.recurrence.parallel import ParallelScan, find_stages
from nmt.recurrence.trace.program import find_program
from tests.grid import CELL_GRID, mark_slow

T, B, E, H = 4, 3, 4, 5


@pytest.mark.parametrize(
    ("layer_norm", "padded"),
    mark_slow(product((False, True), repeat=2), default=[(False, True), (True, False)]),
)
@pytest.mark.parametrize("name", CELL_GRID)
def test_nothing_that_is_made_on_the_way_is_left_on_the_cpu(
    name: str, layer_norm: bool, padded: bool
) -> None:
    cell = CELLS[name](E, H, layer_norm=layer_norm).to("meta")  # torch refuses to mix it with the CPU
    real = torch.ones(T, B, dtype=torch.bool, device="meta") if padded else None
    program = find_program(cell, padded=padded, dropped=True)
    for kind in (FusedScan, ParallelScan) if find_stages(program) else (FusedScan,):
        x = torch.ones(T, B, E, device="meta", requires_grad=True)
        bound = bind_cell(cell, B, engine="torch", input_dropout=0.5, state_dropout=0.5)
        assert isinstance(bound, FusedCell)
        sequence = kind(cell, program, Backend(), bound.matrices, bound.state_mask, None, real, False)
        hs, final = sequence.run(bound.project(x), cell.initial_state(B), bound.weights, bound.biases)
        s = bound.step(bound.project(x)[0], final)
        (hs.sum() + s.h.sum()).backward()
        assert x.grad is not None
        assert x.grad.device.type == "meta"


def outcome(cell: Cell, engine: str, x: Tensor, real: Tensor | None) -> list[Tensor]:
    x = x.clone().requires_grad_()
    h, finals = Layer([cell, cell], engine=engine)(x, real)
    return [h, *finals[0], *torch.autograd.grad(h.square().sum(), [x, *cell.parameters()])]


if torch.cuda.is_available():

    @pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
    @pytest.mark.parametrize("engine", ["auto", "torch", "inductor"])
    @pytest.mark.parametrize("layer_norm", [False, True], ids=["plain", "layer-norm"])
    @pytest.mark.parametrize("name", CELLS)
    def test_a_layer_on_a_gpu_equals_the_reference_on_the_cpu(
        name: str, layer_norm: bool, engine: str, padded: bool
    ) -> None:
        cell, x = CELLS[name](E, H, layer_norm=layer_norm), torch.randn(T, B, E)
        real = torch.arange(T).unsqueeze(1) < torch.tensor([4, 2, 3]) if padded else None
        expected = outcome(cell, "reference", x, real)
        there = None if real is None else real.cuda()
        for derived, reference in zip(outcome(cell.cuda(), engine, x.cuda(), there), expected, strict=True):
            torch.testing.assert_close(derived.cpu(), reference, rtol=1e-4, atol=1e-4)
