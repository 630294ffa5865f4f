"""Kernels: the elementwise parts of a step as graphs of operations, and their derivatives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

ALIASES = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)


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


class Segment(NamedTuple):
    """What stands between two products: `forward`, and `backward` from gradients of what it gives."""

    forward: Kernel
    backward: Kernel


def trace(
    function: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor | None]], inputs: Mapping[str, Tensor]
) -> Kernel:
    """Run a function once on tensors that hold no values, and note the operations."""
    from torch.fx.experimental.proxy_tensor import make_fx  # a second that a translation need not wait for

    gives: list[str] = []

    def flat(*values: Tensor) -> list[Tensor]:
        given = function(dict(zip(inputs, values, strict=True)))
        kept = {name: value for name, value in given.items() if value is not None}
        gives[:] = kept
        return list(kept.values())

    graph = make_fx(flat, tracing_mode="fake")(*inputs.values()).graph
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target in ALIASES:
            node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()
    return _tidied(graph, tuple(inputs), tuple(gives))


def _tidied(graph: fx.Graph, names: Sequence[str], gives: tuple[str, ...]) -> Kernel:
    """Without the inputs that nothing reads."""
    reads = []
    for node, name in zip(graph.find_nodes(op="placeholder"), names, strict=True):
        if node.users:
            reads.append(name)
        else:
            graph.erase_node(node)
    return Kernel(graph, tuple(reads), gives)


def only(kernel: Kernel, names: Sequence[str]) -> Kernel:
    """The part of a kernel that gives some of its results."""
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.graph_copy(kernel.graph, copies)
    graph.output([copies[kernel.results[kernel.gives.index(name)]] for name in names])
    graph.eliminate_dead_code()
    return _tidied(graph, kernel.reads, tuple(names))


def fuse(kernel: Kernel, x: str, u: str) -> Kernel | None:
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
    return _tidied(kernel.graph, kernel.reads, kernel.gives)


def derivative(forward: Kernel, inputs: Mapping[str, Tensor], fixed: Sequence[str]) -> Kernel:
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

    return trace(pull, {**reads, **gradients})


def _of_one_value(operation: Any = None) -> Kernel:
    """What stands in a place is a value, or an operation's result of it."""
    graph = fx.Graph()
    value = graph.placeholder("value")
    graph.output([graph.call_function(operation, (value,)) if operation else value])
    return Kernel(graph, ("value",), ("place",))


COPY = _of_one_value()
BLANK = _of_one_value(torch.ops.aten.zeros_like.default)
