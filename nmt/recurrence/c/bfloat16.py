"""Products with operands in bfloat16, and the reason where a processor cannot do them fast."""

import platform
from ctypes import c_int, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nmt.recurrence.c import compiler
from nmt.recurrence.c.compiler import build_library, find_build_obstacle, read_sources
from nmt.recurrence.c.native import CBackend, PackedMatrix

PANEL, DEPTH = 32, 32  # rows of W are padded to a multiple of PANEL, its columns to one of DEPTH
INSTRUCTIONS = {2: "AMX tiles", 1: "AVX-512 vectors"}
"""Names of what product_bf16.c uses, by what its `prepare` returns."""


def find_bfloat16_obstacle() -> str | None:
    """Return why products in bfloat16 cannot be faster than in float32 on this machine; None if they can."""
    has = torch.cpu.get_capabilities()
    if not has.get("avx512_bf16"):
        return f"this CPU ({platform.machine()}) has no instructions for it, so it would be slower"
    if obstacle := compiler.find_obstacle() or find_build_obstacle(load_product):
        return obstacle
    instructions = load_product().prepare()
    if has.get("amx_bf16") and instructions < 2:  # there, vectors of bfloat16 are slower than of float32
        lacking = "the compiler does not know AMX" if instructions else "the system does not permit AMX tiles"
        return f"{lacking}, without which it would be slower"
    return None


def name_instructions() -> str:
    """Return the name of the instructions that multiply in bfloat16, on a machine that has them."""
    return INSTRUCTIONS[load_product().prepare()]


class Bfloat16Matrix(PackedMatrix):
    """A float32 weight [N, K], rounded to bfloat16 and in the order in which product_bf16.c reads it."""

    def __init__(self, weight: Tensor) -> None:
        self.N, self.K = weight.shape
        rows, columns = -(-self.N // PANEL) * PANEL, -(-self.K // DEPTH) * DEPTH
        self.packed = weight.new_empty(rows * columns, dtype=torch.bfloat16)
        library = load_product()
        self.run, self.dtype = library.product, weight.dtype
        library.pack(self.N, self.K, weight.data_ptr(), *weight.stride(), self.packed.data_ptr())


class Bfloat16Backend(CBackend):
    """The C back end with products in bfloat16: operands are rounded, everything else is float32."""

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        return CBackend.find_obstacle(like) or find_bfloat16_obstacle()

    def matrix(self, weight: Tensor) -> Bfloat16Matrix:
        return Bfloat16Matrix(weight if 1 in weight.stride() else weight.contiguous())


@cache
def load_product(*, tiles: bool = True) -> Any:
    """Compile product_bf16.c; without `tiles` it uses vectors even if the processor has tiles."""
    text = "typedef float number;\n" + read_sources("product.h", "product_bf16.c")
    loaded = build_library(text if tiles else "#define NO_TILES\n" + text)
    loaded.pack.argtypes = [c_int64, c_int64, c_void_p, c_int64, c_int64, c_void_p]
    loaded.product.argtypes = [c_int64, c_void_p]
    loaded.pack.restype = loaded.product.restype = None
    loaded.prepare.argtypes, loaded.prepare.restype = [], c_int
    loaded.prepare()
    return loaded
