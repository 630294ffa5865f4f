"""Device, random generators, precision and memory of a training process."""

import platform
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from nmt.data.batches import Batch
from nmt.errors import UsageError
from nmt.model.decoder import DecoderState
from nmt.model.translator import TranslationModel
from nmt.recurrence.state import map_tensors
from nmt.settings import OneOf, ProcessCount, Settings
from nmt.training.distributed import LaunchInfo

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class HardwareSettings(Settings):
    """Device, threads and precision."""

    threads: ProcessCount | None = None
    """CPU threads of a process; null: torch's choice."""
    device: Annotated[str, OneOf(lambda: DEVICES, pattern="cuda:[0-9]{1,3}")] = "auto"
    """Device: the CPU, a GPU (one per process), or GPU N; `auto`: a GPU if torch finds one."""
    precision: Annotated[str, OneOf(lambda: TYPES)] = "float32"
    """Number type of the model's computations in training, if the hardware supports it; weights, optimiser
    and loss stay float32."""


def select_device(name: str, launch: LaunchInfo) -> torch.device:
    """Return the device of `auto`, `cpu`, `cuda` (each process of a machine gets its own GPU) or `cuda:N`.

    Raises UsageError if there is no such device, or not one for every process.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise UsageError(f"training.device: {name}: torch finds no GPU; use `auto` or `cpu`")
    _, _, number = name.partition(":")
    if number and launch.local_count > 1:
        raise UsageError(
            f"training.device: {name} is one GPU for {launch.local_count} processes; use `cuda` for one each"
        )
    index = launch.rank % count if launch.local_rank is None else launch.local_rank
    index = int(number or index)
    if index >= count:
        raise UsageError(
            f"training.device: {name}: process {launch.rank} needs GPU {index}, but torch finds {count}, "
            f"counted from 0; start as many processes as there are GPUs, or use `cpu`"
        )
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


def seed_generators(seed: int, rank: int = 0) -> None:
    """Seed the generators of torch, numpy and Python, in each process differently."""
    if rank:
        seed = int(np.random.SeedSequence((seed, rank)).generate_state(1)[0])
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


T = TypeVar("T")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # instruction sets that multiply bfloat16


class Precision:
    """Mixed precision training (Micikevicius et al., 2018).

    Weights, their gradients and the optimiser stay float32. For every batch the model gets rounded weights,
    and computes everything but the loss in their type. For float16, whose range is small, the loss is
    multiplied by a scale, which falls when gradients overflow and rises after many updates without overflow.
    """

    def __init__(self, name: str, device: str) -> None:
        """Take the `name` of a type (a key of `TYPES`) and the type of the `device`."""
        self.dtype = TYPES[name]
        self.scaler = torch.amp.GradScaler(device, enabled=name == "float16")

    def run(self, model: TranslationModel, work: Callable[[TranslationModel], T]) -> T:
        """Return what `work` returns for the model with rounded weights; gradients reach the weights.

        `work` includes the backward pass, in which a decoder may recompute positions.
        """
        if self.dtype == torch.float32:
            return work(model)
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        rounded = {
            f"model.{name}": t.to(self.dtype) if t.is_floating_point() else t for name, t in tensors.items()
        }
        result: T = functional_call(_ModelCall(model), rounded, (work,))
        return result


class _ModelCall(nn.Module):
    """A module whose `forward`, which `functional_call` calls, applies a function to a model."""

    def __init__(self, model: TranslationModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[TranslationModel], T]) -> T:
        return work(self.model)


def select_precision(name: str, device: torch.device) -> Precision:
    """Return the precision of that name; UsageError if the hardware does not support it."""
    obstacle = None
    if device.type == "cpu" and name == "float16":
        obstacle = "slower than float32 on a CPU"
    elif device.type == "cpu" and name == "bfloat16":
        if not any(torch.cpu.get_capabilities().get(instructions) for instructions in CPU_BFLOAT16):
            obstacle = f"this CPU ({platform.machine()}) has no instructions for it, so it would be slower"
    elif name == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        gpu = torch.cuda.get_device_name()
        obstacle = f"{gpu} does not support it (Ampere or later is needed); try float16"
    if obstacle:
        raise UsageError(f"training.precision: {name}: {obstacle}; use float32")
    return Precision(name, device.type)


def split_batch(
    batch: Batch, carried: DecoderState | None, count: int
) -> Iterator[tuple[Batch, DecoderState | None]]:
    """Split a batch and its carried state into `count` parts (at most one per row)."""
    if count == 1:
        yield batch, carried
        return
    for rows in torch.arange(len(batch.src)).tensor_split(min(count, len(batch.src))):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        yield batch.select_rows(part), map_tensors(lambda tensor, part=part: tensor[part], carried)


def join_states(states: Sequence[DecoderState | None]) -> DecoderState | None:
    """Join the states after the parts of a batch."""
    if len(states) == 1:
        return states[0]
    return map_tensors(lambda *parts: torch.cat(parts), *states)
