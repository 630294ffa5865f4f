"""A cell's step as a program: products that read one operand merged, elementwise kernels between them."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
    TensorKey,
    TensorKind,
    Tensors,
    fuse_sum,
    make_keys,
    select_outputs,
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

    def record(gate: str, v: Tensor) -> Tensor:
        index = _find_operand(operands, v)
        if index == len(groups):
            groups.append([])
        groups[index].append(gate)
        return torch.zeros_like(v)

    with torch.no_grad():
        x, U = cell.split_gates(cell.b.new_zeros(1, len(cell.b))), _make_products(cell, record)
        state, name = cell.step(x, cell.initial_state(1), U), type(cell).__name__
    if not isinstance(state, cell.State):
        raise UsageError(f"the step of {name} returns a {type(state).__name__}, not a {name}.State")
    for field, value in state._asdict().items():
        if value.shape != (1, cell.hidden_size):
            raise UsageError(f"the step of {name} returns {field} of shape {list(value.shape)}, not [B, H]")
    return [tuple(dict.fromkeys(sorted(group, key=cell.recurrent.index))) for group in groups]


def _make_products(cell: Cell, product: Callable[[str, Tensor], Tensor]) -> Any:
    """Build `U` of a step from a function of gate and operand."""
    return cell.product_tuple(**{gate: partial(product, gate) for gate in cell.recurrent})


def _find_operand(operands: list[Tensor], v: Tensor) -> int:
    """Return the index of an operand, which is added if it is new."""
    for index, operand in enumerate(operands):
        if operand is v:
            return index
    operands.append(v)
    return len(operands) - 1


_PLANS: dict[type[Cell], tuple[Gates, ...]] = {}


def find_plan(cell: Cell) -> tuple[Gates, ...]:
    """Return the plan of the cell's class, traced once: a search binds its cells at every position."""
    if type(cell) not in _PLANS:
        _PLANS[type(cell)] = tuple(trace_plan(cell))
    return _PLANS[type(cell)]


def check_step(cell: Cell) -> None:
    """Run a cell's step once; raise UsageError with the cell, the line and the reason if it fails."""
    with report_step_errors(cell, "fails"):
        trace_plan(cell)


@contextmanager
def report_step_errors(cell: Cell, problem: str, advice: str = "") -> Iterator[None]:
    """Convert an error inside a cell's step into a UsageError that names the cell and the line."""
    try:
        yield
    except (UsageError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit, too
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "step"]
        if not frames:
            raise
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the step of {type(cell).__name__} {problem}: {type(error).__name__}: {reason} "
            f"({frames[-1].filename}, line {frames[-1].lineno}){advice}"
        ) from error


class RecurrentProduct(NamedTuple):
    """The recurrent product of some gates, and the kernel that computes its operand.

    `kernel` is None if the operand is a field of the state. A fused product is added to the inputs of its
    gates in place; others have a separate tensor.
    """

    gates: Gates
    operand: TensorKey
    kernel: Kernel | None
    fused: bool


class Program(NamedTuple):
    """The products of a step in order, and the kernel that computes the next state after them."""

    products: tuple[RecurrentProduct, ...]
    final: Kernel


_PROGRAMS: dict[tuple[type[Cell], int, tuple[TensorKey, ...]], Program] = {}


def find_program(cell: Cell, *, padded: bool, dropped: bool, zoned: bool = False) -> Program:
    """Return the program of a cell's step, traced once for its class and, with layer norm, its size.

    `padded`: the state is kept where the mask is False. `dropped`: operands are multiplied by a dropout mask.
    `zoned`: zoneout keeps a share of the old state.
    """
    masks = (KEEP,) * dropped + make_keys(TensorKind.ZONE, cell.State._fields) * zoned + (MASK,) * padded
    key = (type(cell), 0 if cell.gain_U is None else cell.hidden_size, masks)
    with report_step_errors(cell, "cannot be traced", "; `engine: reference` runs it untraced"):
        if key not in _PROGRAMS:
            _PROGRAMS[key] = _trace_program(cell, masks)
        if torch.is_grad_enabled():  # report errors of differentiation here
            for kernel in (*(product.kernel for product in _PROGRAMS[key].products), _PROGRAMS[key].final):
                _ = kernel and kernel.derivative
    return _PROGRAMS[key]


