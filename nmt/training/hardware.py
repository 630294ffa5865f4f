"""Device, precision and memory of a training process."""

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nmt.data.batches import Batch
from nmt.errors import UsageError
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.recurrence.state import map_tensors
from nmt.settings import Count, OneOf, Settings
from nmt.training.distributed import LaunchInfo

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class HardwareSettings(Settings):
    """Device, threads and precision."""

    threads: Count | None = None
    """CPU threads of a process; null: torch's choice."""
    device: Annotated[str, OneOf(lambda: DEVICES, pattern="cuda:[0-9]{1,3}")] = "auto"
    """Device: the CPU, a GPU (one per process), or GPU N; `auto`: a GPU where torch finds one."""
    precision: Annotated[str, OneOf(lambda: TYPES)] = "float32"
    """Number type of the model's computations in training, where the hardware supports it; weights, optimiser
    and loss stay float32."""


def select_device(name: str, place: LaunchInfo) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device; without a number each process of a machine has its own.

    Raises UsageError where there is no such device, or not one for every process.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not found:
        raise UsageError(f"training.device: {name}: torch finds no GPU; use `auto` or `cpu`")
    _, _, number = name.partition(":")
    if number and place.local_count > 1:
        raise UsageError(
            f"training.device: {name} is one GPU for {place.local_count} processes; use `cuda` for one each"
        )
    index = place.rank % found if place.local_rank is None else place.local_rank
    index = int(number or index)
    if index >= found:
        raise UsageError(
            f"training.device: {name}: process {place.rank} needs GPU {index}, but torch finds {found}, "
            f"counted from 0; start as many processes as there are GPUs, or train on the CPU (cpu)"
        )
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


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

    def run(self, model: Translator, work: Callable[[Translator], T]) -> T:
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


def select_precision(name: str, device: torch.device) -> Precision:
    """The precision of that name; UsageError with the reason where the hardware has none of it."""
    reason = None if name == "float32" else _OBSTACLES[device.type](name)
    if reason:
        raise UsageError(f"training.precision: {name}: {reason}; use float32")
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


MESSAGES = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says where it has no class of error: the machine's memory, a library on the device."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(message in str(error) for message in MESSAGES)


def free_memory() -> None:
    """Give back what the allocator keeps for tensors to come."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def split_batch(
    batch: Batch, carried: DecoderState | None, count: int
) -> Iterator[tuple[Batch, DecoderState | None]]:
    """A batch in so many parts (at most one for a row), each with its rows of the state carried on."""
    if count == 1:
        yield batch, carried
        return
    for rows in torch.arange(len(batch.src)).tensor_split(min(count, len(batch.src))):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        yield batch.part(part), map_tensors(lambda tensor, part=part: tensor[part], carried)


def join_states(states: Sequence[DecoderState | None]) -> DecoderState | None:
    """The states after the parts of a batch as those after the whole."""
    if len(states) == 1:
        return states[0]
    return map_tensors(lambda *parts: torch.cat(parts), *states)


def too_large_message(group: Sequence[Batch]) -> str:
    """What is to be said when not even one pair at a time can be learnt from."""
    batch = max((batch for batch in group), key=lambda batch: batch.src.shape[1] + batch.tgt.shape[1])
    return (
        f"memory runs out even with one pair at a time: the longest have {batch.src.shape[1]} and "
        f"{batch.tgt.shape[1] - 1} pieces. A smaller data.max_length or model is needed, or a larger machine"
    )
