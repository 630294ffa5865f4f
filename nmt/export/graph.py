"""From a traced function of torch to an ONNX graph: values, constants, and the graph under construction."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx

OPSET, IR_VERSION = 20, 10  # what onnxruntime 1.17 and later read
ORT = "com.microsoft"  # the domain of onnxruntime's own operations

TYPES = {
    torch.float32: onnx.TensorProto.FLOAT,
    torch.int64: onnx.TensorProto.INT64,
    torch.bool: onnx.TensorProto.BOOL,
    torch.int8: onnx.TensorProto.INT8,
    torch.uint8: onnx.TensorProto.UINT8,
    torch.int32: onnx.TensorProto.INT32,
}


class Name(str):
    """A value of the graph under construction, by its name; anything else is known while building."""


class Weights:
    """The constants of a model, each once; with `int8` its matrices are integers of eight bits."""

    def __init__(self, *, int8: bool) -> None:
        self.int8 = int8
        self.protos: list[onnx.TensorProto] = []
        self._known: dict[str, Name] = {}

    def name(self, tensor: Tensor) -> Name:
        array = np.asarray(tensor.detach().numpy(), order="C")
        mark = sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()
        if mark not in self._known:
            name = self._known[mark] = Name(f"w{len(self._known)}")
            self.protos.append(numpy_helper.from_array(array, name))
        return self._known[mark]


class Graph:
    """Nodes in the order in which they run; bodies of loops see the values of the graph around them."""

    def __init__(self, weights: Weights, prefix: str = "") -> None:
        self.weights, self.prefix = weights, prefix
        self.nodes: list[onnx.NodeProto] = []
        self.turned: dict[Name, Name] = {}  # what has its last two axes swapped, and what it was made from
        self._made: dict[bytes, list[Name]] = {}

    def add(
        self,
        operation: str,
        *inputs: Any,
        outputs: int = 1,
        attributes: Mapping[str, Any] | None = None,
        domain: str = "",
    ) -> Any:
        """The value of an operation, or a list of them where there are several; the same is added once.

        Inputs that are None, the last ones, are left out.
        """
        read = [self.named(value) for value in inputs if value is not None]
        node = helper.make_node(operation, read, [], domain=domain, **(attributes or {}))
        mark = node.SerializeToString(deterministic=True)
        if mark not in self._made:
            self._made[mark] = [Name(f"{self.prefix}v{len(self.nodes)}_{i}") for i in range(outputs)]
            node.output.extend(self._made[mark])
            self.nodes.append(node)
        names = self._made[mark]
        return names[0] if outputs == 1 else names

    def named(self, value: Any) -> Name:
        """The name of a value, which may be a constant."""
        if isinstance(value, Name):
            return value
        return self.weights.name(value if isinstance(value, Tensor) else torch.as_tensor(value))

    def ints(self, values: Iterable[Any]) -> Any:
        """Integers, some of them perhaps values [1] of the graph, as one value [N]."""
        values = list(values)
        if not any(isinstance(value, Name) for value in values):
            return torch.tensor(values, dtype=torch.int64)
        parts = [v if isinstance(v, Name) else torch.tensor([v]) for v in values]
        return self.add("Concat", *parts, attributes={"axis": 0})

    def give(self, values: Sequence[Any], names: Sequence[str]) -> None:
        """Values under the names that they have outside the graph."""
        for value, name in zip(values, names, strict=True):
            self.nodes.append(helper.make_node("Identity", [self.named(value)], [name]))

    def proto(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """The finished graph; the outermost one holds the constants of all."""
        constants = [] if self.prefix else self.weights.protos
        nodes = _needed(self.nodes, {value.name for value in outputs})
        return helper.make_graph(nodes, self.prefix or "nmt", inputs, outputs, constants)


def _needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that something depends on: onnxruntime would run the others too."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            wanted.update(name for a in node.attribute for inner in a.g.node for name in inner.input)
            kept.append(node)
    return kept[::-1]


def declared(names: Sequence[str], nodes: Sequence[fx.Node]) -> list[onnx.ValueInfoProto]:
    """How a graph declares inputs or outputs: types, and sizes where they are fixed."""
    return [_declared(name, node.meta["val"]) for name, node in zip(names, nodes, strict=True)]


def _declared(name: str, value: Tensor) -> onnx.ValueInfoProto:
    sizes = [size if isinstance(size, int) else str(size) for size in value.shape]
    return helper.make_tensor_value_info(name, TYPES[value.dtype], sizes)
