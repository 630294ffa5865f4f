"""Kernels by `torch.compile`: C++ on a CPU, Triton on a GPU; inductor keeps on disk what it has made."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils.dlpack import from_dlpack, to_dlpack  # type: ignore[attr-defined]

from nmt.recurrence.engine import Buffers, PositionStep, TorchBackend
from nmt.recurrence.trace.kernel import Kernel

aten = torch.ops.aten


class InductorBackend(TorchBackend):
    """Kernels compiled when first called, each a function that writes in place; products by torch."""

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        return obstacle(like.device.type)

    def kernel(self, kernel: Kernel, places: Buffers, adds: frozenset[str]) -> PositionStep:
        if sum(node.op == "call_function" for node in kernel.graph.nodes) <= 1:
            return super().kernel(kernel, places, adds)  # torch is called sooner than what it compiles
        tensors: list[Tensor] = []
        slots = [_slot(places[name], tensors) for name in (*kernel.reads, *kernel.gives)]
        run = _function(kernel, adds, tuple(slots), tensors[0].dtype, tensors[0].device)
        positions = list(zip(*map(_alone, tensors), strict=True))
        return lambda t: run(*positions[t])


def _slot(place: Tensor, tensors: list[Tensor]) -> int:
    """Where a place stands among `tensors`, to which it is added where it is new."""
    for i, known in enumerate(tensors):
        if known.data_ptr() == place.data_ptr() and known.stride() == place.stride():
            return i
    tensors.append(place)
    return len(tensors) - 1


def _alone(place: Tensor) -> list[Tensor]:
    """The positions of a place, each as if it had memory of its own.

    A position of a larger tensor brings its offset along, which would be one more number to compile for.
    """
    return [from_dlpack(to_dlpack(position)) for position in place.detach().unbind(0)]


@cache
def _function(
    kernel: Kernel, adds: frozenset[str], slots: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> Callable[..., Any]:
    """A kernel compiled for any batch, and once more for a batch of one, which is taken for a constant.

    What is compiled hangs on the code of a function: each kernel, type and device has a module of its own.
    """
    module = fx.GraphModule(torch.nn.Module(), in_place_graph(kernel, adds, slots))
    return torch.compile(module.forward, fullgraph=True, dynamic=True)


def in_place_graph(kernel: Kernel, adds: frozenset[str], slots: Sequence[int]) -> fx.Graph:
    """A kernel that writes what it gives: input `slots[i]` is the place of the i-th of its names.

    Where something is read and given in one place the two are one input: a compiler that took them for two
    might write before it has read.
    """
    graph = fx.Graph()
    inputs = [graph.placeholder(f"place{i}") for i in range(max(slots) + 1)]
    read, given = slots[: len(kernel.reads)], slots[len(kernel.reads) :]
    copies = dict(zip(kernel.inputs().values(), (inputs[slot] for slot in read), strict=True))
    graph.graph_copy(kernel.graph, copies)
    values = [copies[node] for node in kernel.results]
    # What is given as it was read may stand in a place that is written before it is copied.
    values = [graph.call_function(aten.clone.default, (v,)) if v in inputs else v for v in values]
    for value, slot, name in zip(values, given, kernel.gives, strict=True):
        graph.call_function(aten.add_.Tensor if name in adds else aten.copy_.default, (inputs[slot], value))
    graph.output(())
    return graph


@cache
def obstacle(device: str) -> str | None:
    """Why torch.compile makes nothing for a kind of device; None where it does. It takes seconds, once."""
    try:
        torch.compile(lambda v: v + 1)(torch.zeros(2, device=device))
    except Exception as error:  # each back end of inductor has its own ways of lacking a compiler
        return str(error).strip().partition("\n")[0]
    return None
