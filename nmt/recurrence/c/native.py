"""The C back end: products, kernels and the loop over positions run in C, called once per sequence."""

import ctypes
import logging
from collections.abc import Sequence
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from nmt.errors import warn_once
from nmt.recurrence.c import compiler
from nmt.recurrence.c.code_generator import C_HEADER, generate_source
from nmt.recurrence.c.compiler import CompilerError, build_library, find_build_obstacle, read_sources
from nmt.recurrence.engine import Backend, Buffers, PositionStep, PreparedMatrix
from nmt.recurrence.trace.kernel import MASK, Kernel, TensorKey

log = logging.getLogger(__name__)
PANEL = 64  # rows of W are padded to a multiple of it: a multiple of every width in loop.c


class _ProductArguments(ctypes.Structure):
    """`struct product` of product.h."""

    _fields_ = (
        *((name, c_int64) for name in ("M", "N", "K")),
        *(("v", c_void_p), ("v_time", c_int64), ("across", c_int64), ("along", c_int64)),
        ("packed", c_void_p),
        *(("out", c_void_p), ("out_time", c_int64), ("out_row", c_int64)),
        *(("add", c_void_p), ("add_time", c_int64), ("add_row", c_int64)),
    )


class _KernelArguments(ctypes.Structure):
    """`struct buffers` of functions.h."""

    _fields_ = (("B", c_int64), ("H", c_int64), *((name, c_void_p) for name in ("base", "time", "row")))


class _LoopStep(ctypes.Structure):
    """`struct step` of loop.c."""

    _fields_ = (("run", c_void_p), ("arguments", c_void_p))


class CStep:
    """A C function and its arguments, to be run at a position; keeps the targets of its pointers alive.

    The first field of the arguments is the number of rows, which may be changed.
    """

    def __init__(self, run: Any, arguments: ctypes.Structure, *alive: object) -> None:
        self.run, self.arguments, self.alive = run, arguments, alive
        self.rows = c_int64.from_buffer(arguments)

    def __call__(self, t: int) -> None:
        self.run(t, ctypes.byref(self.arguments))


class CSteps:
    """Steps that run one after the other at every position, in one call."""

    def __init__(self, steps: Sequence[CStep]) -> None:
        self.steps = steps
        self.array = (_LoopStep * len(steps))()
        for entry, step in zip(self.array, steps, strict=True):
            entry.run, entry.arguments = ctypes.cast(step.run, c_void_p), ctypes.addressof(step.arguments)
        self.loop = load_loop(torch.float32).loop

    def set_rows(self, count: int) -> None:
        """Run the next positions for the first `count` rows of the buffers only."""
        for step in self.steps:
            step.rows.value = count

    def __call__(self, order: range = range(1)) -> None:
        self.loop(len(self.steps), self.array, order.start, len(order), order.step)


