"""Kernels: the elementwise parts of a step as graphs of operations, and their derivatives."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class TensorKind(StrEnum):
    """Kinds of tensors that kernels read and write, [B, H] at one position unless noted."""

    INPUT = "x"  # W x + b of a gate, to which a fused product is added
    PRODUCT = "u"  # a recurrent product of a gate
    OPERAND = "v"  # the operand of a recurrent product
    STATE = "s"  # a field of the state before the step
    NEXT = "n"  # a field of the state after the step
    VECTOR = "p"  # a parameter [H] of the cell
    MASK = "mask"  # [B, 1]: True at tokens; elsewhere the state is kept
    KEEP = "keep"  # dropout mask of operands
    ZONE = "zone"  # share of the old value in a field of the next state
    COEFFICIENT = "a"  # a of s' = a∘s + b (parallel scan)
    ONE = "one"  # ones
    VALUE = "value"  # input of a kernel of one operation
    RESULT = "result"  # output of that kernel


CONSTANT = (TensorKind.MASK, TensorKind.KEEP, TensorKind.ZONE)  # read, never differentiated


class TensorKey(NamedTuple):
    """The key of a tensor in the buffers: kind, gate, field or vector, product; whether it is a gradient."""

    kind: TensorKind
    name: str = ""
    product: int = -1  # index of the product, of products and operands; else -1
    is_gradient: bool = False

    @property
    def gradient(self) -> "TensorKey":
        return TensorKey(self.kind, self.name, self.product, True)

    def __str__(self) -> str:
        number = "" if self.product < 0 else str(self.product)
        return f"{'d ' * self.is_gradient}{self.kind}{number}{self.name and '.' + self.name}"


@cache
def make_keys(kind: TensorKind, names: tuple[str, ...], product: int = -1) -> tuple[TensorKey, ...]:
    """Make the keys of several gates, fields or vectors."""
    return tuple(TensorKey(kind, name, product) for name in names)


def split_columns(keys: tuple[TensorKey, ...], columns: Tensor) -> dict[TensorKey, Tensor]:
    """Name the blocks of columns [..., n*H]."""
    return dict(zip(keys, columns.chunk(len(keys), -1), strict=True))


Tensors = Mapping[TensorKey, Tensor]
MASK, KEEP = TensorKey(TensorKind.MASK), TensorKey(TensorKind.KEEP)
VALUE, RESULT = TensorKey(TensorKind.VALUE), TensorKey(TensorKind.RESULT)


@dataclass(frozen=True, eq=False)
class Kernel:
    """A function of named tensors [B, H]: its operations, its inputs and its outputs."""

    graph: fx.Graph
    inputs: tuple[TensorKey, ...]
    outputs: tuple[TensorKey, ...]
    examples: Tensors  # tensors like the inputs

    @property
    def output_nodes(self) -> tuple[fx.Node, ...]:
        """The nodes whose values are the outputs, in their order."""
        (results,) = self.graph.output_node().args
        return tuple(cast(Sequence[fx.Node], results))

    def input_nodes(self) -> dict[TensorKey, fx.Node]:
        """Map each input to its placeholder."""
        return dict(zip(self.inputs, self.graph.find_nodes(op="placeholder"), strict=True))

    @cached_property
    def derivative(self) -> "Kernel":
        """The kernel from gradients of all outputs to those of all inputs, constants excepted.

        Intermediate values are recomputed from the inputs, so nothing else is saved. Derived at
        the first use; inference does not use it.
        """
        run = fx.GraphModule(torch.nn.Module(), self.graph)
        inputs = {key: self.examples[key] for key in self.inputs}
        varying = [key for key in inputs if key.kind not in CONSTANT]
        like = next(v for k, v in self.examples.items() if k.kind in (TensorKind.STATE, TensorKind.VALUE))
        zeros = torch.zeros_like(like)

        def pull_back(values: Tensors) -> dict[TensorKey, Tensor | None]:
            with torch.enable_grad():
                leaves = {key: values[key].detach().requires_grad_(key in varying) for key in inputs}
                outputs = dict(zip(self.outputs, run(*leaves.values()), strict=True))
                outputs = {key: value for key, value in outputs.items() if value.requires_grad}
                given = [values[key.gradient] for key in outputs]
                total = _WithGradients.apply(given, *outputs.values())  # type: ignore[no-untyped-call]
                gradients = torch.autograd.grad(total, [leaves[key] for key in varying], allow_unused=True)
            return {key.gradient: d for key, d in zip(varying, gradients, strict=True)}

        return trace_kernel(pull_back, {**inputs, **{key.gradient: zeros for key in self.outputs}})


class _WithGradients(torch.autograd.Function):
    """A scalar whose backward pass gives its operands these gradients.

    Passed to `torch.autograd.grad` instead, they would make it import torch's compiler, which takes a second.
    """

    @staticmethod
    def forward(ctx: Any, gradients: Sequence[Tensor], *values: Tensor) -> Tensor:
        ctx.gradients = gradients
        return values[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Any, ...]:
        return None, *ctx.gradients


def trace_kernel(
    function: Callable[[Tensors], Mapping[TensorKey, Tensor | None]], examples: Tensors
) -> Kernel:
    """Run a function once on zeros shaped like `examples` and record its operations."""
    recorder = _OperationRecorder()
    with torch.inference_mode(False):  # in inference mode composite operations are not split: no C for them
        inputs = {key: recorder.add_input(like) for key, like in examples.items()}
        with recorder:
            values = function(inputs)
    outputs = {key: value for key, value in values.items() if value is not None}
    recorder.graph.output([recorder.find_node(value) for value in outputs.values()])
    return _remove_unused(recorder.graph, tuple(examples), tuple(outputs), examples)


class _OperationRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that records every operation below autograd, including those of a backward pass."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.nodes: dict[int, fx.Node] = {}
        self.nodes_by_memory: dict[Any, fx.Node] = {}
        self.tensors: list[Tensor] = []  # kept alive, so that no other tensor takes their id or memory

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise torch imports its compiler, which takes a second

    def add_input(self, like: Tensor) -> Tensor:
        """Make the tensor of an input."""
        value = torch.zeros_like(like)
        self.add(value, self.graph.placeholder(f"a{len(self.nodes)}"))
        return value

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("it reads a value, which is unknown while tracing")
        result = operation(*args, **(kwargs or {}))
        arguments = tree_map_only(Tensor, self.find_node, (args, kwargs or {}))
        node = self.graph.call_function(operation, *arguments)
        if isinstance(result, Tensor):
            self.add(result, node)
        else:
            for i, part in enumerate(result):
                if part is not None:
                    self.add(part, self.graph.call_function(operator.getitem, (node, i)))
        return result

    def add(self, value: Tensor, node: fx.Node) -> None:
        self.nodes[id(value)] = node
        self.nodes_by_memory.setdefault(_memory_key(value), node)
        self.tensors.append(value)

    def find_node(self, value: Tensor) -> fx.Node:
        """Return the node of a tensor, or of one with the same memory; raise for one from outside."""
        node = self.nodes.get(id(value)) or self.nodes_by_memory.get(_memory_key(value))
        if node is None:
            raise RuntimeError("it reads a tensor that is neither its input nor one of its parameters")
        return node


def _memory_key(value: Tensor) -> tuple[Any, ...]:
    """Identify a tensor's memory: autograd saves a tensor as another object with the same memory."""
    return value.untyped_storage()._cdata, value.storage_offset(), value.shape, value.stride()


