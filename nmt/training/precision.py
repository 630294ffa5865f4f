"""Mixed precision: the model computes in short numbers, what is learnt is kept in float32."""

import platform
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nmt.errors import UsageError
from nmt.model.translator import Translator

T = TypeVar("T")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # the instructions that multiply with it


class Precision:
    """The type of number that a model computes in (Micikevicius et al., 2018).

    Weights, their gradients and the optimiser stay float32. For every batch the model gets rounded weights,
    and so computes everything but the loss in their type. float16, whose range is small, learns from a loss
    multiplied by a scale, which falls where gradients overflow and rises where they long have not.
    """

    def __init__(self, name: str, device: str) -> None:
        """`name` is a key of `TYPES`, `device` a type of device."""
        self.dtype = TYPES[name]
        self.scaler = torch.amp.GradScaler(device, enabled=name == "float16")

    def computing(self, model: Translator, work: Callable[[Translator], T]) -> T:
        """What `work` gives with rounded weights; their gradients are the weights'.

        It takes its gradients itself: a decoder that computes positions again does that on the way back.
        """
        if self.dtype == torch.float32:
            return work(model)
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        rounded = {f"model.{name}": self.rounded(tensor) for name, tensor in tensors.items()}
        given: T = functional_call(_Working(model), rounded, (work,))
        return given

    def may_overflow(self) -> bool:
        """Whether gradients that are no finite numbers may be so for their scale alone."""
        return self.scaler.is_enabled() and self.scaler.get_scale() >= 1.0

    def rounded(self, tensor: Tensor) -> Tensor:
        """A tensor in the type of number; integers stay."""
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor


class _Working(nn.Module):
    """Work on a model as the one method that `functional_call` calls."""

    def __init__(self, model: Translator) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[Translator], T]) -> T:
        return work(self.model)


def find_precision(name: str, device: torch.device) -> Precision:
    """The precision of that name; UsageError with the reason where the hardware has none of it."""
    reason = None if name == "float32" else _OBSTACLES[device.type](name)
    if reason:
        raise UsageError(f"training.precision: {name}: {reason}; float32 runs everywhere")
    return Precision(name, device.type)


def _cpu_obstacle(name: str) -> str | None:
    if name == "float16":
        return "on a CPU it is slower than float32"
    if not any(torch.cpu.get_capabilities().get(name) for name in CPU_BFLOAT16):
        return f"this CPU ({platform.machine()}) has no instructions for it, and without them it is slower"
    return None


def _gpu_obstacle(name: str) -> str | None:
    if name == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return f"{torch.cuda.get_device_name()} cannot (Ampere was the first that could); try float16"
    return None


_OBSTACLES = {"cpu": _cpu_obstacle, "cuda": _gpu_obstacle}
