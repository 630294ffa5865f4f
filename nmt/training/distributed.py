"""Data-parallel training: every process trains the whole model on every count-th row of each batch.

The only module that uses torch.distributed. torchrun, another launcher or Ray Train starts the processes.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from nmt.data.batches import Batch
from nmt.errors import NmtError, UsageError

LIMIT = timedelta(minutes=10)
"""Timeout for the other processes, which work on the same update."""
PATIENCE = timedelta(days=7)
"""Timeout for the work of the first process alone, such as encoding the corpus; if it dies, they notice."""
BUCKET = 1 << 23  # numbers per message when gradients are summed

T = TypeVar("T")


class ProcessLostError(NmtError):
    """Another process of the run has ended or does not respond."""


class Processes:
    """The processes of a run, as seen by one of them; this class is that of a single process.

    Gradients are summed, so all processes make the same update.
    """

    rank, count = 0, 1

    @property
    def is_first(self) -> bool:
        """True in the process that writes files."""
        return self.rank == 0

    def local_rows(self, batch: Batch) -> Batch | None:
        """Return the rows of a batch that this process trains on; None if there are too few for all."""
        if self.count == 1:
            return batch
        return batch.select_rows(slice(self.rank, None, self.count)) if self.rank < len(batch.src) else None

    def map_shared(self, items: Sequence[T], work: Callable[[Sequence[T]], list[str]]) -> list[str]:
        """Apply `work` to all items, each process to every count-th, and return all results in order."""
        own = work(items[self.rank :: self.count])
        if self.count == 1:
            return own
        results = [""] * len(items)
        for rank, part in enumerate(self.gather(json.dumps(own).encode())):
            results[rank :: self.count] = json.loads(part)
        return results

    def run_first_then_others(self, work: Callable[[], T]) -> T:
        """Return `work()`, called in the first process before the others, which then find its files."""
        results: list[T] = []
        self.run_on_first(lambda: results.append(work()))
        return results[0] if results else work()

    def run_on_first(self, work: Callable[[], T]) -> T:
        """Call `work` in the first process and return its plain value in all; if it fails, all stop."""
        return work()

    def maximum(self, value: float) -> float:
        """Return the maximum over all processes."""
        return value

    def gather(self, message: bytes) -> list[bytes]:
        """Return the messages of all processes, by rank."""
        return [message]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over all processes; a parameter without a gradient in all of them keeps none."""

    def broadcast_weights(self, model: nn.Module) -> None:
        """Copy the weights of the first process to all."""


SINGLE_PROCESS = Processes()


