"""All positions of one layer and direction as one operation, with a derived backward pass.

At every position the forward pass takes each recurrent product and runs each kernel; the backward pass runs
the kernels' derivatives, and products with U, from the last position to the first. The gradient of U is one
product over all positions after that. Kept for the backward pass: pre-activations, operands that are not
states, and states.
"""

from typing import Any

import torch
from torch import Tensor

from nmt.cells.cell import Cell
from nmt.recurrence.deferred import refuse_second_derivatives
from nmt.recurrence.engine import Backend, PositionStep
from nmt.recurrence.reference import position_order
from nmt.recurrence.trace.kernel import COPY_KERNEL, ZERO_KERNEL, Kernel
from nmt.recurrence.trace.program import ProductStep, Program, find_vectors


class FusedScan:
    """The loop over one sequence, forward and back, and the places where its numbers stand.

    A place is what a name of the program means at every position: [T, B, H].
    """

    def __init__(
        self,
        cell: Cell,
        program: Program,
        backend: Backend,
        matrices: list[Any],
        keep: Tensor | None,
        zones: Tensor | None,
        real: Tensor | None,
        reverse: bool,
    ) -> None:
        self.cell, self.program, self.backend, self.matrices = cell, program, backend, matrices
        self.keep, self.zones, self.real, self.reverse = keep, zones, real, reverse

    def run(
        self, x: Tensor, state: Any, weights: list[Tensor], biases: list[Tensor | None]
    ) -> tuple[Tensor, Any]:
        """Projected input [T, B, G*H], overwritten, and a state to (every h [T, B, H], the last state)."""
        learnt = (*weights, *biases, *find_vectors(self.cell).values())
        values = _ScanFunction.apply(self, x, *state, *learnt)  # type: ignore[no-untyped-call]
        return values[0], self.cell.State(*values[1:])

    def forward(self, x: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        T, B, H = len(x), x.shape[1], self.cell.hidden_size
        parts, parted = self.program.parts, self.cell.State._fields
        start, learnt = given[: len(parted)], given[len(parted) :]
        self.weights, self.biases = learnt[: len(parts)], learnt[len(parts) : 2 * len(parts)]
        self.order = position_order(T, self.reverse)
        before, after = (slice(1, None), slice(0, T)) if self.reverse else (slice(0, T), slice(1, None))
        states = [x.new_empty(T + 1, B, H) for _ in start]
        for buffer, first in zip(states, start, strict=True):
            buffer[-1 if self.reverse else 0] = first
        self.places = dict(zip(names("x", self.cell.gates), x.chunk(len(self.cell.gates), -1), strict=True))
        self.places |= {name: buffer[before] for name, buffer in zip(names("s", parted), states, strict=True)}
        self.places |= {name: buffer[after] for name, buffer in zip(names("n", parted), states, strict=True)}
        vectors = zip(names("p", find_vectors(self.cell)), learnt[2 * len(parts) :], strict=True)
        self.places |= {name: vector.expand(T, B, H) for name, vector in vectors}
        if self.real is not None:
            self.places["real"] = self.real.unsqueeze(-1).expand(T, B, H)
        if self.keep is not None:
            self.places["keep"] = self.keep.expand(T, B, H)
        if self.zones is not None:
            self.places |= zip(names("zone", parted), self.zones.chunk(len(parted), -1), strict=True)
        self.products = [self.product(index, part, x, self.places) for index, part in enumerate(parts)]
        for part in parts:
            if part.segment is not None:
                self.places[part.operand] = x.new_empty(T, B, H)
        self.forward_loop()
        last = 0 if self.reverse else -1
        hs = self.places["n.h"][:]  # not the tensor that is kept: it would keep the graph, which keeps it
        return hs, *(buffer[last].clone() for buffer in states)

    def forward_loop(self) -> None:
        steps = []
        parts = zip(self.program.parts, self.matrices, self.products, self.biases, strict=True)
        for part, matrix, u, bias in parts:
            if part.segment is not None:
                steps.append(self.backend.kernel(part.segment.forward, self.places, frozenset()))
            v = self.places[part.operand]
            steps.append(self.backend.product(v, matrix, u, u if part.fused else bias))
        steps.append(self.backend.kernel(self.program.last.forward, self.places, frozenset()))
        self.backend.loop(steps, self.order)

    def product(
        self, index: int, part: ProductStep, x: Tensor, places: dict[str, Tensor], mark: str = ""
    ) -> Tensor:
        """Where a product of all positions stands: in the input's own columns, or by itself."""
        if part.fused:
            return x[..., self.cell.rows(part.gates[0], part.gates[-1])]
        u = x.new_empty(*x.shape[:2], len(part.gates) * self.cell.hidden_size)
        places |= dict(zip(names(f"{mark}u{index}", part.gates), u.chunk(len(part.gates), -1), strict=True))
        return u

    def backward(self, dhs: Tensor, dfinal: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        T, B, H = dhs.shape
        parts, parted = self.program.parts, self.cell.State._fields
        dx = dhs.new_empty(T, B, len(self.cell.gates) * H)
        carried = [d.clone(memory_format=torch.contiguous_format) for d in dfinal]
        summed = [dhs.new_zeros(B, H) for _ in find_vectors(self.cell)]
        places = dict(zip(names("d x", self.cell.gates), dx.chunk(len(self.cell.gates), -1), strict=True))
        for field, d in zip(parted, carried, strict=True):
            places[f"d s.{field}"] = places[f"d n.{field}"] = d.expand(T, B, H)
        sums = zip(names("d p", find_vectors(self.cell)), summed, strict=True)
        places |= {name: d.expand(T, B, H) for name, d in sums}
        products = [self.product(index, part, dx, places, "d ") for index, part in enumerate(parts)]
        for part in parts:
            if part.segment is not None:
                places[f"d {part.operand}"] = dhs.new_empty(B, H).expand(T, B, H)
        self.backward_loop(dhs, places, products)
        dU = [self.gradient(d, self.places[part.operand]) for part, d in zip(parts, products, strict=True)]
        db = [None if b is None else d.sum((0, 1)) for b, d in zip(self.biases, products, strict=True)]
        return dx, *carried, *dU, *db, *(d.sum(0) for d in summed)

    def gradient(self, du: Tensor, v: Tensor) -> Tensor:
        """Σ_t du_tᵀ v_t: [T, B, n*H] and [T, B, H] to [n*H, H]."""
        matrix = self.backend.matrix(v.flatten(0, 1).t())
        return matrix(du.flatten(0, 1).t())  # type: ignore[no-any-return]

    def backward_loop(self, dhs: Tensor, places: dict[str, Tensor], products: list[Tensor]) -> None:
        run, dh = self.backend, places["d n.h"]
        steps = [run.kernel(COPY_KERNEL, {"value": dhs, "place": dh}, frozenset(["place"]))]
        written = {name for name in places if name.startswith("d p.")}  # these only ever grow
        steps.append(self.undo(self.program.last.backward, places, written))
        undone = []
        for part, du, U in reversed(list(zip(self.program.parts, products, self.weights, strict=True))):
            dv = places[f"d {part.operand}"]
            grows = part.segment is None and f"d {part.operand}" in written
            undone.append(run.product(du, run.matrix(U.t()), dv, dv if grows else None))
            written.add(f"d {part.operand}")
            if part.segment is not None:
                undone.append(self.undo(part.segment.backward, places, written))
        unwritten = [place for name, place in places.items() if name[2] in "xus" and name not in written]
        steps += [
            run.kernel(ZERO_KERNEL, {"value": blank, "place": blank}, frozenset()) for blank in unwritten
        ]
        run.loop(steps + undone, self.order[::-1])

    def undo(self, derivative: Kernel, places: dict[str, Tensor], written: set[str]) -> PositionStep:
        """A derivative that adds to what was written before it and replaces the rest."""
        grown = frozenset(written.intersection(derivative.gives))
        bound = self.backend.kernel(derivative, self.places | places, grown)
        written.update(derivative.gives)
        return bound


class _ScanFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sequence: FusedScan, x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        ctx.sequence = sequence
        return sequence.forward(x, given)

    @staticmethod
    def backward(ctx: Any, dhs: Tensor, *dfinal: Tensor) -> tuple[Any, ...]:
        refuse_second_derivatives()
        return None, *ctx.sequence.backward(dhs, dfinal)


def names(letter: str, of: Any) -> list[str]:
    """The program's names: names("x", ["r", "z"]) is ["x.r", "x.z"]."""
    return [f"{letter}.{name}" for name in of]