class PackedMatrix(PreparedMatrix):
    """A weight [N, K] in the order in which loop.c reads it, and the C function that multiplies by it."""

    row_preparation: ClassVar[float] = 6.0
    """Measured time to prepare a row, compared with multiplying one vector by it."""

    def __init__(self, weight: Tensor) -> None:
        self.N, self.K = weight.shape
        self.packed = weight.new_empty(-(-self.N // PANEL) * PANEL * self.K)
        library = load_loop(weight.dtype)
        self.run, self.dtype = library.product, weight.dtype
        library.pack(self.N, self.K, weight.data_ptr(), *weight.stride(), self.packed.data_ptr())

    def __call__(self, v: Tensor, add: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        out = v.new_empty(len(v), self.N) if out is None else out
        add_row = 0
        if add is not None:
            add = add if add.stride(-1) == 1 else add.contiguous()
            add_row = add.stride(0) if add.dim() == 2 and len(add) > 1 else 0
        v = v if 1 in v.stride() else v.contiguous()
        _check_one_dtype(self.dtype, v, out, *([] if add is None else [add]))
        arguments = _ProductArguments(
            *(len(v), self.N, self.K),
            *(v.data_ptr(), 0, *v.stride()),
            self.packed.data_ptr(),
            *(out.data_ptr(), 0, out.stride(0)),
            *((0, 0, 0) if add is None else (add.data_ptr(), 0, add_row)),
        )
        self.run(0, ctypes.byref(arguments))
        return out


class CBackend(Backend):
    """The C back end, for float32 and float64 on a CPU; other kernels are run by torch."""

    # Measured by benchmarks/fallback.py and benchmarks/cells.py.
    cost_without = "training takes up to twice as long, translation 3 to 6 times"

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        if like.device.type != "cpu":
            return "the model is not on the CPU"
        if like.dtype not in C_HEADER:
            return f"there are no products of {like.dtype}"
        return compiler.find_obstacle() or find_build_obstacle(load_loop, like.dtype)

    @staticmethod
    def supports(like: Tensor) -> bool:
        """Return True for tensors that C runs where there is a compiler."""
        return like.device.type == "cpu" and like.dtype in C_HEADER

    def matrix(self, weight: Tensor) -> PackedMatrix:
        return PackedMatrix(weight)

    def product(self, v: Tensor, matrix: Any, out: Tensor, add: Tensor | None = None) -> PositionStep:
        _check_one_dtype(matrix.dtype, v, out, *([] if add is None else [add]))
        if 1 not in v.stride()[1:]:
            v = v.contiguous()
        if add is not None and add.stride(-1) != 1:
            add = add.contiguous()
        _, M, K = v.shape
        arguments = _ProductArguments(
            *(M, matrix.N, K),
            *(v.data_ptr(), *v.stride()),
            matrix.packed.data_ptr(),
            *(out.data_ptr(), *out.stride()[:2]),
            *((0, 0, 0) if add is None else (add.data_ptr(), *add.expand_as(out).stride()[:2])),
        )
        return CStep(matrix.run, arguments, v, matrix, out, add)

    def kernel(
        self, kernel: Kernel, buffers: Buffers, adds: frozenset[TensorKey] = frozenset()
    ) -> PositionStep:
        keys = (*kernel.inputs, *kernel.outputs)
        tensors = [buffers[key] for key in keys]
        numbers = [tensor for key, tensor in zip(keys, tensors, strict=True) if key != MASK]
        run = compile_kernel(kernel, adds, tensors[-1].dtype)
        if run is None or any(tensor.stride(-1) != 1 for tensor in numbers):
            return super().kernel(kernel, buffers, adds)
        _check_one_dtype(numbers[0].dtype, *numbers)
        base = (c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
        time = (c_int64 * len(tensors))(*(tensor.stride(0) * tensor.element_size() for tensor in tensors))
        row = (c_int64 * len(tensors))(*(tensor.stride(1) * tensor.element_size() for tensor in tensors))
        addresses = (ctypes.addressof(array) for array in (base, time, row))
        arguments = _KernelArguments(*tensors[-1].shape[1:], *addresses)
        return CStep(run, arguments, tensors, base, time, row)

    def loop(self, steps: Sequence[PositionStep], order: range) -> None:
        compiled = [step for step in steps if isinstance(step, CStep)]
        if len(compiled) < len(steps):
            super().loop(steps, order)
        else:
            CSteps(compiled)(order)


def _check_one_dtype(dtype: torch.dtype, *tensors: Tensor) -> None:
    """Raise an error for tensors of other types, which C would misread."""
    if any(tensor.dtype != dtype for tensor in tensors):
        kinds = ", ".join(sorted({str(dtype), *(str(tensor.dtype) for tensor in tensors)}))
        raise TypeError(
            f"a step on tensors of several types ({kinds}): input, state and weights need one type"
        )


@cache
def load_loop(dtype: torch.dtype) -> Any:
    """Compile loop.c for a type of number."""
    loaded = build_library(C_HEADER[dtype] + read_sources("product.h", "loop.c"))
    loaded.pack.argtypes = [c_int64, c_int64, c_void_p, c_int64, c_int64, c_void_p]
    loaded.loop.argtypes = [c_int64, c_void_p, c_int64, c_int64, c_int64]
    loaded.product.argtypes = [c_int64, c_void_p]
    for run in (loaded.pack, loaded.loop, loaded.product):
        run.restype = None
    return loaded


@cache
def compile_kernel(kernel: Kernel, adds: frozenset[TensorKey], dtype: torch.dtype) -> Any:
    """Return the C function of a kernel; None if it cannot be generated or compiled."""
    text = generate_source(kernel, adds, dtype)
    try:
        loaded = None if text is None else build_library(text, contract=False).kernel
    except CompilerError as error:
        warn_once(log, f"torch runs a kernel that could not be compiled, more slowly: {error}")
        return None
    if loaded is not None:
        loaded.argtypes, loaded.restype = [c_int64, c_void_p], None
    return loaded
