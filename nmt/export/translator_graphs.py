"""A translator as ONNX graphs: `encoder`, `step`, and `best`, which finds the most probable tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from onnx import helper
from torch import Tensor, fx, nn

from nmt.export.graph import IR_VERSION, OPSET, ORT, GraphConstants, OnnxGraph, ValueName, declare_values
from nmt.export.operations import Call, convert_operation
from nmt.export.traced_modules import EncoderModule, MaskedCellStep, StepModule, find_state_sizes
from nmt.model.translator import TranslationModel

ANY = torch.export.Dim.DYNAMIC
FIRST, FIRST_TWO = {0: ANY}, {0: ANY, 1: ANY}  # dynamic axes
B, S, R, K = 3, 5, 7, 4  # sizes of the traced examples: arbitrary, but distinct


class TracedModule:
    """A module's forward pass as a graph of torch operations, and the values of its constants.

    `inputs` are tensors and lists of them; `shapes` has the dynamic axes of each.
    """

    def __init__(self, module: nn.Module, inputs: tuple[Any, ...], shapes: tuple[Any, ...]) -> None:
        with torch.no_grad():
            program = torch.export.export(module, inputs, dynamic_shapes=shapes, strict=False)
        self.graph, signature = program.graph, program.graph_signature
        self.graph.eliminate_dead_code()
        values: Mapping[str, Any] = {**program.state_dict, **program.constants}
        lifted = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        lifted |= signature.inputs_to_lifted_tensor_constants
        self.constants: dict[str, Tensor] = {name: values[key].detach() for name, key in lifted.items()}
        placeholders = self.graph.find_nodes(op="placeholder")
        self.inputs: list[fx.Node] = [node for node in placeholders if node.name not in self.constants]
        (outputs,) = self.graph.output_node().args
        self.outputs: list[fx.Node] = list(outputs)


@dataclass
class GraphBuilder:
    """A converter of traced modules to ONNX; a loop over positions is a graph within a graph."""

    translator: TranslationModel
    constants: GraphConstants

    def convert(self, traced: TracedModule, graph: OnnxGraph, names: list[str]) -> list[Any]:
        """Add a traced module's operations to a graph, with inputs of these names; return its outputs."""
        inputs = zip(traced.inputs, names, strict=True)
        values: dict[fx.Node, Any] = {node: ValueName(name) for node, name in inputs}
        for node in traced.graph.nodes:
            if node.op == "placeholder" and node not in values:
                values[node] = traced.constants[node.name]
            elif node.op == "call_function":
                values[node] = self._convert_node(graph, node, values)
        return [values[node] for node in traced.outputs]

    def _convert_node(self, graph: OnnxGraph, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        """Convert an operation; one without inputs is computed immediately."""
        mapped: Any = fx.map_arg((node.args, dict(node.kwargs)), values.__getitem__)
        arguments, keywords = mapped
        if node.target is torch.ops.nmt.scan.default:
            return self._convert_scan(graph, *arguments)
        if not any(isinstance(leaf, ValueName) for leaf in _list_leaves(arguments)):
            return node.target(*arguments, **keywords)  # type: ignore[operator]
        return convert_operation(Call(graph, node), arguments, keywords)

    def _convert_scan(
        self, graph: OnnxGraph, depth: int, direction: int, x: Any, mask: Any, state: list[Any]
    ) -> list[Any]:
        """Convert a layer of the encoder in one direction; return every h and the last state."""
        step = MaskedCellStep(self.translator.encoder.stack.layers[depth], direction)
        start = [torch.zeros(B, step.cell.hidden_size) for _ in state]
        inputs = (start, torch.zeros(B, len(step.cell.b)), torch.ones(B, 1) > 0)
        traced = TracedModule(step, inputs, ([FIRST for _ in state], FIRST, FIRST))
        body = OnnxGraph(self.constants, f"loop{depth}{'rl'[direction]}.")
        reads = [body.prefix + node.name for node in traced.inputs]
        gives = [f"{body.prefix}after{index}" for index in range(len(state) + 1)]
        new = self.convert(traced, body, reads)
        body.set_outputs([*new, new[0]], gives)
        outputs = declare_values(gives, [*traced.outputs, traced.outputs[0]])
        *last, hs = graph.add(
            *("Scan", *state, x, mask),
            outputs=len(gives),
            body=body.to_proto(declare_values(reads, traced.inputs), outputs),
            num_scan_inputs=2,
            scan_input_directions=[direction] * 2,
            scan_output_directions=[direction],
        )
        return [hs, *last]


def _list_leaves(tree: Any) -> list[Any]:
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _list_leaves(part)]
    return [tree]


