"""A cell taken apart into products and kernels, for training: `BoundCell`'s values and gradients, sooner."""

from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nmt.cells.cell import Cell
from nmt.recurrence.c.native import CBackend
from nmt.recurrence.deferred import GradientBuffer, refuse_second_derivatives
from nmt.recurrence.engine import Backend, Engine, TorchBackend, select_backend
from nmt.recurrence.fused_scan import FusedScan, names
from nmt.recurrence.parallel import ParallelScan, find_stages
from nmt.recurrence.reference import (
    BoundCell,
    BoundProduct,
    bind_product,
    concat_recurrent_biases,
    select_gate_rows,
)
from nmt.recurrence.state import NO_ZONEOUT, Zoneout
from nmt.recurrence.trace.kernel import KernelPair
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
    """A cell made ready for one sequence of one batch, by the engine asked for.

    Where no gradient is wanted, torch runs the step as it stands sooner than its kernels.
    """
    as_it_stands = engine == "reference" or (
        not torch.is_grad_enabled() and isinstance(select_backend(engine, cell.b), TorchBackend)
    )
    kind = BoundCell if as_it_stands else FusedCell
    return kind(
        cell,
        batch,
        engine=engine,
        input_dropout=input_dropout,
        state_dropout=state_dropout,
        zoneout=zoneout,
    )


Block = tuple[str, ...]  # names whose values lie side by side in one tensor


