"""A translator as two ONNX graphs: `encoder` and `step`."""

from collections.abc import Mapping
from typing import Any

import onnx
import torch
from onnx import helper
from torch import Tensor, fx, nn

from nmt.export.graph import IR_VERSION, OPSET, ORT, Graph, Name, Weights, declared
from nmt.export.operations import Call, translated
from nmt.export.parts import CellStep, Encode, Step, state_sizes
from nmt.model.translator import Translator

ANY = torch.export.Dim.DYNAMIC
B, S, R, K = 3, 5, 7, 4  # sizes of the examples that are traced: any will do that differ


class Traced:
    """A module's forward pass as a graph of torch's operations, and the values of its constants.

    `inputs` are tensors and lists of them; `sizes` has the axes of each that may be of any size.
    """

    def __init__(self, module: nn.Module, inputs: tuple[Any, ...], sizes: tuple[Any, ...]) -> None:
        with torch.no_grad():
            program = torch.export.export(module, inputs, dynamic_shapes=_dynamic(sizes), strict=False)
        self.graph, signature = program.graph, program.graph_signature
        self.graph.eliminate_dead_code()
        values: Mapping[str, Any] = {**program.state_dict, **program.constants}
        lifted = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        lifted |= signature.inputs_to_lifted_tensor_constants
        self.constants: dict[str, Tensor] = {name: values[place].detach() for name, place in lifted.items()}

    @property
    def inputs(self) -> list[fx.Node]:
        """The nodes of what is given, in order."""
        return [node for node in self.graph.find_nodes(op="placeholder") if node.name not in self.constants]

    @property
    def outputs(self) -> list[fx.Node]:
        """The nodes of the results, in order."""
        (given,) = self.graph.output_node().args
        return list(given)


def _dynamic(sizes: Any) -> Any:
    if isinstance(sizes, list):
        return [_dynamic(part) for part in sizes]
    if any(isinstance(part, (list, tuple)) for part in sizes):
        return tuple(_dynamic(part) for part in sizes)
    return dict.fromkeys(sizes, ANY)


class Builder:
    """Turns traced functions into graphs; a loop over positions is a graph within a graph."""

    def __init__(self, translator: Translator, weights: Weights) -> None:
        self.translator, self.weights = translator, weights

    def run(self, traced: Traced, graph: Graph, names: list[str]) -> list[Any]:
        """The values that a traced function gives for inputs of these names."""
        given = zip(traced.inputs, names, strict=True)
        values: dict[fx.Node, Any] = {node: Name(name) for node, name in given}
        for node in traced.graph.nodes:
            if node.op == "placeholder" and node not in values:
                values[node] = traced.constants[node.name]
            elif node.op == "call_function":
                values[node] = self.value(graph, node, values)
        return [values[node] for node in traced.outputs]

    def value(self, graph: Graph, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        """The value of an operation; what needs no input is worked out here and now."""
        found: Any = fx.map_arg((node.args, dict(node.kwargs)), values.__getitem__)
        arguments, keywords = found
        if node.target is torch.ops.nmt.scan.default:
            return self.loop(graph, *arguments)
        if not any(isinstance(leaf, Name) for leaf in _leaves(arguments)):
            return node.target(*arguments, **keywords)  # type: ignore[operator]
        return translated(Call(graph, node), arguments, keywords)

    def loop(
        self, graph: Graph, depth: int, direction: int, x: Any, real: Any, state: list[Any]
    ) -> list[Any]:
        """A layer of the encoder in one direction; gives every h and the last state."""
        step = CellStep(self.translator.encoder.stack.layers[depth], direction)
        before = [torch.zeros(B, step.cell.hidden_size) for _ in state]
        inputs = (before, torch.zeros(B, len(step.cell.b)), torch.ones(B, 1) > 0)
        traced = Traced(step, inputs, ([(0,) for _ in state], (0,), (0,)))
        body = Graph(self.weights, f"loop{depth}{'rl'[direction]}.")
        reads = [body.prefix + node.name for node in traced.inputs]
        gives = [f"{body.prefix}after{place}" for place in range(len(state) + 1)]
        new = self.run(traced, body, reads)
        body.give([*new, new[0]], gives)
        attributes = {
            "body": body.proto(
                declared(reads, traced.inputs), declared(gives, [*traced.outputs, traced.outputs[0]])
            ),
            "num_scan_inputs": 2,
            "scan_input_directions": [direction] * 2,
            "scan_output_directions": [direction],
        }
        *last, hs = graph.add("Scan", *state, x, real, outputs=len(state) + 1, attributes=attributes)
        return [hs, *last]


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [tree]


def encoder(translator: Translator, *, int8: bool) -> onnx.ModelProto:
    """src [B, S] to keys and values (with attention) and the parts of the decoder's first state."""
    traced = Traced(Encode(translator), (torch.full((B, S), 4),), ((0, 1),))
    return _model(translator, traced, ["src"], [*memory_names(translator), *state_names(translator)], int8)


def step(translator: Translator, *, int8: bool) -> onnx.ModelProto:
    """One position of R hypotheses of B sentences; its inputs and outputs are those of `Step`."""
    state = [torch.zeros(R - 1, size) for size in state_sizes(translator.decoder).values()]
    names, attended = memory_names(translator), list[Tensor]()
    if names:
        states = torch.zeros(B, S, translator.encoder.stack.output_size)
        known = [
            part.clone() for part in translator.decoder.attention.project_memory(states) if part is not None
        ]
        attended = [*known, torch.ones(B, S) > 0, torch.zeros(B, K, dtype=torch.int64), torch.arange(R)]
    inputs = (torch.full((R,), 4), torch.arange(R) % 3, state, attended)
    axes = [(0, 1)] * 4 + [(0,)] if attended else []
    traced = Traced(Step(translator), inputs, ((0,), (0,), [(0,) for _ in state], axes))
    parts = state_names(translator)
    reads = ["y", "parents", *parts, *([*names, "mask", "rows", "place"] if names else [])]
    gives = ["log_probs", *[f"next.{name}" for name in parts], *(["weights"] if names else [])]
    return _model(translator, traced, reads, gives, int8)


def best() -> onnx.ModelProto:
    """log_probs [R, V] to the `count` best of each row and their pieces, equal ones by piece."""
    real, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    declare = helper.make_tensor_value_info
    reads = [declare("log_probs", real, ["R", "V"]), declare("count", whole, [1])]
    gives = [declare("values", real, ["R", "N"]), declare("pieces", whole, ["R", "N"])]
    node = helper.make_node("TopK", ["log_probs", "count"], ["values", "pieces"])
    return _file(helper.make_graph([node], "best", reads, gives))


def memory_names(translator: Translator) -> list[str]:
    """What is remembered of every position of a sentence."""
    return ["keys", "values"] if translator.decoder.attention.context_size else []


def state_names(translator: Translator) -> list[str]:
    """The parts of the decoder's state."""
    return [f"state.{name}" for name in state_sizes(translator.decoder)]


def _model(
    translator: Translator, traced: Traced, reads: list[str], gives: list[str], int8: bool
) -> onnx.ModelProto:
    weights = Weights(int8=int8)
    graph = Graph(weights)
    graph.give(Builder(translator, weights).run(traced, graph, reads), gives)
    return _file(graph.proto(declared(reads, traced.inputs), declared(gives, traced.outputs)))


def _file(graph: onnx.GraphProto) -> onnx.ModelProto:
    opset = [helper.make_opsetid("", OPSET), helper.make_opsetid(ORT, 1)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="nmt")
