"""Kernels by `torch.compile`: C++ on a CPU, Triton on a GPU; inductor caches compiled kernels on disk."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils.dlpack import from_dlpack, to_dlpack  # type: ignore[attr-defined]

from nmt.recurrence.engine import Backend, Buffers, PositionStep
from nmt.recurrence.trace.kernel import Kernel, TensorKey

aten = torch.ops.aten


class InductorBackend(Backend):
    """Kernels compiled when first called, each a function that writes in place; products by torch."""

    cost_without = "that is slower; torch.compile needs Triton and a C compiler"

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        return find_obstacle(like.device.type)

    def kernel(
        self, kernel: Kernel, buffers: Buffers, adds: frozenset[TensorKey] = frozenset()
    ) -> PositionStep:
        if sum(node.op == "call_function" for node in kernel.graph.nodes) <= 1:
            return super().kernel(kernel, buffers, adds)  # calling torch is faster than calling compiled code
        tensors: list[Tensor] = []
        arguments = [_add_buffer(buffers[key], tensors) for key in (*kernel.inputs, *kernel.outputs)]
        run = _compile_kernel(kernel, adds, tuple(arguments), tensors[0].dtype, tensors[0].device)
        positions = list(zip(*map(_unbind_memory, tensors), strict=True))
        return lambda t: run(*positions[t])


def _add_buffer(buffer: Tensor, tensors: list[Tensor]) -> int:
    """Return the index of a buffer in `tensors`, after adding it unless its memory is already there."""
    for i, tensor in enumerate(tensors):
        if tensor.data_ptr() == buffer.data_ptr() and tensor.stride() == buffer.stride():
            return i
    tensors.append(buffer)
    return len(tensors) - 1


def _unbind_memory(buffer: Tensor) -> list[Tensor]:
    """Return the positions of a buffer as tensors without offset, which avoids recompilation."""
    return [from_dlpack(to_dlpack(position)) for position in buffer.detach().unbind(0)]


@cache
def _compile_kernel(
    kernel: Kernel,
    adds: frozenset[TensorKey],
    arguments: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> Callable[..., Any]:
    """Compile a kernel for any batch, and again for a batch of one, which is treated as a constant."""
    # torch.compile caches by a function's code: each kernel, type and device has a separate module.
    module = fx.GraphModule(torch.nn.Module(), in_place_graph(kernel, adds, arguments))
    return torch.compile(module.forward, fullgraph=True, dynamic=True)


def in_place_graph(kernel: Kernel, adds: frozenset[TensorKey], arguments: Sequence[int]) -> fx.Graph:
    """Make a kernel write its outputs: `arguments[i]` is the index of the buffer of its i-th key.

    A buffer that is read and written is one argument: as two, the compiler might write before it reads.
    """
    graph = fx.Graph()
    buffers = [graph.placeholder(f"buffer{i}") for i in range(max(arguments) + 1)]
    inputs, outputs = arguments[: len(kernel.inputs)], arguments[len(kernel.inputs) :]
    copies = dict(zip(kernel.input_nodes().values(), (buffers[i] for i in inputs), strict=True))
    graph.graph_copy(kernel.graph, copies)
    values = [copies[node] for node in kernel.output_nodes]
    # An output that is an input may share memory with one that is written before it is copied.
    values = [graph.call_function(aten.clone.default, (v,)) if v in buffers else v for v in values]
    for value, i, key in zip(values, outputs, kernel.outputs, strict=True):
        graph.call_function(aten.add_.Tensor if key in adds else aten.copy_.default, (buffers[i], value))
    graph.output(())
    return graph


@cache
def find_obstacle(device: str) -> str | None:
    """Return why torch.compile fails for a kind of device; None if it works. It takes seconds, once."""
    try:
        torch.compile(lambda v: v + 1)(torch.zeros(2, device=device))
    except Exception as error:  # each back end of inductor reports a missing compiler differently
        return str(error).strip().partition("\n")[0]
    return None