class FusedCell(BoundCell):
    """A bound cell that runs kernels instead of the step itself."""

    def bind_products(self) -> None:
        cell = self.cell
        self.backend = select_backend(self.engine, cell.b)
        self.program = self.program_of(padded=False)
        parts = self.program.parts
        self.weights = [select_gate_rows(cell, cell.U, part.gates) for part in parts]
        plain = cell.gain_U is None  # with layer norm the kernels add the inner biases
        self.biases = [concat_recurrent_biases(cell, part.gates) if plain else None for part in parts]
        self.products: list[BoundProduct] = []
        self.vectors = find_vectors(cell)  # once: with layer norm they are slices, each a node of the graph
        fused = {part.gates[0]: part.gates for part in parts if part.fused}
        inside = {gate for gates in fused.values() for gate in gates[1:]}
        blocks = [fused.get(gate, (gate,)) for gate in cell.gates if gate not in inside]
        self.blocks = [tuple(names("x", block)) for block in blocks]  # x in pieces, one for each product
        self.strips = defaultdict[tuple[KernelPair, Block], GradientBuffer](GradientBuffer)

    @cached_property
    def matrices(self) -> list[Any]:
        """U of each product, ready for a sequence."""
        return [self.backend.matrix(U.detach()) for U in self.weights]

    def program_of(self, *, padded: bool) -> Program:
        """The program of the cell with the masks that this sequence has."""
        dropped, zoned = self.state_mask is not None, self.zoneout.probability > 0
        return find_program(self.cell, padded=padded, dropped=dropped, zoned=zoned)

    def advance(self, x: Tensor, s: Any, zone: Tensor | None) -> Any:
        cell, parts = self.cell, self.program.parts
        if not self.products:
            pairs = zip(self.weights, self.biases, strict=True)
            self.products = [bind_product(U, self.engine, bias) for U, bias in pairs]
        values: dict[Block, Tensor] = {
            (name,): part for name, part in zip(names("s", cell.State._fields), s, strict=True)
        }
        values |= {(f"p.{name}",): vector.expand_as(s.h) for name, vector in self.vectors.items()}
        if self.state_mask is not None:
            values["keep",] = self.state_mask
        if zone is not None:
            values |= {
                (f"zone.{name}",): z for name, z in zip(s._fields, zone.chunk(len(s), -1), strict=True)
            }
        values |= zip(self.blocks, self.split(x), strict=True)
        for index, (part, product) in enumerate(zip(parts, self.products, strict=True)):
            if part.segment is not None:
                (values[part.operand,],) = self.run(part.segment, values)
            v = values[part.operand,]
            block = tuple(names("x", part.gates))
            if part.fused:
                values[block] = product(v, values[block])
            else:
                values[tuple(names(f"u{index}", part.gates))] = product(v)
        return cell.State(*self.run(self.program.last, values))

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The input's part [B, G*H] in its blocks."""
        if len(self.blocks) == 1:
            return (x,)
        return x.split([len(block) * self.cell.hidden_size for block in self.blocks], -1)  # type: ignore[no-any-return, no-untyped-call]

    def run(self, segment: KernelPair, values: dict[Block, Tensor]) -> tuple[Tensor, ...]:
        read = {block: value for block, value in values.items() if set(block) & set(segment.forward.reads)}
        makers = [
            self.strips[segment, block].reserve() if block in self.blocks else torch.empty_like
            for block in read
        ]
        return _KernelPairFunction.apply(self.backend, segment, tuple(read), makers, *read.values())  # type: ignore[no-any-return, no-untyped-call]

    def scan(
        self, x: Tensor, s: Any, real: Tensor | None = None, *, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        if real is not None and bool(real.all()):
            real = None
        zones = self.zoneout.zones(self.cell, len(x), x.shape[1])
        program = self.program_of(padded=real is not None)
        kind = (
            ParallelScan if self.in_parallel(x) and find_stages(program, self.cell.hidden_size) else FusedScan
        )
        given = self.cell, program, self.backend, self.matrices
        sequence = kind(*given, self.state_mask, zones, real, reverse)
        return sequence.run(x, s, self.weights, self.biases)

    def in_parallel(self, x: Tensor) -> bool:
        """Whether a parallel scan is faster than the loop, as measured in docs/decisions/0011.

        On a GPU a position costs calls and hardly any work; on a CPU that is so where a state is small, and
        never where the loop is in C, which calls nothing.
        """
        if x.device.type != "cpu":
            return True
        return not isinstance(self.backend, CBackend) and x.shape[1] * self.cell.hidden_size <= 2048


class _KernelPairFunction(torch.autograd.Function):
    """A segment at one position; a tensor [B, n*H] holds the values of the n names of its block.

    `makers` give the places for the gradients of what is read.
    """

    @staticmethod
    def forward(
        ctx: Any,
        run: Backend,
        segment: KernelPair,
        blocks: tuple[Block, ...],
        makers: list[Callable[[Tensor], Tensor]],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*values)
        ctx.run, ctx.segment, ctx.blocks, ctx.makers = run, segment, blocks, makers
        places = _places(blocks, values)
        like = next(iter(places.values()))[0]
        given = [torch.empty_like(like, memory_format=torch.contiguous_format) for _ in segment.forward.gives]
        places |= _places([(name,) for name in segment.forward.gives], given)
        run.kernel(segment.forward, places, frozenset())(0)
        return tuple(given)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        refuse_second_derivatives()
        kernel, blocks, values = ctx.segment.backward, ctx.blocks, ctx.saved_tensors
        gradients = tuple(d.contiguous() for d in gradients)
        places = _places(blocks, values)
        places |= _places([(f"d {name}",) for name in ctx.segment.forward.gives], gradients)
        wanted: list[Tensor | None] = []
        for block, value, make in zip(blocks, values, ctx.makers, strict=True):
            marked = tuple(f"d {name}" for name in block)
            given = set(marked).intersection(kernel.gives)
            d = make(value) if given else None
            wanted.append(d)
            if d is not None:
                places |= _places([marked], [d if len(given) == len(block) else d.zero_()])
        ctx.run.kernel(kernel, places, frozenset())(0)
        return None, None, None, None, *wanted


def _places(blocks: Any, tensors: Any) -> dict[str, Tensor]:
    return {
        name: piece
        for block, tensor in zip(blocks, tensors, strict=True)
        for name, piece in zip(block, tensor.unsqueeze(0).chunk(len(block), -1), strict=True)
    }
