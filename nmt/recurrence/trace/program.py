"""A cell's step as a program: products that read one operand merged, elementwise kernels between them."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.recurrence.state import blend_states
from nmt.recurrence.trace.kernel import (
    KEEP,
    MASK,
    Kernel,
    KernelPair,
    Slot,
    SlotKind,
    Tensors,
    fuse_sum,
    make_slots,
    trace_kernel,
)

Gates = tuple[str, ...]


def trace_plan(cell: Cell) -> list[Gates]:
    """Return the gates whose recurrent products can be one matrix product, in the order of the step.

    `step` is run once on a zero state: LSTM gives [(i, f, g, o)], Cho's GRU [(r, z), (n,)] because n reads
    r∘h, which is known only after r.
    """
    operands: list[Tensor] = []
    groups: list[list[str]] = []

    def record(gate: str) -> Any:
        def product(v: Tensor) -> Tensor:
            for operand, group in zip(operands, groups, strict=True):
                if operand is v:
                    group.append(gate)
                    return torch.zeros_like(v)
            operands.append(v)
            groups.append([gate])
            return torch.zeros_like(v)

        return product

    with torch.no_grad():
        x = cell.split_gates(cell.b.new_zeros(1, len(cell.b)))
        _check_state(
            cell, cell.step(x, cell.initial_state(1), cell.product_tuple(*map(record, cell.recurrent)))
        )
    return [tuple(dict.fromkeys(sorted(group, key=cell.recurrent.index))) for group in groups]


_PLANS: dict[type[Cell], tuple[Gates, ...]] = {}


def find_plan(cell: Cell) -> tuple[Gates, ...]:
    """Return the plan of the cell's class, traced once: a search binds its cells anew at every position."""
    if type(cell) not in _PLANS:
        _PLANS[type(cell)] = tuple(trace_plan(cell))
    return _PLANS[type(cell)]


def check_step(cell: Cell) -> None:
    """Run a cell's step once; raise UsageError with the cell, the line and the reason if it fails."""
    with report_step_errors(cell, "fails"):
        trace_plan(cell)


@contextmanager
def report_step_errors(cell: Cell, problem: str, advice: str = "") -> Iterator[None]:
    """Turn an error inside a cell's step into a UsageError that names the cell and the line."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "step"]
        if not frames:
            raise
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the step of {type(cell).__name__} {problem}: {type(error).__name__}: {reason} "
            f"({frames[-1].filename}, line {frames[-1].lineno}){advice}"
        ) from error


def _check_state(cell: Cell, state: Any) -> None:
    """Require the cell's State with every field [B, H]."""
    name = type(cell).__name__
    if not isinstance(state, cell.State):
        raise UsageError(f"the step of {name} returns a {type(state).__name__}, not a {name}.State")
    for field, value in state._asdict().items():
        if value.shape != (1, cell.hidden_size):
            raise UsageError(f"the step of {name} returns {field} of shape {list(value.shape)}, not [B, H]")


class RecurrentProduct(NamedTuple):
    """The recurrent product of some gates, and the kernels that compute its operand.

    `kernels` is None where the operand is a field of the state. A fused product is added to the inputs of its
    gates in place; others have a tensor of their own.
    """

    gates: Gates
    operand: Slot
    kernels: KernelPair | None
    fused: bool


class Program(NamedTuple):
    """The products of a step in order, and the kernels that compute the next state after them."""

    products: tuple[RecurrentProduct, ...]
    final: KernelPair

    @property
    def pairs(self) -> list[KernelPair]:
        """All kernels, in order."""
        return [*(product.kernels for product in self.products if product.kernels is not None), self.final]


class _OperandReached(Exception):
    """Ends a step at the operand that is wanted."""

    def __init__(self, operand: Tensor) -> None:
        self.operand = operand


class _Masks(NamedTuple):
    """The masks of a program: see `find_program`."""

    padded: bool
    dropped: bool
    zoned: bool


_PROGRAMS: dict[tuple[type[Cell], int, _Masks], Program] = {}


def find_program(cell: Cell, *, padded: bool, dropped: bool, zoned: bool = False) -> Program:
    """Return the program of a cell's step, traced once for its class and, with layer norm, its size.

    `padded`: the state is held where the mask is False. `dropped`: operands are multiplied by a dropout mask.
    `zoned`: zoneout keeps a share of the old state.
    """
    masks = _Masks(padded, dropped, zoned)
    key = (type(cell), 0 if cell.gain_U is None else cell.hidden_size, masks)
    with report_step_errors(cell, "cannot be traced", "; `engine: reference` runs it as it is"):
        if key not in _PROGRAMS:
            _PROGRAMS[key] = _trace_program(cell, masks)
        if torch.is_grad_enabled():
            for pair in _PROGRAMS[key].pairs:
                pair.backward  # noqa: B018  (reports here what cannot be differentiated)
    return _PROGRAMS[key]


