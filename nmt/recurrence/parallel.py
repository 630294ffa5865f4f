"""A parallel scan for cells whose next state is linear in the state, derived from the step."""

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, fx

from nmt.recurrence.engine import Buffers
from nmt.recurrence.fused_scan import FusedScan
from nmt.recurrence.trace.kernel import (
    Kernel,
    TensorKey,
    TensorKind,
    Tensors,
    make_keys,
    select_outputs,
    split_columns,
    trace_kernel,
)
from nmt.recurrence.trace.program import Program

aten = torch.ops.aten
COEFFICIENT, ONE = TensorKey(TensorKind.COEFFICIENT), TensorKey(TensorKind.ONE)
ARITHMETIC = (  # operations that a field may pass through on the way to its next value
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.rsub.Scalar,
    aten.neg.default,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.where.self,
)


class LinearStage(NamedTuple):
    """Kernels that solve one field of the state, after the fields before it.

    `forward` computes b, the next value from a state of zero, and a if the field reads itself.
    `backward` computes the part of the field's gradient that comes through other fields, if any.
    """

    field: str
    forward: Kernel
    backward: Kernel | None


class StagedProgram(NamedTuple):
    """A step in stages, and the rest of it: next values, and gradients of all but the state."""

    stages: tuple[LinearStage, ...]
    forward: Kernel | None
    backward: Kernel


@cache
def find_stages(program: Program) -> StagedProgram | None:
    """Find an order in which the fields that a step reads can be solved.

    None if there is none: a field is not linear, two read each other, or a product reads one.
    """
    if program.products:
        return None
    forward, backward = program.final, program.final.derivative
    unsolved = [key.name for key in forward.inputs if key.kind is TensorKind.STATE]
    stages: list[LinearStage] = []
    while unsolved:
        solved = {stage.field for stage in stages}
        candidates = (_make_stage(program, field, solved) for field in unsolved)
        stage = next((stage for stage in candidates if stage), None)
        if stage is None:
            return None
        stages.append(stage)
        unsolved.remove(stage.field)
    solved = {stage.field for stage in stages}
    rest = [key for key in forward.outputs if key.name not in solved]
    gradients = [key for key in backward.outputs if key.kind is not TensorKind.STATE]
    return StagedProgram(
        tuple(stages), select_outputs(forward, rest) if rest else None, select_outputs(backward, gradients)
    )


def _make_stage(program: Program, field: str, solved: set[str]) -> LinearStage | None:
    """Make the stage of a field that reads only solved fields and, linearly, itself; else None."""
    state, new = TensorKey(TensorKind.STATE, field), TensorKey(TensorKind.NEXT, field)
    kernel, derivative = select_outputs(program.final, [new]), program.final.derivative
    if {key.name for key in kernel.inputs if key.kind is TensorKind.STATE} - {field, *solved}:
        return None
    if state in kernel.inputs:
        affine = _trace_affine(kernel, state) if _is_arithmetic(kernel, state) else None
        if affine is None or state in select_outputs(affine, [COEFFICIENT]).inputs:
            return None
        kernel = affine
    if state.gradient not in derivative.outputs:  # all operations on it have a derivative of zero
        return LinearStage(field, kernel, None)
    backward = select_outputs(derivative, [state.gradient])
    through = {key.name for key in backward.inputs if key.kind is TensorKind.NEXT and key.is_gradient}
    return LinearStage(field, kernel, backward if through - {field} else None)


def _is_arithmetic(kernel: Kernel, state: TensorKey) -> bool:
    """Return True if a field passes through sums, products and selections alone, and selects nothing itself.

    Otherwise a derivative that does not read the field proves nothing: that of sign is 0.
    """
    touched = {kernel.input_nodes()[state]}
    for node in kernel.graph.nodes:
        if node.op == "call_function" and touched.intersection(node.all_input_nodes):
            if node.target not in ARITHMETIC or (node.target is aten.where.self and node.args[0] in touched):
                return False
            touched.add(node)
    return True


def _trace_affine(kernel: Kernel, state: TensorKey) -> Kernel:
    """Add to a kernel the derivative of its output by one of its inputs, as COEFFICIENT."""
    run = fx.GraphModule(torch.nn.Module(), kernel.graph)

    def differentiate(values: Tensors) -> dict[TensorKey, Tensor | None]:
        with torch.enable_grad():
            leaf = values[state].detach().requires_grad_()
            (output,) = run(*(leaf if key == state else values[key] for key in kernel.inputs))
            (a,) = torch.autograd.grad(output, leaf, values[ONE])
        return {kernel.outputs[0]: output, COEFFICIENT: a}

    examples = {key: kernel.examples[key] for key in kernel.inputs}
    return trace_kernel(differentiate, examples | {ONE: torch.zeros_like(examples[state])})