class ProcessGroup(Processes):
    """The processes of torch.distributed's process group; all must create this at the same time."""

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        # Plain values are exchanged over the CPU, even if gradients are not.
        self.plain = dist.new_group(backend="gloo", timeout=LIMIT)
        self.patient = dist.new_group(backend="gloo", timeout=PATIENCE)

    def run_on_first(self, work: Callable[[], T]) -> T:
        answer: dict[str, Any] = {}
        failure: NmtError | None = None
        if self.is_first:
            try:
                answer["value"] = work()
            except NmtError as error:
                failure, answer["exit_code"] = error, error.exit_code
        message = bytearray(json.dumps(answer).encode())
        size = torch.tensor([len(message)])
        with self._translate_errors():
            dist.broadcast(size, 0, group=self.patient)
            content = torch.empty(int(size), dtype=torch.uint8)
            if self.is_first:
                content = torch.frombuffer(message, dtype=torch.uint8)
            dist.broadcast(content, 0, group=self.patient)
        answer = json.loads(content.numpy().tobytes())
        if failure is not None:
            raise failure
        if "exit_code" in answer:
            lost = ProcessLostError(f"process {self.rank}: the first process has stopped; see its output")
            lost.exit_code = answer["exit_code"]
            raise lost
        value: T = answer["value"]
        return value

    def maximum(self, value: float) -> float:
        result = torch.tensor([value], dtype=torch.float64)
        with self._translate_errors():
            dist.all_reduce(result, op=dist.ReduceOp.MAX, group=self.plain)
        return result.item()

    def gather(self, message: bytes) -> list[bytes]:
        sizes = [torch.empty(1, dtype=torch.int64) for _ in range(self.count)]
        with self._translate_errors():
            dist.all_gather(sizes, torch.tensor([len(message)]), group=self.plain)
            widest = max(1, *map(int, sizes))
            rows = [torch.empty(widest, dtype=torch.uint8) for _ in sizes]
            padded = torch.frombuffer(bytearray(message.ljust(widest, b"\0")), dtype=torch.uint8)
            dist.all_gather(rows, padded, group=self.plain)
        return [row[: int(size)].numpy().tobytes() for row, size in zip(rows, sizes, strict=True)]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        for bucket in _buckets([p for p in parameters if p.requires_grad]):
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            owned = gradients[0].new_tensor([p.grad is not None for p in bucket])
            flat = torch.cat([*(gradient.flatten() for gradient in gradients), owned])
            with self._translate_errors():
                dist.all_reduce(flat)
            *sums, owned = torch.split(flat, [*(p.numel() for p in bucket), len(bucket)])
            for p, gradient, owners in zip(bucket, sums, owned.tolist(), strict=True):
                p.grad = gradient.view_as(p) if owners else None

    def broadcast_weights(self, model: nn.Module) -> None:
        with self._translate_errors():
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Convert torch's errors to ProcessLostError."""
        try:
            yield
        except RuntimeError as error:
            raise ProcessLostError(
                f"process {self.rank} (of {self.count}): another process has ended or does not respond "
                f"({_reason(error)}).\nSee its output; the same command resumes from the last checkpoint"
            ) from error


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Group parameters of the same type with at most `BUCKET` numbers (a larger one forms a group)."""
    bucket: list[nn.Parameter] = []
    size = 0
    for p in parameters:
        if bucket and (size + p.numel() > BUCKET or p.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(p)
        size += p.numel()
    if bucket:
        yield bucket


@dataclass(frozen=True)
class LaunchInfo:
    """The rank of this process among all, and (if the launcher sets it) among those of its machine."""

    rank: int
    count: int
    local_rank: int | None = None
    local_count: int = 1


def read_launch_info() -> LaunchInfo:
    """Read the environment variables that torchrun sets; UsageError if they are incomplete.

    Without WORLD_SIZE there is a single process.
    """
    count = _variable("WORLD_SIZE", 1)
    if count == 1:
        return LaunchInfo(0, 1)
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE={count} requires {count} processes, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set: start them with torchrun, or unset WORLD_SIZE"
        )
    rank = _variable("RANK", 0)
    local = _variable("LOCAL_RANK", 0) if "LOCAL_RANK" in os.environ else None
    return LaunchInfo(rank, count, local, _variable("LOCAL_WORLD_SIZE", 1))


def _variable(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise UsageError(f"{name}={text}: expected a number; unset it if no launcher set it")
    return int(text)


@contextmanager
def join_process_group(device: torch.device) -> Iterator[Processes]:
    """Yield the processes of this run: an existing process group, or that of the launcher's variables."""
    if dist.is_available() and dist.is_initialized():
        yield ProcessGroup() if dist.get_world_size() > 1 else SINGLE_PROCESS
    elif read_launch_info().count == 1:
        yield SINGLE_PROCESS
    else:
        group = _create_group(device)
        try:
            yield group
        finally:
            dist.destroy_process_group()


def _create_group(device: torch.device) -> ProcessGroup:
    """Create the process group of the launcher's variables."""
    on_gpu = device.type == "cuda"
    try:
        store, rank, count = next(dist.rendezvous("env://", timeout=LIMIT))  # type: ignore[attr-defined]
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            # torchrun's own store survives a restart, with the addresses of ended processes.
            start = f"start {os.environ['TORCHELASTIC_RESTART_COUNT']}"
            store = dist.PrefixStore(start, store)  # type: ignore[attr-defined]
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=count,
            timeout=LIMIT,
            device_id=device if on_gpu else None,
        )
        return ProcessGroup()
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ProcessLostError(
            f"the processes of this run could not connect to {address}: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    """Return the first sentence of torch's message, without its source location."""
    return re.sub(r"^\[\S+\] ", "", str(error).strip()).splitlines()[0].split(". ")[0]