def build_encoder_graph(translator: TranslationModel, *, int8: bool) -> onnx.ModelProto:
    """Convert the encoder: src [B, S] to keys and values (with attention) and the initial decoder state."""
    traced = TracedModule(EncoderModule(translator), (torch.full((B, S), 4),), (FIRST_TWO,))
    return _convert(
        translator, traced, ["src"], [*list_memory_names(translator), *list_state_names(translator)], int8
    )


def build_step_graph(translator: TranslationModel, *, int8: bool) -> onnx.ModelProto:
    """Convert one position of R hypotheses of B sentences; inputs and outputs as in `StepModule`."""
    state = [torch.zeros(R - 1, size) for size in find_state_sizes(translator.decoder).values()]
    names, attended = list_memory_names(translator), list[Tensor]()
    if names:
        states = torch.zeros(B, S, translator.encoder.stack.layers[-1].output_size)
        memory = translator.decoder.attention.project_memory(states)
        known = [part.clone() for part in memory if part is not None]
        attended = [*known, torch.ones(B, S) > 0, torch.zeros(B, K, dtype=torch.int64), torch.arange(R)]
    inputs = (torch.full((R,), 4), torch.arange(R) % 3, state, attended)
    axes = [FIRST_TWO] * 4 + [FIRST] if attended else []
    traced = TracedModule(StepModule(translator), inputs, (FIRST, FIRST, [FIRST for _ in state], axes))
    parts = list_state_names(translator)
    reads = ["y", "parents", *parts, *([*names, "mask", "rows", "place"] if names else [])]
    gives = ["log_probs", *[f"next.{name}" for name in parts], *(["weights"] if names else [])]
    return _convert(translator, traced, reads, gives, int8)


def build_top_k_graph() -> onnx.ModelProto:
    """Build the graph from log_probs [R, V] to the `count` highest of each row; ties by token."""
    floats, ints = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    declare = helper.make_tensor_value_info
    reads = [declare("log_probs", floats, ["R", "V"]), declare("count", ints, [1])]
    gives = [declare("values", floats, ["R", "N"]), declare("pieces", ints, ["R", "N"])]
    node = helper.make_node("TopK", ["log_probs", "count"], ["values", "pieces"])
    return _to_model(helper.make_graph([node], "best", reads, gives))


def list_memory_names(translator: TranslationModel) -> list[str]:
    """Return the names of the arrays with an entry for each source position."""
    return ["keys", "values"] if translator.decoder.attention.context_size else []


def list_state_names(translator: TranslationModel) -> list[str]:
    """Return the names of the fields of the decoder's state."""
    return [f"state.{name}" for name in find_state_sizes(translator.decoder)]


def _convert(
    translator: TranslationModel, traced: TracedModule, reads: list[str], gives: list[str], int8: bool
) -> onnx.ModelProto:
    constants = GraphConstants(int8=int8)
    graph = OnnxGraph(constants)
    graph.set_outputs(GraphBuilder(translator, constants).convert(traced, graph, reads), gives)
    inputs, outputs = declare_values(reads, traced.inputs), declare_values(gives, traced.outputs)
    return _to_model(graph.to_proto(inputs, outputs))


def _to_model(graph: onnx.GraphProto) -> onnx.ModelProto:
    opset = [helper.make_opsetid("", OPSET), helper.make_opsetid(ORT, 1)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="nmt")
