"""The engines by name, and the back end of each."""

from typing import Literal

import torch
from torch import Tensor

from nmt.errors import UsageError
from nmt.recurrence import compiler
from nmt.recurrence.backend import Backend, Torch
from nmt.recurrence.native import Native

Engine = Literal["auto", "compiled", "torch", "reference"]


def backend(engine: Engine, like: Tensor) -> Backend:
    """The back end for numbers like some; `auto` compiles where it can.

    Raises UsageError where `compiled` cannot.
    """
    obstacle = None
    if engine in ("auto", "compiled"):
        obstacle = _obstacle(like)
        if engine == "compiled" and obstacle:
            raise UsageError(f"engine: compiled: {obstacle}; `auto` does without")
    return Native() if engine in ("auto", "compiled") and not obstacle else Torch()


def _obstacle(like: Tensor) -> str | None:
    if like.device.type != "cpu":
        return "the model is not on the CPU"
    if like.dtype not in (torch.float32, torch.float64):
        return f"there are no products of {like.dtype}"
    return compiler.obstacle()
