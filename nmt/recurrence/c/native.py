"""Products, kernels and the loop over positions in C: nothing of Python between a sequence's two ends."""

import ctypes
from collections.abc import Sequence
from ctypes import c_long, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.recurrence.c import compiler
from nmt.recurrence.c.code_generator import NUMBER_TYPEDEF, generate_source
from nmt.recurrence.c.compiler import CompilerError, build_library
from nmt.recurrence.engine import Buffers, PositionStep, TorchBackend
from nmt.recurrence.trace.kernel import Kernel

PANEL = 64  # rows of W that `pack` may fill up to: a multiple of every width in loop.c


class _ProductArguments(ctypes.Structure):
    """`struct product` of loop.c."""

    _fields_ = (
        *((name, c_long) for name in ("M", "N", "K")),
        *(("v", c_void_p), ("v_time", c_long), ("across", c_long), ("along", c_long)),
        ("packed", c_void_p),
        *(("out", c_void_p), ("out_time", c_long), ("out_row", c_long)),
        *(("add", c_void_p), ("add_time", c_long), ("add_row", c_long)),
    )


class _KernelArguments(ctypes.Structure):
    """`struct places` of c_code.py."""

    _fields_ = (("B", c_long), ("H", c_long), *((name, c_void_p) for name in ("base", "time", "row")))


class _LoopStep(ctypes.Structure):
    """`struct step` of loop.c."""

    _fields_ = (("run", c_void_p), ("what", c_void_p))


class CStep:
    """A function in C and what it is about, to be run at a position; what it refers to is kept."""

    def __init__(self, run: Any, what: ctypes.Structure, *kept: object) -> None:
        self.run, self.what, self.kept = run, what, kept

    def __call__(self, t: int) -> None:
        self.run(t, ctypes.byref(self.what))


class PackedMatrix:
    """A weight [N, K] in the order in which the product of loop.c reads it."""

    def __init__(self, weight: Tensor) -> None:
        self.N, self.K = weight.shape
        self.numbers = weight.new_empty(-(-self.N // PANEL) * PANEL * self.K)
        pack = load_loop(weight.dtype).pack
        pack(self.N, self.K, weight.data_ptr(), *weight.stride(), self.numbers.data_ptr())

    def __call__(self, v: Tensor, add: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        out = v.new_empty(len(v), self.N) if out is None else out
        CBackend().product(v.unsqueeze(0), self, out.unsqueeze(0), add)(0)
        return out


def multiply_groups(
    v: Tensor, rows: Sequence[int], matrices: Sequence[PackedMatrix], biases: Sequence[Tensor]
) -> Tensor:
    """The first rows[0] rows of v [M, K] by the first matrix, the next by the second and so on.

    What comes out lies end to end.
    """
    count, widths, v = len(rows), [matrix.N for matrix in matrices], v.contiguous()
    out = v.new_empty(sum(height * width for height, width in zip(rows, widths, strict=True)))
    load_loop(v.dtype).products(
        *(count, (c_long * count)(*rows), v.shape[1], v.data_ptr(), (c_long * count)(*widths)),
        (c_void_p * count)(*(matrix.numbers.data_ptr() for matrix in matrices)),
        (c_void_p * count)(*(bias.data_ptr() for bias in biases)),
        out.data_ptr(),
    )
    return out


class CBackend:
    """Functions in C, on a CPU, of float32 and float64; a kernel that has none is run by torch."""

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        if like.device.type != "cpu":
            return "the model is not on the CPU"
        if like.dtype not in NUMBER_TYPEDEF:
            return f"there are no products of {like.dtype}"
        return compiler.find_obstacle()

    def matrix(self, weight: Tensor) -> PackedMatrix:
        return PackedMatrix(weight)

    def product(
        self, v: Tensor, matrix: PackedMatrix, out: Tensor, add: Tensor | None = None
    ) -> PositionStep:
        _check_one_dtype(v, matrix.numbers, out, *([] if add is None else [add]))
        if 1 not in v.stride()[1:]:
            v = v.contiguous()
        if add is not None and add.stride(-1) != 1:
            add = add.contiguous()
        added = (0, 0, 0) if add is None else (add.data_ptr(), *add.expand_as(out).stride()[:2])
        _, M, K = v.shape
        what = _ProductArguments(
            *(M, matrix.N, K),
            *(v.data_ptr(), *v.stride()),
            matrix.numbers.data_ptr(),
            *(out.data_ptr(), *out.stride()[:2]),
            *added,
        )
        return CStep(load_loop(v.dtype).product, what, v, matrix, out, add)

    def kernel(self, kernel: Kernel, places: Buffers, adds: frozenset[str]) -> PositionStep:
        names = (*kernel.reads, *kernel.gives)
        run = compile_kernel(kernel, adds, places[kernel.gives[0]].dtype)
        if run is None or any(places[name].stride(-1) != 1 for name in names if name != "real"):
            return TorchBackend().kernel(kernel, places, adds)
        tensors = [places[name] for name in names]
        _check_one_dtype(*(places[name] for name in names if name != "real"))
        base = (c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
        time = (c_long * len(tensors))(*(tensor.stride(0) * tensor.element_size() for tensor in tensors))
        row = (c_long * len(tensors))(*(tensor.stride(1) * tensor.element_size() for tensor in tensors))
        addresses = (ctypes.addressof(array) for array in (base, time, row))
        return CStep(run, _KernelArguments(*tensors[-1].shape[1:], *addresses), tensors, base, time, row)

    def loop(self, steps: Sequence[PositionStep], order: range) -> None:
        compiled = [step for step in steps if isinstance(step, CStep)]
        if len(compiled) < len(steps):
            TorchBackend().loop(steps, order)
        else:
            array = (_LoopStep * len(steps))()
            for place, step in zip(array, compiled, strict=True):
                place.run, place.what = ctypes.cast(step.run, c_void_p), ctypes.addressof(step.what)
            load_loop(torch.float32).loop(len(steps), array, order.start, len(order), order.step)


def _check_one_dtype(*tensors: Tensor) -> None:
    """C would read the numbers of another type as what they are not."""
    if len({tensor.dtype for tensor in tensors}) > 1:
        kinds = ", ".join(sorted({str(tensor.dtype) for tensor in tensors}))
        raise TypeError(f"a step with numbers of several types ({kinds}): input, state and weights need one")


@cache
def load_loop(dtype: torch.dtype) -> Any:
    """The functions of loop.c for a type of number."""
    loaded = build_library(NUMBER_TYPEDEF[dtype] + Path(__file__).with_name("loop.c").read_text())
    loaded.pack.argtypes = [c_long, c_long, c_void_p, c_long, c_long, c_void_p]
    loaded.loop.argtypes = [c_long, c_void_p, c_long, c_long, c_long]
    loaded.product.argtypes = [c_long, c_void_p]
    loaded.products.argtypes = [c_long, c_void_p, c_long, *[c_void_p] * 5]
    for run in (loaded.pack, loaded.loop, loaded.product, loaded.products):
        run.restype = None
    return loaded


@cache
def compile_kernel(kernel: Kernel, adds: frozenset[str], dtype: torch.dtype) -> Any:
    """The C function of a kernel, or None where it has none or none can be made."""
    text = generate_source(kernel, adds, dtype)
    try:
        loaded = None if text is None else build_library(text, contract=False).kernel
    except (OSError, CompilerError):
        return None
    if loaded is not None:
        loaded.argtypes, loaded.restype = [c_long, c_void_p], None
    return loaded
