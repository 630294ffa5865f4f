"""Products with a constant matrix, and tables of vectors: as they are, or in integers of eight bits.

A matrix is kept as integers of -127 to 127 with a scale for each column. What it is multiplied with is
rounded at run time, with a scale for each row; sums of integers have no rounding, so a row's result does not
depend on the rows beside it.
"""

from typing import Any

import onnx
import torch
from torch import Tensor

from nmt.export.graph import ORT, Graph, Name

NARROW = 16  # columns: a narrower product costs nothing, and is left as it is
MIDDLE = 128  # what stands for 0 in an operand of eight bits without a sign


def product(graph: Graph, x: Any, weight: Any, add: Any = None, *, flat: bool = False) -> Name:
    """`x W (+ add)` with W [K, N]; `flat` says that x is [M, K]."""
    if graph.weights.int8 and isinstance(weight, Tensor) and weight.shape[-1] >= NARROW:
        result = _in_integers(graph, x, weight)
    elif flat and isinstance(weight, Tensor):
        # Turned round it is as the model has it: an output layer shares the table of the embedding.
        return graph.add("Gemm", x, weight.t(), add, attributes={"transB": 1})  # type: ignore[no-any-return]
    else:
        result = graph.add("MatMul", x, weight)
    return result if add is None else graph.add("Add", result, add)


def _in_integers(graph: Graph, x: Any, weight: Tensor) -> Name:
    numbers, scales = rounded(weight, dim=0)
    xs, x_scales = rows(graph, x)
    one, middle = torch.tensor(1.0), torch.tensor(MIDDLE, dtype=torch.uint8)
    scaled = graph.add("MatMulIntegerToFloat", xs, numbers, one, scales[0], middle, domain=ORT)
    return graph.add("Mul", scaled, x_scales)  # type: ignore[no-any-return]


def rows(graph: Graph, x: Any) -> tuple[Name, Name]:
    """Rows as integers of 1 to 255 around `MIDDLE`, and their scales; a row of zeros stays one."""
    largest = graph.add("ReduceMax", graph.add("Abs", x), torch.tensor([-1]))
    scales = graph.add("Div", graph.add("Max", largest, torch.tensor(1e-30)), torch.tensor(127.0))
    whole = graph.add("Round", graph.add("Div", x, scales))
    shifted = graph.add("Add", whole, torch.tensor(float(MIDDLE)))
    return graph.add("Cast", shifted, attributes={"to": onnx.TensorProto.UINT8}), scales


def embedding(graph: Graph, table: Tensor, pieces: Any) -> Name:
    """The rows of a table [V, E] for some pieces."""
    if not graph.weights.int8:
        return graph.add("Gather", table, pieces)  # type: ignore[no-any-return]
    numbers, scales = rounded(table, dim=1)
    taken = graph.add("Gather", numbers, pieces)
    real = graph.add("Cast", taken, attributes={"to": onnx.TensorProto.FLOAT})
    return graph.add("Mul", real, graph.add("Gather", scales, pieces))  # type: ignore[no-any-return]


def rounded(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """A matrix as integers of -127 to 127, and the scale of each column (dim 0) or row (dim 1)."""
    scales = weight.abs().amax(dim, keepdim=True).clamp(min=1e-30) / 127
    return (weight / scales).round().to(torch.int8), scales