def _trace_program(cell: Cell, masks: _Masks) -> Program:
    plan, examples = find_plan(cell), _make_examples(cell, masks)
    kernels = [trace_kernel(_run_until(cell, plan, stop), examples) for stop in range(len(plan) + 1)]
    fused = []
    for index, gates in enumerate(plan):
        new = _fuse_product(kernels, index, gates) if _are_adjacent(cell, gates) else None
        kernels = new or kernels
        fused.append(new is not None)
    products = []
    for index, (gates, kernel) in enumerate(zip(plan, kernels[:-1], strict=True)):
        is_field = kernel.output_nodes[0].op == "placeholder"
        operand = kernel.inputs[0] if is_field else Slot(SlotKind.OPERAND, product=index)
        pair = None if is_field else KernelPair(kernel, examples)
        products.append(RecurrentProduct(gates, operand, pair, fused[index]))
    return Program(tuple(products), KernelPair(kernels[-1], examples))


def _make_examples(cell: Cell, masks: _Masks) -> dict[Slot, Tensor]:
    fields = cell.State._fields
    slots = make_slots(SlotKind.INPUT, cell.gates)
    for index, gates in enumerate(find_plan(cell)):
        slots += make_slots(SlotKind.PRODUCT, gates, index)
    slots += make_slots(SlotKind.STATE, fields) + make_slots(SlotKind.VECTOR, tuple(find_vectors(cell)))
    slots += ((KEEP,) if masks.dropped else ()) + (make_slots(SlotKind.ZONE, fields) if masks.zoned else ())
    examples = {slot: torch.zeros(2, cell.hidden_size) for slot in slots}
    return {**examples, MASK: torch.ones(2, cell.hidden_size) > 0} if masks.padded else examples


def find_vectors(cell: Cell) -> dict[str, Tensor]:
    """Return the trained vectors [H] that a step reads: peepholes; with layer norm gains and inner biases."""
    vectors = {name: getattr(cell, name) for name in cell.vectors}
    if cell.gain_U is None:
        return vectors
    for gate in cell.recurrent:
        vectors[f"gain.{gate}"] = cell.gain_U[cell.recurrent_rows(gate)]
        if (bias := cell.find_recurrent_bias(gate)) is not None:
            vectors[f"bias.{gate}"] = bias
    return vectors


def _run_until(
    cell: Cell, plan: tuple[Gates, ...], stop: int
) -> Callable[[Tensors], Mapping[Slot, Tensor | None]]:
    """Make the function of the step up to the operand of product `stop`, or to its end."""

    def run(values: Tensors) -> Mapping[Slot, Tensor | None]:
        def read(kind: SlotKind, names: tuple[str, ...]) -> tuple[Tensor, ...]:
            return tuple(values[Slot(kind, name)] for name in names)

        fields = cell.State._fields
        s = cell.State(*read(SlotKind.STATE, fields))
        parameters = {name: cell._parameters[name] for name in cell.vectors}
        vectors = read(SlotKind.VECTOR, cell.vectors)
        cell._parameters.update(zip(cell.vectors, vectors, strict=True))  # type: ignore[arg-type]
        try:
            x = cell.gate_tuple(*read(SlotKind.INPUT, cell.gates))
            new = cell.step(x, s, _make_products(cell, values, stop))
        except _OperandReached as reached:
            return {Slot(SlotKind.OPERAND, product=stop): reached.operand}
        finally:
            cell._parameters.update(parameters)
        if Slot(SlotKind.ZONE, "h") in values:
            new = blend_states(read(SlotKind.ZONE, fields), new, s)
        if MASK in values:
            new = cell.State(*(n.where(values[MASK], o) for n, o in zip(new, s, strict=True)))
        return {Slot(SlotKind.NEXT, field): value for field, value in new._asdict().items()}

    return run


def _make_products(cell: Cell, values: Tensors, stop: int) -> Any:
    """Make `U` of a step: given products, until the operand of product `stop` is reached."""
    operands: list[Tensor] = []

    def make(gate: str) -> Callable[[Tensor], Tensor]:
        gain, bias = Slot(SlotKind.VECTOR, f"gain.{gate}"), Slot(SlotKind.VECTOR, f"bias.{gate}")

        def product(v: Tensor) -> Tensor:
            index = next((i for i, operand in enumerate(operands) if operand is v), len(operands))
            if index == stop:
                raise _OperandReached(v * values[KEEP] if KEEP in values else v)
            if index == len(operands):
                operands.append(v)
            u = values[Slot(SlotKind.PRODUCT, gate, index)]
            if gain not in values:
                return u
            u = F.layer_norm(u, (cell.hidden_size,)) * values[gain]
            return u + values[bias] if bias in values else u

        return product

    return cell.product_tuple(**{gate: make(gate) for gate in cell.recurrent})


def _are_adjacent(cell: Cell, gates: Gates) -> bool:
    """Return whether the inputs of the gates are one block."""
    if gates[0] not in cell.gates:
        return False
    first = cell.gates.index(gates[0])
    return cell.gates[first : first + len(gates)] == gates


def _fuse_product(kernels: list[Kernel], index: int, gates: Gates) -> list[Kernel] | None:
    """Add a product to the inputs of its gates in every kernel; None where one does not allow it."""
    result = []
    for kernel in kernels:
        for gate in gates:
            fused = fuse_sum(kernel, Slot(SlotKind.INPUT, gate), Slot(SlotKind.PRODUCT, gate, index))
            if fused is None:
                return None
            kernel = fused
        result.append(kernel)
    return result