def _remove_unused(
    graph: fx.Graph, inputs: tuple[TensorKey, ...], outputs: tuple[TensorKey, ...], examples: Tensors
) -> Kernel:
    """Make a kernel without the operations and inputs that its outputs do not need."""
    graph.eliminate_dead_code()
    used = []
    for node, key in zip(graph.find_nodes(op="placeholder"), inputs, strict=True):
        if node.users:
            used.append(key)
        else:
            graph.erase_node(node)
    return Kernel(graph, tuple(used), outputs, examples)


def select_outputs(kernel: Kernel, outputs: Sequence[TensorKey]) -> Kernel:
    """Return the part of a kernel that computes some of its outputs."""
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.graph_copy(kernel.graph, copies)
    graph.output([copies[kernel.output_nodes[kernel.outputs.index(key)]] for key in outputs])
    return _remove_unused(graph, kernel.inputs, tuple(outputs), kernel.examples)


def fuse_sum(kernel: Kernel, x: TensorKey, u: TensorKey) -> Kernel | None:
    """Replace x + u by x alone, in a copy; None if the kernel reads the two in another way."""
    kernel = select_outputs(kernel, kernel.outputs)
    nodes = kernel.input_nodes()
    if x not in nodes and u not in nodes:
        return kernel
    if x not in nodes or u not in nodes or list(nodes[x].users) != list(nodes[u].users):
        return None
    if [node.target for node in nodes[x].users] != [torch.ops.aten.add.Tensor]:
        return None
    (total,) = nodes[x].users
    if total.kwargs or set(total.args) != {nodes[x], nodes[u]}:
        return None
    total.replace_all_uses_with(nodes[x])
    return _remove_unused(kernel.graph, kernel.inputs, kernel.outputs, kernel.examples)


def _single_operation(operation: Any = None) -> Kernel:
    """Return a kernel of one operation; without one, of a copy."""
    graph = fx.Graph()
    value = graph.placeholder("value")
    graph.output([graph.call_function(operation, (value,)) if operation else value])
    return Kernel(graph, (VALUE,), (RESULT,), {})


GAIN, BIAS = TensorKey(TensorKind.VECTOR, "gain"), TensorKey(TensorKind.VECTOR, "bias")


@cache
def layer_norm_kernel(size: int) -> Kernel:
    """Return the kernel of LN(value) gain + bias over rows of a size."""
    examples = {VALUE: torch.zeros(2, size), GAIN: torch.zeros(2, size), BIAS: torch.zeros(2, size)}
    return trace_kernel(lambda v: {RESULT: F.layer_norm(v[VALUE], (size,)) * v[GAIN] + v[BIAS]}, examples)


COPY_KERNEL = _single_operation()
TANH_KERNEL = _single_operation(torch.ops.aten.tanh.default)
ZERO_KERNEL = _single_operation(torch.ops.aten.zeros_like.default)
