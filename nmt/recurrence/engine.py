"""The engines by name, and the back end of each."""

from typing import Literal

from torch import Tensor

from nmt.errors import UsageError
from nmt.recurrence import inductor
from nmt.recurrence.backend import Backend, Torch
from nmt.recurrence.c import compiler
from nmt.recurrence.c.code_generator import NUMBER
from nmt.recurrence.c.native import Native
from nmt.recurrence.inductor import Inductor

Engine = Literal["auto", "compiled", "inductor", "torch", "reference"]


def backend(engine: Engine, like: Tensor) -> Backend:
    """The back end for numbers like some; `auto` compiles where it can, on a GPU by torch.compile.

    Raises UsageError where an engine that was asked for by name cannot.
    """
    if engine in ("torch", "reference"):
        return Torch()
    by_torch = engine == "inductor" or (engine == "auto" and like.is_cuda)
    obstacle = inductor.obstacle(like.device.type) if by_torch else _obstacle(like)
    if obstacle and engine != "auto":
        raise UsageError(f"engine: {engine}: {obstacle}; `auto` does without")
    if obstacle:
        return Torch()
    return Inductor() if by_torch else Native()


def native(engine: Engine, like: Tensor) -> bool:
    """Whether it is C that multiplies: then no row of a product depends on the rows beside it."""
    return isinstance(backend(engine, like), Native)


def _obstacle(like: Tensor) -> str | None:
    if like.device.type != "cpu":
        return "the model is not on the CPU"
    if like.dtype not in NUMBER:
        return f"there are no products of {like.dtype}"
    return compiler.obstacle()
