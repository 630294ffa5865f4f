"""Engines of a recurrence: the back ends that run products and kernels, and the choice of one."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, fx

from nmt.errors import UsageError, warn_once
from nmt.recurrence.trace.kernel import Kernel, TensorKey

log = logging.getLogger(__name__)
Engine = Literal["auto", "compiled", "inductor", "torch", "reference", "int8"]
ENGINES: tuple[Engine, ...] = ("auto", "compiled", "torch", "reference")  # those that recipes document
Buffers = dict[TensorKey, Tensor]  # the values of each key at every position, [T, B, H]
PositionStep = Callable[[int], object]  # runs one operation at a position


class PreparedMatrix:
    """A weight W [N, K] prepared for products: v [M, K] to `v Wᵀ (+ add)`; add is [M, N] or [N]."""

    def __init__(self, weight: Tensor) -> None:
        self.transposed = weight.t()

    def __call__(self, v: Tensor, add: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        if add is None:
            return torch.mm(v, self.transposed, out=out)
        return torch.addmm(add, v, self.transposed, out=out)


class Backend:
    """The back end of torch: any device, any type, no compiler. No method has gradients."""

    cost_without = ""  # what it costs to do without it; a clause for a message

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        """Return the reason why it cannot run tensors of this device and dtype; None if it can."""
        return None

    def matrix(self, weight: Tensor) -> Any:
        """Return a `PreparedMatrix` for this back end."""
        return PreparedMatrix(weight)

    def product(self, v: Tensor, matrix: Any, out: Tensor, add: Tensor | None = None) -> PositionStep:
        """Bind `out[t] = v[t] Wᵀ (+ add)`.

        v is [T, B, K], out [T, B, N]; add is a bias [N] or [T, B, N], and may be `out`.
        """
        transposed, vs, outs = matrix.transposed, v.unbind(0), out.unbind(0)
        if add is out:
            return lambda t: outs[t].addmm_(vs[t], transposed)
        if add is not None:
            return lambda t: torch.addmm(add, vs[t], transposed, out=outs[t])
        return lambda t: torch.mm(vs[t], transposed, out=outs[t])

    def kernel(
        self, kernel: Kernel, buffers: Buffers, adds: frozenset[TensorKey] = frozenset()
    ) -> PositionStep:
        """Bind a kernel to buffers. Outputs overwrite their buffers; those in `adds` are added to them."""
        run = _compile_graph(kernel)
        inputs = [buffers[key].unbind(0) for key in kernel.inputs]
        outputs = [(buffers[key].unbind(0), key in adds) for key in kernel.outputs]
        is_input = [node.op == "placeholder" for node in kernel.output_nodes]

        def step(t: int) -> None:
            values = run(*[tensor[t] for tensor in inputs])
            # An output that is an input may share memory with one that is written before it is copied.
            values = [v.clone() if same else v for v, same in zip(values, is_input, strict=True)]
            for (buffer, add), value in zip(outputs, values, strict=True):
                if add:
                    buffer[t].add_(value)
                else:
                    buffer[t].copy_(value)

        return step

    def loop(self, steps: Sequence[PositionStep], order: range) -> None:
        """Run every step at every position, in order."""
        for t in order:
            for step in steps:
                step(t)


@cache
def _compile_graph(kernel: Kernel) -> Any:
    return fx.GraphModule(torch.nn.Module(), kernel.graph).forward


_BFLOAT16 = ContextVar("bfloat16", default=False)


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """Choose, within the context, back ends that multiply in bfloat16 where products of float32 run in C.

    Their weights stay float32, as do all results; see `find_bfloat16_obstacle` of recurrence/c/bfloat16.py.
    """
    token = _BFLOAT16.set(True)
    try:
        yield
    finally:
        _BFLOAT16.reset(token)


def multiplies_in_bfloat16() -> bool:
    """Return True within `bfloat16_products`."""
    return _BFLOAT16.get()


def select_backend(engine: Engine, like: Tensor) -> Backend:
    """Choose the back end for tensors like `like`; `auto` compiles: C on a CPU, torch.compile on a GPU.

    Raises UsageError if an engine requested by name is not available.
    """
    kind = _find_backend_class(engine, like)
    obstacle = kind.find_obstacle(like)
    if obstacle is None:
        return kind()
    if engine != "auto":
        raise UsageError(f"engine: {engine}: {obstacle}; `auto` uses what is available")
    warn_once(log, f"torch runs the model without compiled kernels: {obstacle}; {kind.cost_without}")
    return Backend()


def _find_backend_class(engine: Engine, like: Tensor) -> type[Backend]:
    """Find the class of a back end; the compiled ones import this module, so they are imported late."""
    if engine in ("torch", "reference"):
        return Backend
    if engine == "inductor" or (engine == "auto" and like.is_cuda):
        from nmt.recurrence.inductor import InductorBackend

        return InductorBackend
    if engine == "int8":
        from nmt.recurrence.c.int8 import Int8Backend

        return Int8Backend
    if _BFLOAT16.get() and like.dtype == torch.float32:
        from nmt.recurrence.c.bfloat16 import Bfloat16Backend

        return Bfloat16Backend
    from nmt.recurrence.c.native import CBackend

    return CBackend if engine == "compiled" or CBackend.supports(like) else Backend


def runs_in_c(engine: Engine, like: Tensor) -> bool:
    """Return True if products run in C: then no row of a product depends on other rows."""
    from nmt.recurrence.c.native import CBackend

    return isinstance(select_backend(engine, like), CBackend)
