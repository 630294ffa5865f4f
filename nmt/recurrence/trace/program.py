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
from nmt.recurrence.trace.kernel import Kernel, KernelPair, fuse_sum, trace_kernel


def trace_plan(cell: Cell) -> list[tuple[str, ...]]:
    """Gates whose recurrent products can be one matrix product, in the order of the step.

    `step` is run once on a zero state and watched: LSTM gives [(i, f, g, o)], Cho's GRU
    [(r, z), (n,)] because n reads r∘h, which is known only after r.
    """
    operands: list[Tensor] = []
    groups: list[list[str]] = []

    def watch(gate: str) -> Any:
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
            cell, cell.step(x, cell.initial_state(1), cell.product_tuple(*map(watch, cell.recurrent)))
        )
    return [tuple(dict.fromkeys(sorted(group, key=cell.recurrent.index))) for group in groups]


_KNOWN: dict[type[Cell], tuple[tuple[str, ...], ...]] = {}


def find_plan(cell: Cell) -> tuple[tuple[str, ...], ...]:
    """The plan of the cell's class, watched once: a search binds its cells anew at every position."""
    if type(cell) not in _KNOWN:
        _KNOWN[type(cell)] = tuple(trace_plan(cell))
    return _KNOWN[type(cell)]


def check_step(cell: Cell) -> None:
    """Run a cell's step once; UsageError names the cell, the line and the reason if it cannot be run."""
    with report_step_errors(cell, "fails"):
        trace_plan(cell)


@contextmanager
def report_step_errors(cell: Cell, what: str, advice: str = "") -> Iterator[None]:
    """What goes wrong inside a cell's step becomes a UsageError that names the cell and the line."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "step"]
        if not where:
            raise
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the step of {type(cell).__name__} {what}: {type(error).__name__}: {reason} "
            f"({where[-1].filename}, line {where[-1].lineno}){advice}"
        ) from error


def _check_state(cell: Cell, state: Any) -> None:
    """A step gives the cell's State, every part [B, H]."""
    name = type(cell).__name__
    if not isinstance(state, cell.State):
        raise UsageError(f"the step of {name} gives a {type(state).__name__}, not a {name}.State")
    for part, value in state._asdict().items():
        if value.shape != (1, cell.hidden_size):
            raise UsageError(f"the step of {name} gives {part} of shape {list(value.shape)}, not [B, H]")


FIXED = ("real", "keep", "zone")  # masks: read, never differentiated


class ProductStep(NamedTuple):
    """A segment that makes an operand, and the product that reads it.

    `segment` is None where the operand is a part of the state as it stands. A fused product is added to the
    input's part of its gates where that lies; others have a place of their own.
    """

    gates: tuple[str, ...]
    operand: str  # a part of the state, "s.h", or "v0", "v1", ... which `segment` gives
    segment: KernelPair | None
    fused: bool


class Program(NamedTuple):
    """Names: x.g input, u0.g product, s.h state, n.h next state, v0 operand, p.a vector [H] of the cell.

    Masks: real [B, 1], keep [B, H], zone.h.
    """

    parts: tuple[ProductStep, ...]
    last: KernelPair

    @property
    def segments(self) -> list[KernelPair]:
        """All of them, in order."""
        return [*(part.segment for part in self.parts if part.segment is not None), self.last]


class _OperandReached(Exception):
    """The operand that a segment was asked for."""

    def __init__(self, operand: Tensor) -> None:
        self.operand = operand


_KNOWN_PROGRAM: dict[tuple[type[Cell], int, bool, bool, bool], Program] = {}


def find_program(cell: Cell, *, padded: bool, dropped: bool, zoned: bool = False) -> Program:
    """The program of a cell's step, traced once for its class and, with layer norm, its size.

    `padded`: where `real` is false the state holds still. `dropped`: operands are multiplied by `keep`.
    `zoned`: the old state has the share `zone` in the next.
    """
    key = (type(cell), 0 if cell.gain_U is None else cell.hidden_size, padded, dropped, zoned)
    with report_step_errors(cell, "cannot be taken apart", "; `engine: reference` runs it as it stands"):
        if key not in _KNOWN_PROGRAM:
            _KNOWN_PROGRAM[key] = _trace_program(cell, padded, dropped, zoned)
        if torch.is_grad_enabled():
            for segment in _KNOWN_PROGRAM[key].segments:
                segment.backward  # noqa: B018  (what has no derivative is blamed here)
    return _KNOWN_PROGRAM[key]


