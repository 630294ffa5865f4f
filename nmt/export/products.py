"""Products with a constant matrix, and embedding tables, in float32 or in 8-bit integers.

A matrix is stored as integers of -127 to 127 with a scale for each column. The other operand is rounded at
run time, with a scale for each row; sums of integers are exact, so a row does not depend on the others.
"""

from typing import Any

import onnx
import torch
from torch import Tensor

from nmt.export.graph import ORT, OnnxGraph, ValueName
from nmt.recurrence.c.int8 import NARROW, quantize_matrix

ZERO_POINT = 128  # the zero point of an unsigned 8-bit operand


def add_product(graph: OnnxGraph, x: Any, weight: Any, add: Any = None, *, flat: bool = False) -> ValueName:
    """Add x W, or x W + `add`, to a graph; W is [K, N], and with `flat` x is [M, K]."""
    if graph.constants.int8 and isinstance(weight, Tensor) and weight.shape[-1] >= NARROW:
        result = _multiply_int8(graph, x, weight)
    elif flat and isinstance(weight, Tensor):
        # Transposed as in the model: an output layer may share the embedding table.
        return graph.add("Gemm", x, weight.t(), add, transB=1)  # type: ignore[no-any-return]
    else:
        result = graph.add("MatMul", x, weight)
    return result if add is None else graph.add("Add", result, add)


def _multiply_int8(graph: OnnxGraph, x: Any, weight: Tensor) -> ValueName:
    """Multiply integers; the rows of x are rounded to integers of 1 to 255 around `ZERO_POINT`."""
    largest = graph.add("ReduceMax", graph.add("Abs", x), torch.tensor([-1]))
    x_scales = graph.add("Div", graph.add("Max", largest, torch.tensor(1e-30)), torch.tensor(127.0))
    rounded = graph.add("Round", graph.add("Div", x, x_scales))
    shifted = graph.add("Add", rounded, torch.tensor(float(ZERO_POINT)))
    xs = graph.add("Cast", shifted, to=onnx.TensorProto.UINT8)
    numbers, scales = quantize_matrix(weight, dim=0)
    one, zero_point = torch.tensor(1.0), torch.tensor(ZERO_POINT, dtype=torch.uint8)
    scaled = graph.add("MatMulIntegerToFloat", xs, numbers, one, scales[0], zero_point, domain=ORT)
    return graph.add("Mul", scaled, x_scales)  # type: ignore[no-any-return]


def look_up_embeddings(graph: OnnxGraph, table: Tensor, pieces: Any) -> ValueName:
    """Add the lookup of tokens in a table [V, E]."""
    if not graph.constants.int8:
        return graph.add("Gather", table, pieces)  # type: ignore[no-any-return]
    numbers, scales = quantize_matrix(table, dim=1)
    vectors = graph.add("Gather", numbers, pieces)
    real = graph.add("Cast", vectors, to=onnx.TensorProto.FLOAT)
    return graph.add("Mul", real, graph.add("Gather", scales, pieces))  # type: ignore[no-any-return]
