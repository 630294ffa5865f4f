"""ONNX graphs under construction: values, constants and nodes."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx

OPSET, IR_VERSION = 20, 10  # supported by onnxruntime 1.17 and later
ORT = "com.microsoft"  # the domain of onnxruntime's own operations

TYPES = {
    torch.float32: onnx.TensorProto.FLOAT,
    torch.int64: onnx.TensorProto.INT64,
    torch.bool: onnx.TensorProto.BOOL,
    torch.int8: onnx.TensorProto.INT8,
    torch.uint8: onnx.TensorProto.UINT8,
    torch.int32: onnx.TensorProto.INT32,
}


class ValueName(str):
    """The name of a value of the graph; other values are constants."""


class GraphConstants:
    """The constants of a model, without duplicates; with `int8` its matrices are 8-bit integers."""

    def __init__(self, *, int8: bool) -> None:
        self.int8 = int8
        self.protos: list[onnx.TensorProto] = []
        self._known: dict[str, ValueName] = {}

    def find_name(self, tensor: Tensor) -> ValueName:
        """Return the name of a constant, which is added if it is new."""
        array = np.asarray(tensor.detach().numpy(), order="C")
        key = sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
        if key not in self._known:
            name = self._known[key] = ValueName(f"w{len(self._known)}")
            self.protos.append(numpy_helper.from_array(array, name))
        return self._known[key]


class OnnxGraph:
    """Nodes in execution order; the body of a loop can use the values of the enclosing graph."""

    def __init__(self, constants: GraphConstants, prefix: str = "") -> None:
        self.constants, self.prefix = constants, prefix
        self.nodes: list[onnx.NodeProto] = []
        self.transposed: dict[ValueName, ValueName] = {}  # values with swapped last axes: their originals
        self._made: dict[bytes, list[ValueName]] = {}

    def add(self, operation: str, *inputs: Any, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add an operation, unless it already exists; return its value, or a list of several.

        Trailing inputs that are None are omitted.
        """
        read = [self.find_name(value) for value in inputs if value is not None]
        node = helper.make_node(operation, read, [], domain=domain, **attributes)
        key = node.SerializeToString(deterministic=True)
        if key not in self._made:
            self._made[key] = [ValueName(f"{self.prefix}v{len(self.nodes)}_{i}") for i in range(outputs)]
            node.output.extend(self._made[key])
            self.nodes.append(node)
        names = self._made[key]
        return names[0] if outputs == 1 else names

    def find_name(self, value: Any) -> ValueName:
        """Return the name of a value, which may be a constant."""
        if isinstance(value, ValueName):
            return value
        return self.constants.find_name(value if isinstance(value, Tensor) else torch.as_tensor(value))

    def concat_ints(self, values: Iterable[Any]) -> Any:
        """Concatenate integers, some of which may be values [1] of the graph, to one value [N]."""
        values = list(values)
        if not any(isinstance(value, ValueName) for value in values):
            return torch.tensor(values, dtype=torch.int64)
        parts = [v if isinstance(v, ValueName) else torch.tensor([v]) for v in values]
        return self.add("Concat", *parts, axis=0)

    def set_outputs(self, values: Sequence[Any], names: Sequence[str]) -> None:
        """Name the outputs of the graph."""
        for value, name in zip(values, names, strict=True):
            self.nodes.append(helper.make_node("Identity", [self.find_name(value)], [name]))

    def to_proto(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """Return the graph; the outermost one contains the constants of all."""
        initializers = [] if self.prefix else self.constants.protos
        nodes = _find_needed(self.nodes, {value.name for value in outputs})
        return helper.make_graph(nodes, self.prefix or "nmt", inputs, outputs, initializers)


def _find_needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes on which the outputs depend; onnxruntime would run all others, too."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            wanted.update(name for a in node.attribute for inner in a.g.node for name in inner.input)
            kept.append(node)
    return kept[::-1]


def declare_values(names: Sequence[str], nodes: Sequence[fx.Node]) -> list[onnx.ValueInfoProto]:
    """Declare inputs or outputs: types, and sizes if they are fixed."""
    declared = []
    for name, node in zip(names, nodes, strict=True):
        value = node.meta["val"]
        sizes = [size if isinstance(size, int) else str(size) for size in value.shape]
        declared.append(helper.make_tensor_value_info(name, TYPES[value.dtype], sizes))
    return declared