def _trace_program(cell: Cell, padded: bool, dropped: bool, zoned: bool) -> Program:
    groups = list(find_plan(cell))
    inputs = _make_inputs(cell, groups, padded, dropped, zoned)
    made = [trace_kernel(_run_until(cell, groups, stop), inputs) for stop in range(len(groups) + 1)]
    fused = []
    for index, gates in enumerate(groups):
        together = _fuse_products(made, index, gates) if _are_adjacent(cell, gates) else None
        made = together or made
        fused.append(together is not None)
    parts = []
    for index, (gates, kernel) in enumerate(zip(groups, made[:-1], strict=True)):
        plain = kernel.results[0].op == "placeholder"
        operand = kernel.reads[0] if plain else f"v{index}"
        parts.append(
            ProductStep(gates, operand, None if plain else _make_kernel_pair(kernel, inputs), fused[index])
        )
    return Program(tuple(parts), _make_kernel_pair(made[-1], inputs))


def _make_inputs(
    cell: Cell, groups: list[tuple[str, ...]], padded: bool, dropped: bool, zoned: bool
) -> dict[str, Tensor]:
    names = [f"x.{gate}" for gate in cell.gates]
    names += [f"u{index}.{gate}" for index, gates in enumerate(groups) for gate in gates]
    names += [f"s.{part}" for part in cell.State._fields]
    names += [f"p.{vector}" for vector in find_vectors(cell)]
    names += ["keep"] if dropped else []
    names += [f"zone.{part}" for part in cell.State._fields] if zoned else []
    inputs = {name: torch.zeros(2, cell.hidden_size) for name in names}
    return {**inputs, "real": inputs["s.h"] > 0} if padded else inputs


def find_vectors(cell: Cell) -> dict[str, Tensor]:
    """What a step reads that is [H] and learnt: peepholes, and with layer norm gains and inner biases."""
    vectors = {name: getattr(cell, name) for name in cell.vectors}
    if cell.gain_U is None:
        return vectors
    for gate in cell.recurrent:
        vectors[f"gain.{gate}"] = cell.gain_U[cell.recurrent_rows(gate)]
        if (bias := cell.find_recurrent_bias(gate)) is not None:
            vectors[f"bias.{gate}"] = bias
    return vectors


def _run_until(
    cell: Cell, groups: list[tuple[str, ...]], stop: int
) -> Callable[[Mapping[str, Tensor]], Mapping[str, Tensor | None]]:
    """The step up to the operand of group `stop`, or to its end, given the products before that."""

    def run(values: Mapping[str, Tensor]) -> Mapping[str, Tensor | None]:
        operands: list[Tensor] = []

        def product(gate: str) -> Callable[[Tensor], Tensor]:
            def U(v: Tensor) -> Tensor:
                index = next((i for i, known in enumerate(operands) if known is v), len(operands))
                if index == stop:
                    raise _OperandReached(v * values["keep"] if "keep" in values else v)
                if index == len(operands):
                    operands.append(v)
                u = values[f"u{index}.{gate}"]
                if cell.gain_U is None:
                    return u
                u = F.layer_norm(u, (cell.hidden_size,)) * values[f"p.gain.{gate}"]
                return u + values[f"p.bias.{gate}"] if f"p.bias.{gate}" in values else u

            return U

        x = cell.gate_tuple(*(values[f"x.{gate}"] for gate in cell.gates))
        s = cell.State(*(values[f"s.{part}"] for part in cell.State._fields))
        own = {name: cell._parameters[name] for name in cell.vectors}
        cell._parameters.update({name: values[f"p.{name}"] for name in own})  # type: ignore[misc]
        try:
            new = cell.step(x, s, cell.product_tuple(**{gate: product(gate) for gate in cell.recurrent}))
        except _OperandReached as reached:
            return {f"v{stop}": reached.operand}
        finally:
            cell._parameters.update(own)
        if "zone.h" in values:
            new = blend_states([values[f"zone.{part}"] for part in cell.State._fields], new, s)
        if "real" in values:
            new = cell.State(*(n.where(values["real"], o) for n, o in zip(new, s, strict=True)))
        return {f"n.{part}": value for part, value in new._asdict().items()}

    return run


def _are_adjacent(cell: Cell, gates: tuple[str, ...]) -> bool:
    """Whether the input's part of the gates is one block."""
    if gates[0] not in cell.gates:
        return False
    first = cell.gates.index(gates[0])
    return cell.gates[first : first + len(gates)] == gates


def _fuse_products(kernels: list[Kernel], index: int, gates: tuple[str, ...]) -> list[Kernel] | None:
    """The kernels with the products of a group added to the input's part, where every one allows that."""
    result = []
    for kernel in kernels:
        kernel = kernel._replace(graph=_copy_graph(kernel.graph))
        for gate in gates:
            together = fuse_sum(kernel, f"x.{gate}", f"u{index}.{gate}")
            if together is None:
                return None
            kernel = together
        result.append(kernel)
    return result


def _copy_graph(graph: torch.fx.Graph) -> torch.fx.Graph:
    copied = torch.fx.Graph()
    copied.output(copied.graph_copy(graph, {}))
    return copied


def _make_kernel_pair(kernel: Kernel, inputs: Mapping[str, Tensor]) -> KernelPair:
    fixed = [name for name in inputs if name.partition(".")[0] in FIXED]
    return KernelPair(kernel, inputs, fixed)
