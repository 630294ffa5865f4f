"""Device, random generators, precision and memory of a training process."""

import ctypes
import random
import sys
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
from nmt.recurrence.c.bfloat16 import find_bfloat16_obstacle, name_instructions
from nmt.recurrence.engine import Engine, bfloat16_products
from nmt.recurrence.state import map_tensors
from nmt.settings import OneOf, ProcessCount, Settings
from nmt.training.distributed import LaunchInfo

AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class HardwareSettings(Settings):
    """Device, threads and precision."""

    threads: ProcessCount | None = None
    """CPU threads of a process; null: torch's choice."""
    device: Annotated[str, OneOf(lambda: DEVICES, pattern="cuda:[0-9]{1,3}")] = "auto"
    """Device: the CPU, a GPU (one per process), or GPU N; `auto`: a GPU if torch finds one."""
    precision: Annotated[str, OneOf(lambda: (AUTO, *TYPES))] = "float32"
    """Number type of the model's computations in training, if the hardware supports it: on a CPU of its
    products, on a GPU of everything but the loss. Weights and optimiser stay float32. `auto`: bfloat16 on a
    CPU where it is faster, else float32."""


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


MALLOPT_OPTIONS = {"M_MMAP_THRESHOLD": (-3, 1 << 25), "M_TRIM_THRESHOLD": (-1, 1 << 30)}
"""Options of mallopt(3): blocks up to 32 MiB (the maximum) come from the heap, which keeps up to 1 GiB."""


def keep_freed_memory() -> None:
    """Keep memory that an update frees for the next one, where the C library is glibc.

    Otherwise glibc returns large blocks to the system at once, which zeroes each page of the next ones.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for option, value in MALLOPT_OPTIONS.values():
            mallopt(option, value)


T = TypeVar("T")
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """Mixed precision training (Micikevicius et al., 2018).

    Weights, their gradients and the optimiser stay float32. For every batch the model gets rounded weights,
    and computes everything but the loss in their type. For float16, whose range is small, the loss is
    multiplied by a scale, which falls when gradients overflow and rises after many updates without overflow.
    """

    description = ""  # of what is not float32, for the first line of a run

    def __init__(self, name: str, device: str) -> None:
        """Take the `name` of a type (a key of `TYPES`) and the type of the `device`."""
        self.dtype = TYPES[name]
        if self.dtype != torch.float32:
            self.description = f"computed in {name}"
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


class Bfloat16Products(Precision):
    """Products of the C engine in bfloat16, on a CPU; sums, gates, loss and all tensors stay float32."""

    def __init__(self) -> None:
        super().__init__("float32", "cpu")
        self.description = f"products in bfloat16 ({name_instructions()})"

    def run(self, model: TranslationModel, work: Callable[[TranslationModel], T]) -> T:
        with bfloat16_products():
            return work(model)


def select_precision(name: str, device: torch.device, engine: Engine = "auto") -> Precision:
    """Return the precision of that name; UsageError if the hardware, or the engine, does not support it."""
    on_cpu = device.type == "cpu"
    if name == AUTO:
        name = find_automatic_precision(device, engine)
    obstacle = None
    if on_cpu and name == "float16":
        obstacle = "slower than float32 on a CPU"
    elif on_cpu and name == "bfloat16":
        obstacle = _find_products_obstacle(engine)
    elif name == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        gpu = torch.cuda.get_device_name()
        obstacle = f"{gpu} does not support it (Ampere or later is needed); try float16"
    if obstacle:
        raise UsageError(f"training.precision: {name}: {obstacle}; use float32")
    return Bfloat16Products() if on_cpu and name == "bfloat16" else Precision(name, device.type)


def find_automatic_precision(device: torch.device, engine: Engine) -> str:
    """Return what `auto` means: bfloat16 on a CPU where it is faster, else float32."""
    return "float32" if device.type != "cpu" or _find_products_obstacle(engine) else "bfloat16"


def _find_products_obstacle(engine: Engine) -> str | None:
    """Return why the products of an engine cannot be in bfloat16 on this CPU; None if they can."""
    if engine not in ("auto", "compiled"):
        return f"engine: {engine} has no products in bfloat16 on a CPU; use `auto`"
    return find_bfloat16_obstacle()


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
