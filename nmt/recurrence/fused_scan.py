"""All positions of one layer and direction as one operation, with a derived backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from nmt.cells.cell import Cell
from nmt.recurrence.deferred import reject_second_derivatives
from nmt.recurrence.engine import Backend, Buffers, PositionStep
from nmt.recurrence.reference import position_order
from nmt.recurrence.trace.kernel import (
    COPY_KERNEL,
    KEEP,
    MASK,
    RESULT,
    VALUE,
    ZERO_KERNEL,
    Kernel,
    TensorKey,
    TensorKind,
    make_keys,
    split_columns,
)
from nmt.recurrence.trace.program import Program, RecurrentProduct, find_vectors


@dataclass(eq=False)
class FusedScan:
    """The loop over one sequence, forward and backward, and the buffers of its values.

    At every position products and kernels run in order; the backward pass runs the kernels' derivatives and
    products with U from the last position to the first. The gradient of U is one product over all positions.
    Saved for the backward pass: pre-activations, operands that are not states, and states.
    """

    cell: Cell
    program: Program
    backend: Backend
    matrices: list[Any]
    keep: Tensor | None
    zones: Tensor | None
    mask: Tensor | None
    reverse: bool

    def run(
        self, x: Tensor, state: Any, weights: list[Tensor], biases: list[Tensor | None]
    ) -> tuple[Tensor, Any]:
        """Map projected input [T, B, G*H] (overwritten) and state to (every h [T, B, H], last state)."""
        arguments: tuple[Any, ...] = (*state, *weights, *biases, *find_vectors(self.cell).values())
        if torch.is_grad_enabled():
            values = _ScanFunction.apply(self, x, *arguments)  # type: ignore[no-untyped-call]
        else:
            values = self.forward(x, arguments)
        return values[0], self.cell.State(*values[1:])

    def forward(self, x: Tensor, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        T, B, H = len(x), x.shape[1], self.cell.hidden_size
        products, fields = self.program.products, self.cell.State._fields
        start, parameters = arguments[: len(fields)], arguments[len(fields) :]
        self.weights = parameters[: len(products)]
        self.biases = parameters[len(products) : 2 * len(products)]
        vectors = parameters[2 * len(products) :]
        self.order = position_order(T, self.reverse)
        states = [x.new_empty(T + 1, B, H) for _ in start]
        for buffer, first in zip(states, start, strict=True):
            buffer[-1 if self.reverse else 0] = first
        self.make_buffers(x, states, vectors)
        self.forward_loop(x)
        self.matrices = []  # the graph keeps the scan until the end of the backward pass
        hs = self.buffers[TensorKey(TensorKind.NEXT, "h")][
            :
        ]  # not the saved tensor, which would keep its own graph
        return hs, *(buffer[0 if self.reverse else -1].clone() for buffer in states)

    def make_buffers(self, x: Tensor, states: Sequence[Tensor], vectors: Sequence[Tensor]) -> None:
        """Set the buffers of every key, given states [T + 1, B, H] of all fields."""
        T, B, H = len(x), x.shape[1], self.cell.hidden_size
        fields, (before, after) = self.cell.State._fields, self.state_slices(T)
        self.vector_slots = make_keys(TensorKind.VECTOR, tuple(find_vectors(self.cell)))
        self.buffers: Buffers = split_columns(make_keys(TensorKind.INPUT, self.cell.gates), x)
        self.buffers |= zip(make_keys(TensorKind.STATE, fields), (s[before] for s in states), strict=True)
        self.buffers |= zip(make_keys(TensorKind.NEXT, fields), (s[after] for s in states), strict=True)
        self.buffers |= zip(self.vector_slots, (v.expand(T, B, H) for v in vectors), strict=True)
        if self.mask is not None:
            self.buffers[MASK] = self.mask.unsqueeze(-1).expand(T, B, H)
        if self.keep is not None:
            self.buffers[KEEP] = self.keep.expand(T, B, H)
        if self.zones is not None:
            self.buffers |= split_columns(make_keys(TensorKind.ZONE, fields), self.zones)

    def state_slices(self, positions: int) -> tuple[slice, slice]:
        """Return the states before and after each position, in a buffer of T + 1 states."""
        early, late = slice(0, positions), slice(1, None)
        return (late, early) if self.reverse else (early, late)

    def forward_loop(self, x: Tensor) -> None:
        self.backend.loop(self.forward_steps(x), self.order)

    def forward_steps(self, x: Tensor) -> list[PositionStep]:
        return bind_step(self.cell, self.program, self.backend, x, self.buffers, self.matrices, self.biases)

    def backward(self, dhs: Tensor, dfinal: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        T, B, H = dhs.shape
        products, fields = self.program.products, self.cell.State._fields
        dx = dhs.new_empty(T, B, len(self.cell.gates) * H)
        carried = [d.clone(memory_format=torch.contiguous_format) for d in dfinal]
        dvectors = [dhs.new_zeros(B, H) for _ in self.vector_slots]
        # Buffers by the key whose gradient they hold; those of a state serve before and after a step.
        buffers: Buffers = split_columns(make_keys(TensorKind.INPUT, self.cell.gates), dx)
        for kind in (TensorKind.STATE, TensorKind.NEXT):
            buffers |= zip(make_keys(kind, fields), (d.expand(T, B, H) for d in carried), strict=True)
        buffers |= zip(self.vector_slots, (d.expand(T, B, H) for d in dvectors), strict=True)
        du = [_product_buffer(self.cell, index, p, dx, buffers) for index, p in enumerate(products)]
        for product in products:
            if product.kernel is not None:
                buffers[product.operand] = dhs.new_empty(B, H).expand(T, B, H)
        gradients = {key.gradient: d for key, d in buffers.items()}
        self.backend.loop(self.backward_steps(dhs, dx, gradients, du), self.order[::-1])
        dU = []  # Σ_t du_tᵀ v_t: [T, B, n*H] and [T, B, H] to [n*H, H]
        for product, d in zip(products, du, strict=True):
            v = self.backend.matrix(self.buffers[product.operand].flatten(0, 1).t())
            dU.append(v(d.flatten(0, 1).t()))
        db = [None if b is None else d.sum((0, 1)) for b, d in zip(self.biases, du, strict=True)]
        return dx, *carried, *dU, *db, *(d.sum(0) for d in dvectors)

    def backward_steps(
        self, dhs: Tensor, dx: Tensor, gradients: Buffers, du: list[Tensor]
    ) -> list[PositionStep]:
        backend, dh = self.backend, gradients[TensorKey(TensorKind.NEXT, "h").gradient]
        steps = [backend.kernel(COPY_KERNEL, {VALUE: dhs, RESULT: dh}, frozenset([RESULT]))]
        written = {key for key in gradients if key.kind is TensorKind.VECTOR}  # sums over all positions
        steps.append(self.bind_derivative(self.program.final.derivative, gradients, written))
        later = []
        for product, d, U in reversed(list(zip(self.program.products, du, self.weights, strict=True))):
            operand = product.operand.gradient
            dv = gradients[operand]
            adds = product.kernel is None and operand in written
            later.append(backend.product(d, backend.matrix(U.t()), dv, dv if adds else None))
            written.add(operand)
            if product.kernel is not None:
                later.append(self.bind_derivative(product.kernel.derivative, gradients, written))
        for key, d in gradients.items():
            if key.kind in (TensorKind.INPUT, TensorKind.PRODUCT, TensorKind.STATE) and key not in written:
                steps.append(backend.kernel(ZERO_KERNEL, {VALUE: d, RESULT: d}))
        return steps + later

    def bind_derivative(
        self, derivative: Kernel, gradients: Buffers, written: set[TensorKey]
    ) -> PositionStep:
        """Bind a derivative that adds to the gradients already written and overwrites the others."""
        adds = frozenset(written.intersection(derivative.outputs))
        step = self.backend.kernel(derivative, self.buffers | gradients, adds)
        written.update(derivative.outputs)
        return step


class SingleScan:
    """The loop over one sequence at a time, without gradients: bound once, in C, to buffers that are kept.

    For one sequence of usual length, binding takes longer than the loop.
    """

    def __init__(self, scan: FusedScan, biases: Sequence[Tensor | None]) -> None:
        self.scan, self.biases = scan, [None if b is None else b.detach() for b in biases]
        self.vectors = [v.detach() for v in find_vectors(scan.cell).values()]
        self.capacity, self.lock = 0, Lock()

    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def reserve(self, positions: int) -> None:
        """Make buffers for so many positions, and bind the step to them."""
        scan, cell = self.scan, self.scan.cell
        capacity, self.capacity = max(positions, 2 * self.capacity), 0  # if there is not enough memory
        self.x = cell.b.new_zeros(capacity, 1, len(cell.W))
        self.states = [cell.b.new_zeros(capacity + 1, 1, cell.hidden_size) for _ in cell.State._fields]
        if scan.mask is not None:
            scan.mask = scan.mask.new_zeros(capacity, 1)
        scan.make_buffers(self.x, self.states, self.vectors)
        arguments = scan.backend, self.x, scan.buffers, scan.matrices, self.biases
        self.steps = bind_step(cell, scan.program, *arguments)
        self.capacity = capacity

    def __call__(self, x: Tensor, start: Sequence[Tensor], mask: Tensor | None) -> tuple[Tensor, Any]:
        """Return every h [T, 1, H] and the last state, given projected input [T, 1, G*H]."""
        scan, T = self.scan, len(x)
        with self.lock:  # other threads use the same buffers
            if self.capacity < T:
                self.reserve(T)
            self.x[:T] = x
            if mask is not None and scan.mask is not None:
                scan.mask[:T] = mask
            for buffer, first in zip(self.states, start, strict=True):
                buffer[T if scan.reverse else 0] = first
            scan.backend.loop(self.steps, position_order(T, scan.reverse))
            hs = scan.buffers[TensorKey(TensorKind.NEXT, "h")][:T].clone()
            last = [buffer[0 if scan.reverse else T].clone() for buffer in self.states]
        return hs, scan.cell.State(*last)


def bind_step(
    cell: Cell,
    program: Program,
    backend: Backend,
    x: Tensor,
    buffers: Buffers,
    matrices: Sequence[Any],
    biases: Sequence[Tensor | None],
) -> list[PositionStep]:
    """Bind the products and kernels of a step to x [T, B, G*H] and `buffers`, which get its values."""
    steps = []
    for index, (product, matrix, bias) in enumerate(zip(program.products, matrices, biases, strict=True)):
        u = _product_buffer(cell, index, product, x, buffers)
        if product.kernel is not None:
            buffers[product.operand] = x.new_empty(*x.shape[:2], cell.hidden_size)
            steps.append(backend.kernel(product.kernel, buffers))
        v = buffers[product.operand]
        steps.append(backend.product(v, matrix, u, u if product.fused else bias))
    return [*steps, backend.kernel(program.final, buffers)]


def _product_buffer(cell: Cell, index: int, product: RecurrentProduct, x: Tensor, buffers: Buffers) -> Tensor:
    """Return the tensor of a product: columns of the input, or a new one, added to `buffers`."""
    if product.fused:
        return x[..., cell.rows(product.gates[0], product.gates[-1])]
    u = x.new_empty(*x.shape[:2], len(product.gates) * cell.hidden_size)
    buffers |= split_columns(make_keys(TensorKind.PRODUCT, product.gates, index), u)
    return u


class _ScanFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scan: FusedScan, x: Tensor, *arguments: Tensor) -> tuple[Tensor, ...]:
        ctx.scan = scan
        return scan.forward(x, arguments)

    @staticmethod
    def backward(ctx: Any, dhs: Tensor, *dfinal: Tensor) -> tuple[Any, ...]:
        reject_second_derivatives()
        return None, *ctx.scan.backward(dhs, dfinal)