def solve_linear_recurrence(s: Tensor, a: Tensor, *, reverse: bool) -> None:
    """Set s_t ← s_t + a_t ∘ s_(t−1) for t = 1 … T in place: s [T+1, ...] holds s_0, b_1 … b_T; a [T, ...].

    In reverse s_t ← s_t + a_t ∘ s_(t+1) for t = T−1 … 0. Every other position is eliminated by taking two
    steps at once, the rest is solved in the same way, and then the eliminated ones follow: 2 log₂ T steps in
    sequence, 3 T products in all. No division occurs, so gates may be 0.
    """
    T = len(a)
    if T == 0:
        return
    if reverse:
        first = T % 2  # the last position stays
        s[first:-1:2].addcmul_(a[first::2], s[first + 1 :: 2])
        solve_linear_recurrence(s[first::2], a[first::2] * a[first + 1 :: 2], reverse=True)
        s[1 - first : -1 : 2].addcmul_(a[1 - first :: 2], s[2 - first :: 2])
    else:
        s[2::2].addcmul_(a[1::2], s[1:-1:2])
        solve_linear_recurrence(s[::2], a[1::2] * a[: T - T % 2 : 2], reverse=False)
        s[1::2].addcmul_(a[::2], s[:-1:2])


class ParallelScan(FusedScan):
    """A scan of all positions at once: every kernel runs once over T·B rows.

    A field of the state whose next value is a_t ∘ s + b_t, where neither a_t nor b_t reads it, is solved at
    all positions together (Blelloch, 1990; Martin & Cundy, 2018); fields solved after it may read it in any
    way. Gradients of states obey the same recurrence from the last position to the first.

    Saved for the backward pass: the input's products, the states, and a.
    """

    def forward_loop(self, x: Tensor) -> None:
        stages = find_stages(self.program)
        assert stages is not None, "checked before a ParallelScan is built"
        self.stages = stages
        self.coefficients: dict[str, Tensor] = {}
        first, later = (-1, slice(0, -1)) if self.reverse else (0, slice(1, None))
        for stage in self.stages.stages:
            state = TensorKey(TensorKind.STATE, stage.field)
            s, n = self.buffers[state], self.buffers[TensorKey(TensorKind.NEXT, stage.field)]
            buffers = self.buffers | {state: _fill(n, 0), ONE: _fill(n, 1)}
            if COEFFICIENT in stage.forward.outputs:
                buffers[COEFFICIENT] = self.coefficients[stage.field] = torch.empty_like(n)
            self.run_once(stage.forward, buffers)
            if stage.field in self.coefficients:
                n[first].addcmul_(buffers[COEFFICIENT][first], s[first])
                solve_linear_recurrence(n, buffers[COEFFICIENT][later], reverse=self.reverse)
        if self.stages.forward is not None:
            self.run_once(self.stages.forward, self.buffers)

    def backward(self, dhs: Tensor, dfinal: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        T, B, H = dhs.shape
        before, after = self.state_slices(T)
        fields = self.cell.State._fields
        states = {field: dhs.new_zeros(T + 1, B, H) for field in fields}
        states["h"][after] = dhs
        for field, d in zip(fields, dfinal, strict=True):
            states[field][0 if self.reverse else -1].add_(d)
        dx = dhs.new_zeros(T, B, len(self.cell.gates) * H)
        dvectors = [dhs.new_zeros(T, B, H) for _ in self.vector_slots]
        gradients: Buffers = split_columns(make_keys(TensorKind.INPUT, self.cell.gates), dx)
        gradients |= zip(self.vector_slots, dvectors, strict=True)
        for kind, positions in ((TensorKind.STATE, before), (TensorKind.NEXT, after)):
            gradients |= {TensorKey(kind, field): d[positions] for field, d in states.items()}
        buffers = self.buffers | {key.gradient: d for key, d in gradients.items()}
        for stage in reversed(self.stages.stages):
            if stage.backward is not None:  # the recurrence computes the gradient through the field itself
                others = buffers | {TensorKey(TensorKind.NEXT, stage.field).gradient: _fill(dhs, 0)}
                self.run_once(stage.backward, others, frozenset(stage.backward.outputs))
            if stage.field in self.coefficients:
                coefficients = self.coefficients[stage.field]
                solve_linear_recurrence(states[stage.field], coefficients, reverse=not self.reverse)
        self.run_once(self.stages.backward, buffers)
        first = -1 if self.reverse else 0
        return dx, *(d[first] for d in states.values()), *(d.sum((0, 1)) for d in dvectors)

    def run_once(self, kernel: Kernel, buffers: Buffers, adds: frozenset[TensorKey] = frozenset()) -> None:
        """Run a kernel once, over the rows of all positions."""
        rows = {key: buffers[key].flatten(0, 1).unsqueeze(0) for key in (*kernel.inputs, *kernel.outputs)}
        self.backend.kernel(kernel, rows, adds)(0)


def _fill(like: Tensor, value: float) -> Tensor:
    """Return one value at every position, in dense rows, as kernels need them."""
    return like.new_full(like.shape[-1:], value).expand_as(like)