def _trace_program(cell: Cell, masks: tuple[TensorKey, ...]) -> Program:
    plan, fields = find_plan(cell), cell.State._fields
    products = [key for i, gates in enumerate(plan) for key in make_keys(TensorKind.PRODUCT, gates, i)]
    vectors = make_keys(TensorKind.VECTOR, tuple(find_vectors(cell)))
    keys = *make_keys(TensorKind.INPUT, cell.gates), *products, *make_keys(TensorKind.STATE, fields), *vectors
    examples = {key: torch.zeros(2, cell.hidden_size) for key in (*keys, *masks)}
    if MASK in examples:
        examples[MASK] = examples[MASK] == 0
    step = trace_kernel(partial(_run_step, cell), examples)
    result = []
    for index, gates in enumerate(plan):
        fused = _fuse_product(cell, step, index, gates)
        step = fused or step
        kernel = select_outputs(step, [TensorKey(TensorKind.OPERAND, product=index)])
        is_field = kernel.output_nodes[0].op == "placeholder"
        operand = kernel.inputs[0] if is_field else kernel.outputs[0]
        result.append(RecurrentProduct(gates, operand, None if is_field else kernel, fused is not None))
    return Program(tuple(result), select_outputs(step, make_keys(TensorKind.NEXT, fields)))


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


def _run_step(cell: Cell, values: Tensors) -> dict[TensorKey, Tensor | None]:
    """Run the step on given products; return their operands and the next state."""
    operands: list[Tensor] = []

    def read(kind: TensorKind, names: tuple[str, ...]) -> list[Tensor]:
        return [values[key] for key in make_keys(kind, names)]

    def product(gate: str, v: Tensor) -> Tensor:
        u = values[TensorKey(TensorKind.PRODUCT, gate, _find_operand(operands, v))]
        gain, bias = (TensorKey(TensorKind.VECTOR, f"{name}.{gate}") for name in ("gain", "bias"))
        if gain not in values:
            return u
        u = F.layer_norm(u, (cell.hidden_size,)) * values[gain]
        return u + values[bias] if bias in values else u

    fields, parameters = cell.State._fields, {name: cell._parameters[name] for name in cell.vectors}
    x, s = cell.gate_tuple(*read(TensorKind.INPUT, cell.gates)), cell.State(*read(TensorKind.STATE, fields))
    vectors = read(TensorKind.VECTOR, cell.vectors)
    cell._parameters.update(zip(cell.vectors, vectors, strict=True))  # type: ignore[arg-type]
    try:
        new = cell.step(x, s, _make_products(cell, product))
    finally:
        cell._parameters.update(parameters)
    if TensorKey(TensorKind.ZONE, "h") in values:
        new = blend_states(read(TensorKind.ZONE, fields), new, s)
    if MASK in values:
        new = cell.State(*(n.where(values[MASK], o) for n, o in zip(new, s, strict=True)))
    operands = [v * values[KEEP] if KEEP in values else v for v in operands]
    return {
        **{TensorKey(TensorKind.OPERAND, product=index): v for index, v in enumerate(operands)},
        **dict(zip(make_keys(TensorKind.NEXT, fields), new, strict=True)),
    }


def _fuse_product(cell: Cell, step: Kernel, index: int, gates: Gates) -> Kernel | None:
    """Add a product to the inputs of its gates; None if these are not one block or the step prevents it."""
    if gates[0] not in cell.gates:
        return None
    first = cell.gates.index(gates[0])
    result: Kernel | None = step if cell.gates[first : first + len(gates)] == gates else None
    for gate in gates:
        x, u = TensorKey(TensorKind.INPUT, gate), TensorKey(TensorKind.PRODUCT, gate, index)
        result = result and fuse_sum(result, x, u)
    return result
