"""Kernels: the elementwise parts of a step as graphs of operations, and their derivatives."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class Kernel(NamedTuple):
    """A function of named tensors [B, H]: its operations, what it reads and what it gives."""

    graph: fx.Graph
    reads: tuple[str, ...]
    gives: tuple[str, ...]

    @property
    def results(self) -> tuple[fx.Node, ...]:
        """The nodes whose values are given, in the order of `gives`."""
        (results,) = self.graph.output_node().args
        assert isinstance(results, (list, tuple))
        return tuple(node for node in results if isinstance(node, fx.Node))

    def inputs(self) -> dict[str, fx.Node]:
        """The nodes that stand for what is read, by name."""
        return dict(zip(self.reads, self.graph.find_nodes(op="placeholder"), strict=True))


class KernelPair:
    """What stands between two products: `forward`, and `backward` from gradients of what it gives."""

    def __init__(self, forward: Kernel, inputs: Mapping[str, Tensor], fixed: Sequence[str]) -> None:
        self.forward, self._inputs, self._fixed = forward, inputs, fixed

    @cached_property
    def backward(self) -> Kernel:
        """Derived when it is first asked for: translating never does."""
        return trace_derivative(self.forward, self._inputs, self._fixed)


def trace_kernel(
    function: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor | None]], inputs: Mapping[str, Tensor]
) -> Kernel:
    """Run a function once on tensors of zeros, and note the operations."""
    record = _OperationRecorder()
    values = {name: record.placeholder(like) for name, like in inputs.items()}
    with record:
        given = function(values)
    kept = {name: value for name, value in given.items() if value is not None}
    record.graph.output([record.node(value) for value in kept.values()])
    record.graph.eliminate_dead_code()
    return _drop_unused_inputs(record.graph, tuple(inputs), tuple(kept))


class _OperationRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation below autograd, so that those of a backward pass are noted too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.nodes: dict[int, fx.Node] = {}
        self.places: dict[Any, fx.Node] = {}
        self.made: list[Tensor] = []  # while they live no other tensor takes their name or place

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler to tell it so, which takes a second

    def placeholder(self, like: Tensor) -> Tensor:
        """A tensor that stands for an input."""
        value = torch.zeros_like(like)
        self.put(value, self.graph.placeholder(f"a{len(self.nodes)}"))
        return value

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("it looks at a value, which is not known before there is a sentence")
        result = operation(*args, **(kwargs or {}))
        node = self.graph.call_function(operation, *tree_map_only(Tensor, self.node, (args, kwargs or {})))
        if isinstance(result, Tensor):
            self.put(result, node)
        else:
            for i, part in enumerate(result):
                if part is not None:
                    self.put(part, self.graph.call_function(operator.getitem, (node, i)))
        return result

    def put(self, value: Tensor, node: fx.Node) -> None:
        self.nodes[id(value)] = node
        self.places.setdefault(_memory_key(value), node)
        self.made.append(value)

    def node(self, value: Tensor) -> fx.Node:
        """What made a tensor, or lies where it does; one from outside the function is refused."""
        found = self.nodes.get(id(value)) or self.places.get(_memory_key(value))
        if found is None:
            raise RuntimeError("it reads a tensor that is neither its input nor one of its parameters")
        return found


def _memory_key(value: Tensor) -> tuple[Any, ...]:
    """Where a tensor lies: what autograd keeps of a tensor is another object in the same place."""
    return value.untyped_storage()._cdata, value.storage_offset(), value.shape, value.stride()


def _drop_unused_inputs(graph: fx.Graph, names: Sequence[str], gives: tuple[str, ...]) -> Kernel:
    """Without the inputs that nothing reads."""
    reads = []
    for node, name in zip(graph.find_nodes(op="placeholder"), names, strict=True):
        if node.users:
            reads.append(name)
        else:
            graph.erase_node(node)
    return Kernel(graph, tuple(reads), gives)


def select_outputs(kernel: Kernel, names: Sequence[str]) -> Kernel:
    """The part of a kernel that gives some of its results."""
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.graph_copy(kernel.graph, copies)
    graph.output([copies[kernel.results[kernel.gives.index(name)]] for name in names])
    graph.eliminate_dead_code()
    return _drop_unused_inputs(graph, kernel.reads, tuple(names))


def fuse_sum(kernel: Kernel, x: str, u: str) -> Kernel | None:
    """The kernel with x + u read as x alone, or None where it reads the two in any other way."""
    inputs = kernel.inputs()
    if x not in inputs and u not in inputs:
        return kernel
    if x not in inputs or u not in inputs or list(inputs[x].users) != list(inputs[u].users):
        return None
    if [node.target for node in inputs[x].users] != [torch.ops.aten.add.Tensor]:
        return None
    (total,) = inputs[x].users
    if total.kwargs or set(total.args) != {inputs[x], inputs[u]}:
        return None
    total.replace_all_uses_with(inputs[x])
    kernel.graph.erase_node(total)
    return _drop_unused_inputs(kernel.graph, kernel.reads, kernel.gives)


def trace_derivative(forward: Kernel, inputs: Mapping[str, Tensor], fixed: Sequence[str]) -> Kernel:
    """Gradients 'd a' of all that a kernel gives to 'd a' of all that it reads, but for what is fixed.

    Values between are worked out anew from what was read, so that nothing else need be saved.
    """
    run = fx.GraphModule(torch.nn.Module(), forward.graph)
    reads = {name: inputs[name] for name in forward.reads}
    varying = [name for name in reads if name not in fixed]
    gradients = {f"d {name}": torch.zeros_like(inputs["s.h"]) for name in forward.gives}

    def pull(values: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
        with torch.enable_grad():
            leaves = {name: values[name].detach().requires_grad_(name in varying) for name in reads}
            given = dict(zip(forward.gives, run(*leaves.values()), strict=True))
            given = {name: value for name, value in given.items() if value.requires_grad}
            pulled = torch.autograd.grad(
                list(given.values()),
                [leaves[name] for name in varying],
                [values[f"d {name}"] for name in given],
                allow_unused=True,
            )
        return {f"d {name}": d for name, d in zip(varying, pulled, strict=True)}

    return trace_kernel(pull, {**reads, **gradients})


def _of_one_value(operation: Any = None) -> Kernel:
    """What stands in a place is a value, or an operation's result of it."""
    graph = fx.Graph()
    value = graph.placeholder("value")
    graph.output([graph.call_function(operation, (value,)) if operation else value])
    return Kernel(graph, ("value",), ("place",))


COPY_KERNEL = _of_one_value()
ZERO_KERNEL = _of_one_value(torch.ops.aten.zeros_like.default)
