"""Engines of a recurrence: the back ends that run products and kernels, and the choice of one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, fx

from nmt.errors import UsageError
from nmt.recurrence.trace.kernel import Kernel

Buffers = Mapping[str, Tensor]  # a name to what stands there at every position: [T, B, H]
PositionStep = Callable[[int], object]  # something to do at a position


class PreparedMatrix(Protocol):
    """A weight W [N, K] made ready: v [M, K] to `v Wᵀ (+ add)`, in `out` if given; add is [M, N] or [N]."""

    def __call__(self, v: Tensor, add: Tensor | None = None, out: Tensor | None = None) -> Tensor: ...


class Backend(Protocol):
    """Runs products and kernels; no method has gradients."""

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        """Return the reason why it cannot run tensors of this device and dtype; None if it can."""

    def matrix(self, weight: Tensor) -> Any:
        """A `PreparedMatrix`, which only the back end that made it can use."""

    def product(self, v: Tensor, matrix: Any, out: Tensor, add: Tensor | None = None) -> PositionStep:
        """`out[t] = v[t] Wᵀ (+ add)` ready for any position.

        v is [T, B, K], out [T, B, N]; add is a bias [N] or [T, B, N], and may be `out`.
        """

    def kernel(self, kernel: Kernel, places: Buffers, adds: frozenset[str]) -> PositionStep:
        """A kernel ready for any position of `places`.

        What it gives replaces what stands in its place, or for the names in `adds` is added to it.
        """

    def loop(self, steps: Sequence[PositionStep], order: range) -> None:
        """Every step at every position, in order."""


class TorchBackend:
    """Every operation by torch: any device, any type, no compiler."""

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        return None

    def matrix(self, weight: Tensor) -> "TorchMatrix":
        return TorchMatrix(weight)

    def product(
        self, v: Tensor, matrix: "TorchMatrix", out: Tensor, add: Tensor | None = None
    ) -> PositionStep:
        turned, vs, outs = matrix.turned, v.unbind(0), out.unbind(0)
        if add is out:
            return lambda t: outs[t].addmm_(vs[t], turned)
        if add is not None:
            return lambda t: torch.addmm(add, vs[t], turned, out=outs[t])
        return lambda t: torch.mm(vs[t], turned, out=outs[t])

    def kernel(self, kernel: Kernel, places: Buffers, adds: frozenset[str]) -> PositionStep:
        run = _compile_graph(kernel)
        reads = [places[name].unbind(0) for name in kernel.reads]
        gives = [(places[name].unbind(0), name in adds) for name in kernel.gives]
        handed_on = [node.op == "placeholder" for node in kernel.results]

        def at(t: int) -> None:
            given = run(*[read[t] for read in reads])
            # What is given as it was read may stand in a place that is written before it is copied.
            values = [v.clone() if same else v for v, same in zip(given, handed_on, strict=True)]
            for (place, add), value in zip(gives, values, strict=True):
                if add:
                    place[t].add_(value)
                else:
                    place[t].copy_(value)

        return at

    def loop(self, steps: Sequence[PositionStep], order: Iterable[int]) -> None:
        for t in order:
            for step in steps:
                step(t)


class TorchMatrix:
    """A weight [N, K] as torch multiplies with it: turned round."""

    def __init__(self, weight: Tensor) -> None:
        self.turned = weight.t()

    def __call__(self, v: Tensor, add: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        if add is None:
            return torch.mm(v, self.turned, out=out)
        return torch.addmm(add, v, self.turned, out=out)


@cache
def _compile_graph(kernel: Kernel) -> Any:
    return fx.GraphModule(torch.nn.Module(), kernel.graph).forward


Engine = Literal["auto", "compiled", "inductor", "torch", "reference"]
ENGINES: tuple[Engine, ...] = ("auto", "compiled", "torch", "reference")  # those that are documented


def select_backend(engine: Engine, like: Tensor) -> Backend:
    """Choose the back end for tensors of the device and dtype of `like`.

    `auto` compiles where it can: to C on a CPU, by torch.compile on a GPU.
    Raises UsageError where an engine requested by name is not available.
    """
    kind = _find_backend_class(engine, like)
    obstacle = kind.find_obstacle(like)
    if obstacle and engine != "auto":
        raise UsageError(f"engine: {engine}: {obstacle}; `auto` uses what is available")
    return TorchBackend() if obstacle else kind()


def _find_backend_class(engine: Engine, like: Tensor) -> type[Backend]:
    """The compiled back ends build on this module, so they are imported when they are chosen."""
    if engine in ("torch", "reference"):
        return TorchBackend
    if engine == "inductor" or (engine == "auto" and like.is_cuda):
        from nmt.recurrence.inductor import InductorBackend

        return InductorBackend
    from nmt.recurrence.c.native import CBackend

    return CBackend


def runs_in_c(engine: Engine, like: Tensor) -> bool:
    """Return whether products run in C: then no row of a product depends on the rows next to it."""
    from nmt.recurrence.c.native import CBackend

    return isinstance(select_backend(engine, like), CBackend)
