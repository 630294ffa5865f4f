"""A cell split into products and kernels: the values and gradients of `BoundCell`, faster."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nmt.cells.cell import Cell
from nmt.recurrence.c.native import CBackend
from nmt.recurrence.deferred import GradientBuffer, reject_second_derivatives
from nmt.recurrence.engine import Backend, Engine, PositionStep, runs_in_c, select_backend
from nmt.recurrence.fused_scan import FusedScan, SingleScan, bind_step
from nmt.recurrence.parallel import ParallelScan, find_stages
from nmt.recurrence.reference import (
    BoundCell,
    BoundProduct,
    bind_product,
    concat_recurrent_biases,
    select_gate_rows,
)
from nmt.recurrence.state import NO_ZONEOUT, Zoneout
from nmt.recurrence.trace.kernel import KEEP, Kernel, TensorKey, TensorKind, make_keys, split_columns
from nmt.recurrence.trace.program import Program, find_program, find_vectors


def bind_cell(
    cell: Cell,
    batch: int,
    *,
    engine: Engine = "auto",
    input_dropout: float = 0.0,
    state_dropout: float = 0.0,
    zoneout: Zoneout = NO_ZONEOUT,
) -> BoundCell:
    """Prepare a cell for one sequence of one batch.

    Without gradients torch runs the step itself, which is faster than its kernels one by one.
    """
    no_kernels = not torch.is_grad_enabled() and not runs_in_c(engine, cell.b)
    kind = BoundCell if engine == "reference" or no_kernels else FusedCell
    return kind(
        cell, batch, engine=engine, input_dropout=input_dropout, state_dropout=state_dropout, zoneout=zoneout
    )


Block = tuple[TensorKey, ...]  # keys whose values are the column blocks of one tensor [B, n*H]


class FusedCell(BoundCell):
    """A bound cell that runs kernels instead of the step itself."""

    def bind_products(self) -> None:
        cell = self.cell
        self.backend = select_backend(self.engine, cell.b)
        self.program = self.find_program(padded=False)
        products = self.program.products
        self.weights = [select_gate_rows(cell, cell.U, product.gates) for product in products]
        plain = cell.gain_U is None  # with layer norm the kernels add the recurrent biases
        self.biases = [concat_recurrent_biases(cell, p.gates) if plain else None for p in products]
        self.products: list[BoundProduct] = []
        self.vectors = find_vectors(cell)  # once: with layer norm they are slices, each a node of the graph
        fused = {product.gates[0]: product.gates for product in products if product.fused}
        inner = {gate for gates in fused.values() for gate in gates[1:]}
        blocks = [fused.get(gate, (gate,)) for gate in cell.gates if gate not in inner]
        self.input_blocks = [make_keys(TensorKind.INPUT, block) for block in blocks]  # one for each product
        self.input_sizes = [len(block) * cell.hidden_size for block in blocks]
        self.product_blocks = [
            make_keys(TensorKind.INPUT, p.gates) if p.fused else make_keys(TensorKind.PRODUCT, p.gates, index)
            for index, p in enumerate(products)
        ]
        fields = cell.State._fields
        self.state_blocks = _single_blocks(make_keys(TensorKind.STATE, fields))
        self.zone_blocks = _single_blocks(make_keys(TensorKind.ZONE, fields))
        self.vector_blocks = _single_blocks(make_keys(TensorKind.VECTOR, tuple(self.vectors)))
        self.kernels: dict[Kernel, _BoundKernel] = {}
        self.single_scans: dict[tuple[bool, bool], SingleScan] = {}  # by direction and by having a mask

    @cached_property
    def matrices(self) -> list[Any]:
        """U of each product, prepared for a sequence."""
        return [self.backend.matrix(U.detach()) for U in self.weights]

    def find_program(self, *, padded: bool) -> Program:
        """Return the program of the cell with the masks that this sequence has."""
        dropped, zoned = self.state_mask is not None, self.zoneout.probability > 0
        return find_program(self.cell, padded=padded, dropped=dropped, zoned=zoned)

    def advance(self, x: Tensor, s: Any, zone: Tensor | None) -> Any:
        if not self.products:
            pairs = zip(self.weights, self.biases, strict=True)
            self.products = [bind_product(U, self.engine, bias) for U, bias in pairs]
        values: dict[Block, Tensor] = dict(zip(self.state_blocks, s, strict=True))
        values |= zip(self.vector_blocks, (v.expand_as(s.h) for v in self.vectors.values()), strict=True)
        if self.state_mask is not None:
            values[KEEP,] = self.state_mask
        if zone is not None:
            values |= zip(self.zone_blocks, zone.chunk(len(s), -1), strict=True)
        columns = x.split(self.input_sizes, -1) if len(self.input_sizes) > 1 else (x,)  # type: ignore[no-untyped-call]
        values |= zip(self.input_blocks, columns, strict=True)
        products = zip(self.program.products, self.products, self.product_blocks, strict=True)
        for product, multiply, block in products:
            if product.kernel is not None:
                (values[product.operand,],) = self.run(product.kernel, values)
            v = values[product.operand,]
            values[block] = multiply(v, values[block]) if product.fused else multiply(v)
        return self.cell.State(*self.run(self.program.final, values))

    def bind_position(self, x: Tensor, s: Sequence[Tensor]) -> list[PositionStep]:
        """Bind one position without gradients: x [1, B, G*H] is overwritten, s [1, B, H] becomes the next."""
        fields, batch = self.cell.State._fields, x.shape[1]
        buffers = split_columns(make_keys(TensorKind.INPUT, self.cell.gates), x)
        for kind in (TensorKind.STATE, TensorKind.NEXT):
            buffers |= zip(make_keys(kind, fields), s, strict=True)
        vectors = (v.detach().expand_as(s[0]) for v in self.vectors.values())
        buffers |= zip(make_keys(TensorKind.VECTOR, tuple(self.vectors)), vectors, strict=True)
        if (zones := self.zoneout.zones(self.cell, 1, batch)) is not None:
            buffers |= split_columns(make_keys(TensorKind.ZONE, fields), zones)
        return bind_step(self.cell, self.program, self.backend, x, buffers, self.matrices, self.biases)

    def run(self, kernel: Kernel, values: dict[Block, Tensor]) -> tuple[Tensor, ...]:
        bound = self.kernels.get(kernel)
        if bound is None:
            blocks = [block for block in values if not set(block).isdisjoint(kernel.inputs)]
            bound = self.kernels[kernel] = _BoundKernel(self.backend, kernel, blocks, self.input_blocks)
        return bound(values)

    def scan(
        self, x: Tensor, s: Any, mask: Tensor | None = None, *, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        if mask is not None and bool(mask.all()):
            mask = None
        zones = self.zoneout.zones(self.cell, len(x), x.shape[1])
        program = self.find_program(padded=mask is not None)
        kind = self.choose_scan(program, x)
        arguments = self.cell, program, self.backend, self.matrices, self.state_mask, zones, mask, reverse
        is_bound_once = self.is_reused and x.shape[1] == 1 and isinstance(self.backend, CBackend)
        if is_bound_once and kind is FusedScan and zones is None:
            key = reverse, mask is not None
            if key not in self.single_scans:
                self.single_scans[key] = SingleScan(FusedScan(*arguments), self.biases)
            return self.single_scans[key](x, s, mask)
        scan = kind(*arguments)
        return scan.run(x, s, self.weights, self.biases)

    def choose_scan(self, program: Program, x: Tensor) -> type[FusedScan]:
        """Choose the parallel scan if the step is linear in the state and it is faster."""
        parallel = self.prefers_parallel_scan(x) and find_stages(program)
        return ParallelScan if parallel else FusedScan

    def prefers_parallel_scan(self, x: Tensor) -> bool:
        """Return True if a parallel scan is faster than the loop, as measured in docs/decisions/0011.

        On a GPU the cost of a position is launching kernels; on a CPU too if the state is small, unless the
        loop runs in C, which has no such overhead.
        """
        if x.device.type != "cpu":
            return True
        return not isinstance(self.backend, CBackend) and x.shape[1] * self.cell.hidden_size <= 2048


class _BoundKernel:
    """A kernel, its derivative and the blocks that it reads in one sequence."""

    def __init__(
        self, backend: Backend, kernel: Kernel, blocks: Sequence[Block], input_blocks: Sequence[Block]
    ) -> None:
        self.backend, self.kernel, self.blocks = backend, kernel, blocks
        self.outputs = _single_blocks(kernel.outputs)
        self.output_gradients = _single_blocks(key.gradient for key in kernel.outputs)
        # Gradients of the inputs are kept next to each other, those of other blocks separately.
        self.buffers = [GradientBuffer() if block in input_blocks else None for block in blocks]

    @cached_property
    def gradients(self) -> list[tuple[Block, int]]:
        """The gradient keys of each block, and how many of them the backward kernel writes."""
        gradients = [tuple(key.gradient for key in block) for block in self.blocks]
        written = self.kernel.derivative.outputs
        return [(block, len(set(block).intersection(written))) for block in gradients]

    def __call__(self, values: dict[Block, Tensor]) -> tuple[Tensor, ...]:
        allocate = [torch.empty_like if buffer is None else buffer.reserve() for buffer in self.buffers]
        return _KernelFunction.apply(self, allocate, *(values[block] for block in self.blocks))  # type: ignore[no-any-return, no-untyped-call]


class _KernelFunction(torch.autograd.Function):
    """A kernel at one position; `allocate` makes the gradients of the blocks."""

    @staticmethod
    def forward(ctx: Any, kernel: _BoundKernel, allocate: list[Any], *values: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*values)
        ctx.kernel, ctx.allocate = kernel, allocate
        buffers = _split_blocks(kernel.blocks, values)
        like = next(iter(buffers.values()))[0]
        outputs = [torch.empty_like(like, memory_format=torch.contiguous_format) for _ in kernel.outputs]
        buffers |= _split_blocks(kernel.outputs, outputs)
        kernel.backend.kernel(kernel.kernel, buffers)(0)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Any, ...]:
        reject_second_derivatives()
        kernel: _BoundKernel = ctx.kernel
        values = ctx.saved_tensors  # a recomputed chunk returns them only once
        buffers = _split_blocks(kernel.blocks, values)
        buffers |= _split_blocks(kernel.output_gradients, [d.contiguous() for d in output_gradients])
        result: list[Tensor | None] = []
        for (block, written), value, allocate in zip(kernel.gradients, values, ctx.allocate, strict=True):
            d = allocate(value) if written else None
            result.append(d)
            if d is not None:
                buffers |= _split_blocks([block], [d if written == len(block) else d.zero_()])
        kernel.backend.kernel(kernel.kernel.derivative, buffers)(0)
        return None, None, *result


def _single_blocks(keys: Iterable[TensorKey]) -> list[Block]:
    return [(key,) for key in keys]


def _split_blocks(blocks: Iterable[Block], tensors: Iterable[Tensor]) -> dict[TensorKey, Tensor]:
    return {
        key: piece
        for block, tensor in zip(blocks, tensors, strict=True)
        for key, piece in zip(block, tensor.unsqueeze(0).chunk(len(block), -1), strict=True)
    }
