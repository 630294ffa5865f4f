"""A parallel scan for cells whose next state is linear in the state: derived, like all else, from the step.

A part of the state whose next value is a_t ∘ s + b_t, where neither a_t nor b_t reads it, is solved for all
positions together (Blelloch, 1990; Martin & Cundy, 2018). What has been solved is known everywhere, so the
next part may read it in any way: QRNN's c has gates that read f1 and z1, which are the input of the position
before. The gradients of the states obey the same recurrence from the last position to the first.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, fx

from nmt.recurrence.engine import Buffers
from nmt.recurrence.fused_scan import FusedScan, names
from nmt.recurrence.trace.kernel import Kernel, select_outputs, trace_kernel
from nmt.recurrence.trace.program import Program, find_vectors

aten = torch.ops.aten
ARITHMETIC = (  # what a part may pass through on the way to its next value
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.rsub.Scalar,
    aten.neg.default,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.where.self,
)


class LinearStage(NamedTuple):
    """How a part of the state is solved, once the parts before it have been.

    `forward` gives b as the part's next value, from a state of zero, and `a` where the part reads itself.
    `backward` gives what reaches the part's gradient by way of other parts; None where nothing does.
    """

    part: str
    forward: Kernel
    backward: Kernel | None

    @property
    def recurrent(self) -> bool:
        return "a" in self.forward.gives


class StagedProgram(NamedTuple):
    """A step in stages, and then the rest of it: next values, and gradients of all but the state."""

    stages: tuple[LinearStage, ...]
    forward: Kernel | None
    backward: Kernel


@cache
def find_stages(program: Program, hidden: int) -> StagedProgram | None:
    """The parts of the state that a step reads, in an order in which they can be solved.

    None where there is no such order: a part is not linear, two read each other, or a product reads one.
    """
    if program.parts:
        return None
    forward, backward = program.last.forward, program.last.backward
    unsolved = [name.removeprefix("s.") for name in forward.reads if name.startswith("s.")]
    stages: list[LinearStage] = []
    while unsolved:
        known = {stage.part for stage in stages}
        found = (_make_stage(program, part, known, hidden) for part in unsolved)
        stage = next((stage for stage in found if stage), None)
        if stage is None:
            return None
        stages.append(stage)
        unsolved.remove(stage.part)
    rest = [name for name in forward.gives if name not in {f"n.{stage.part}" for stage in stages}]
    outward = [name for name in backward.gives if not name.startswith("d s.")]
    return StagedProgram(
        tuple(stages), select_outputs(forward, rest) if rest else None, select_outputs(backward, outward)
    )


def _make_stage(program: Program, part: str, known: set[str], hidden: int) -> LinearStage | None:
    """The stage of a part that reads only known parts and, linearly, itself; else None."""
    kernel = select_outputs(program.last.forward, [f"n.{part}"])
    own = f"s.{part}"
    if {name for name in kernel.reads if name.startswith("s.")} - {own, *names("s", known)}:
        return None
    if own in kernel.reads:
        affine = _trace_affine(kernel, own, hidden) if _is_arithmetic(kernel, own) else None
        if affine is None or own in select_outputs(affine, ["a"]).reads:
            return None
        kernel = affine
    if f"d {own}" not in program.last.backward.gives:  # all that reads it is flat
        return LinearStage(part, kernel, None)
    backward = select_outputs(program.last.backward, [f"d {own}"])
    others = {name for name in backward.reads if name.startswith("d n.")} - {f"d n.{part}"}
    return LinearStage(part, kernel, backward if others else None)


def _is_arithmetic(kernel: Kernel, own: str) -> bool:
    """Whether a value passes through sums, products and choices alone, and makes none of the choices.

    Where it passes through anything else a derivative that does not read it proves nothing: sign's is 0.
    """
    touched = {kernel.inputs()[own]}
    for node in kernel.graph.nodes:
        if node.op == "call_function" and touched.intersection(node.all_input_nodes):
            if node.target not in ARITHMETIC or (node.target is aten.where.self and node.args[0] in touched):
                return False
            touched.add(node)
    return True


def _trace_affine(kernel: Kernel, own: str, hidden: int) -> Kernel:
    """A kernel together with its derivative `a` by one of the things it reads; `one` is a one."""
    run = fx.GraphModule(torch.nn.Module(), kernel.graph)

    def both(values: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
        with torch.enable_grad():
            leaf = values[own].detach().requires_grad_()
            (given,) = run(*(leaf if name == own else values[name] for name in kernel.reads))
            (a,) = torch.autograd.grad(given, leaf, values["one"])
        return {kernel.gives[0]: given, "a": a}

    inputs = {name: torch.zeros(2, hidden) for name in (*kernel.reads, "one")}
    if "real" in inputs:
        inputs["real"] = inputs["real"] > 0
    return trace_kernel(both, inputs)


def solve_linear_recurrence(s: Tensor, a: Tensor, *, reverse: bool) -> None:
    """s_t ← s_t + a_t ∘ s_(t−1) for t = 1 … T in place: s [T+1, ...] holds s_0, b_1 … b_T; a [T, ...].

    In reverse s_t ← s_t + a_t ∘ s_(t+1) for t = T−1 … 0. Every other position is left out by going two steps
    at once, the rest is solved in the same way, and then those left out follow: 2 log₂ T steps one after the
    other, 3 T products in all. Nothing is divided, so that gates may close.
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
    """All positions at once: every kernel runs once over T·B rows.

    Kept for the way back: the input's products, the states, and a.
    """

    @property
    def stages(self) -> StagedProgram:
        found = find_stages(self.program, self.cell.hidden_size)
        assert found is not None, "who makes a Scan has asked"
        return found

    def forward_loop(self) -> None:
        self.coefficients: dict[str, Tensor] = {}
        first, later = (-1, slice(0, -1)) if self.reverse else (0, slice(1, None))
        for stage in self.stages.stages:
            s, n = self.places[f"s.{stage.part}"], self.places[f"n.{stage.part}"]
            places = self.places | {f"s.{stage.part}": _fill(n, 0), "one": _fill(n, 1)}
            if stage.recurrent:
                places["a"] = self.coefficients[stage.part] = torch.empty_like(n)
            self.run_all(stage.forward, places)
            if stage.recurrent:
                n[first].addcmul_(places["a"][first], s[first])
                solve_linear_recurrence(n, places["a"][later], reverse=self.reverse)
        if self.stages.forward is not None:
            self.run_all(self.stages.forward, self.places)

    def backward(self, dhs: Tensor, dfinal: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        T, B, H = dhs.shape
        before, after = (slice(1, None), slice(0, T)) if self.reverse else (slice(0, T), slice(1, None))
        parts, vectors = self.cell.State._fields, find_vectors(self.cell)
        states = {part: dhs.new_zeros(T + 1, B, H) for part in parts}
        states["h"][after] = dhs
        for part, d in zip(parts, dfinal, strict=True):
            states[part][0 if self.reverse else -1].add_(d)
        dx = dhs.new_zeros(T, B, len(self.cell.gates) * H)
        summed = [dhs.new_zeros(T, B, H) for _ in vectors]
        places = dict(zip(names("d x", self.cell.gates), dx.chunk(len(self.cell.gates), -1), strict=True))
        places |= zip(names("d p", vectors), summed, strict=True)
        places |= {f"d s.{part}": d[before] for part, d in states.items()}
        places |= {f"d n.{part}": d[after] for part, d in states.items()}
        places |= self.places
        for stage in reversed(self.stages.stages):
            if stage.backward is not None:  # its own gradient's share is left to `solve_linear_recurrence`
                alone = places | {f"d n.{stage.part}": _fill(dhs, 0)}
                self.run_all(stage.backward, alone, frozenset(stage.backward.gives))
            if stage.recurrent:
                solve_linear_recurrence(
                    states[stage.part], self.coefficients[stage.part], reverse=not self.reverse
                )
        self.run_all(self.stages.backward, places)
        first = -1 if self.reverse else 0
        return dx, *(d[first] for d in states.values()), *(d.sum((0, 1)) for d in summed)

    def run_all(self, kernel: Kernel, places: Buffers, adds: frozenset[str] = frozenset()) -> None:
        """A kernel once, over the rows of all positions."""
        needed = {name: places[name].flatten(0, 1).unsqueeze(0) for name in (*kernel.reads, *kernel.gives)}
        self.backend.kernel(kernel, needed, adds)(0)


def _fill(like: Tensor, value: float) -> Tensor:
    """One value at every position; its rows are dense, as kernels want them."""
    return like.new_full(like.shape[-1:], value).expand_as(like)
