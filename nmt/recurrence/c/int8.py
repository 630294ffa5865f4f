"""Products in 8-bit integers for translation without gradients.

As in an exported model (decision 0015): one scale for each output of a weight and each row of an operand.
"""

from ctypes import CDLL, c_char_p, c_int64, c_void_p
from functools import cache

import torch
from torch import Tensor

from nmt.recurrence.c.compiler import build_library, find_build_obstacle, read_sources
from nmt.recurrence.c.native import CBackend, PackedMatrix

NARROW = 16  # outputs; a narrower product is cheap and stays in floating point


class Int8Matrix(PackedMatrix):
    """A weight [N, K] as integers, each row with its scale, in the order of product_int8.c."""

    row_preparation = 50.0

    def __init__(self, weight: Tensor) -> None:
        self.N, self.K = weight.shape
        library = load_product()
        self.packed = torch.empty(library.packed_size(self.N, self.K), dtype=torch.int8)
        library.pack(self.N, self.K, weight.data_ptr(), *weight.stride(), self.packed.data_ptr())
        self.run, self.dtype = library.product, weight.dtype


class Int8Backend(CBackend):
    """The C back end for float32, with products in 8-bit integers; no gradients."""

    @staticmethod
    def find_obstacle(like: Tensor) -> str | None:
        if like.dtype != torch.float32:
            return f"there are no 8-bit products of {like.dtype}"
        return CBackend.find_obstacle(like) or find_build_obstacle(load_product)

    def matrix(self, weight: Tensor) -> PackedMatrix:
        return Int8Matrix(weight) if len(weight) >= NARROW else PackedMatrix(weight)


def quantize_matrix(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Round a matrix to integers of -127 to 127; return the scale of each column (dim 0) or row (1), too."""
    scales = weight.abs().amax(dim, keepdim=True).clamp(min=1e-30) / 127
    return (weight / scales).round().to(torch.int8), scales


def name_instructions() -> str:
    """Return the name of the instructions that multiply in 8-bit integers, on a machine with a compiler."""
    return str(load_product().prepare().decode())


@cache
def load_product(removed: str = "") -> CDLL:
    """Compile product_int8.c; `removed` are lines that undefine instructions, for tests."""
    text = f"{removed}typedef float number;\n" + read_sources("product.h", "product_int8.c")
    # Products and sums are rounded separately, so that the result is the same with all instructions.
    library = build_library(text, contract=False)
    library.product.argtypes, library.product.restype = [c_int64, c_void_p], None
    library.packed_size.argtypes, library.packed_size.restype = [c_int64, c_int64], c_int64
    library.pack.argtypes = [c_int64, c_int64, c_void_p, c_int64, c_int64, c_void_p]
    library.pack.restype = None
    library.prepare.argtypes, library.prepare.restype = [], c_char_p
    library.prepare()
    return library
