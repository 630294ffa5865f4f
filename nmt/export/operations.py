"""The operations of torch that translators and cells use, in ONNX."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from onnx import numpy_helper
from torch import Tensor, fx

from nmt.errors import UsageError
from nmt.export.graph import TYPES, OnnxGraph, ValueName
from nmt.export.products import look_up_embeddings, product


class Call(NamedTuple):
    """An operation of the trace, and the graph that it is added to."""

    graph: OnnxGraph
    node: fx.Node

    def input_value(self, index: int = 0) -> Tensor:
        """Return the example value of an argument."""
        argument = self.node.args[index]
        assert isinstance(argument, fx.Node)
        return argument.meta["val"]  # type: ignore[no-any-return]

    @property
    def output_value(self) -> Any:
        """The example value of the result."""
        return self.node.meta["val"]

    def __call__(
        self, operation: str, *inputs: Any, outputs: int = 1, attributes: Mapping[str, Any] | None = None
    ) -> Any:
        return self.graph.add(operation, *inputs, outputs=outputs, attributes=attributes)


ELEMENTWISE = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "abs": "Abs",
    "reciprocal": "Reciprocal", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "pow": "Pow",
    "sin": "Sin", "cos": "Cos", "erf": "Erf",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softplus": "Softplus", "softsign": "Softsign",
    "maximum": "Max", "minimum": "Min", "where": "Where", "eq": "Equal", "gt": "Greater", "lt": "Less",
    "ge": "GreaterOrEqual", "le": "LessOrEqual", "logical_not": "Not", "bitwise_not": "Not",
    "logical_and": "And", "bitwise_and": "And", "logical_or": "Or", "bitwise_or": "Or",
}  # fmt: skip
# Keywords that do not affect the value; the trace knows the type.
IGNORED_KEYWORDS = {"pin_memory", "memory_format", "device", "layout", "dtype"}
SAME = ("alias", "detach", "detach_", "clone", "contiguous", "dropout", "lift_fresh_copy")


def convert_operation(call: Call, arguments: Sequence[Any], keywords: Iterable[str]) -> Any:
    """Convert an operation of torch to its value or values; raise UsageError for an unknown one."""
    if call.node.target is operator.getitem:
        return arguments[0][arguments[1]]
    name = str(call.node.target).removeprefix("aten.").split(".")[0]
    if name.startswith("_assert"):
        return None
    known = name in SAME or name in ELEMENTWISE or name in OPERATIONS
    if not known or set(keywords) - IGNORED_KEYWORDS:
        raise UsageError(
            f"this model cannot be exported: it uses {call.node.target}, which has no ONNX equivalent here"
        )
    if name in SAME:
        return arguments[0]
    if name in ELEMENTWISE:
        return call(ELEMENTWISE[name], *to_same_type(call, arguments))
    return OPERATIONS[name](call, *arguments)


def to_same_type(call: Call, values: Sequence[Any]) -> list[Any]:
    """Cast the operands of an elementwise operation to one type, as ONNX requires."""
    types = [arg.meta["val"].dtype for arg in call.node.args if isinstance(arg, fx.Node)]
    after = call.output_value.dtype
    wanted = after if after != torch.bool else next((t for t in types if t != torch.bool), torch.bool)
    result: list[Any] = []
    for value, arg in zip(values, call.node.args, strict=True):
        if not isinstance(value, (ValueName, Tensor)):
            result.append(torch.tensor(value, dtype=wanted))
        elif arg.meta["val"].dtype not in (wanted, torch.bool):  # type: ignore[union-attr]
            result.append(call("Cast", value, attributes={"to": TYPES[wanted]}))
        else:
            result.append(value)
    return result


def cast(call: Call, x: Any, *_: Any) -> Any:
    return call("Cast", x, attributes={"to": TYPES[call.output_value.dtype]})


def linear(call: Call, x: Any, weight: Any, bias: Any = None) -> Any:
    return product(call.graph, x, weight.t(), bias, flat=call.input_value().dim() == 2)


def bmm(call: Call, x: Any, y: Any) -> Any:
    """x y; if y is a transposed value, (yᵀ xᵀ)ᵀ with the original instead.

    So keys are not copied, and a score is summed in the same order whatever the longest sentence is.
    """
    if y not in call.graph.transposed:
        return call("MatMul", x, y)
    return swap(call, call("MatMul", call.graph.transposed[y], swap(call, x)))


def swap(call: Call, x: Any) -> Any:
    """[B, M, N] to [B, N, M]."""
    if x in call.graph.transposed:
        return call.graph.transposed[x]
    result = call("Transpose", x, attributes={"perm": [0, 2, 1]})
    call.graph.transposed[result] = x
    return result


def transpose(call: Call, x: Any, first: int, second: int) -> Any:
    order = list(range(call.input_value().dim()))
    order[first], order[second] = order[second], order[first]
    return swap(call, x) if order == [0, 2, 1] else call("Transpose", x, attributes={"perm": order})


def reshape(call: Call, x: Any, given: Any = (), *_: Any) -> Any:
    """Reshape to the sizes of the trace: fixed, unchanged at their axis (0), or inferred (-1)."""
    given = given if isinstance(given, (list, tuple)) and len(given) == call.output_value.dim() else []
    before, after = list(map(str, call.input_value().shape)), list(map(str, call.output_value.shape))
    if before == after:
        return x
    unknown = [size for size in after if not size.isdigit()]
    sizes: list[Any] = []
    for index, size in enumerate(after):
        if size.isdigit():
            sizes.append(int(size))
        elif len(unknown) == 1:
            sizes.append(-1)
        elif before[index : index + 1] == [size]:
            sizes.append(0)
        elif given and isinstance(given[index], ValueName):
            sizes.append(given[index])
        elif size in before:
            sizes.append(size_of(call, x, before.index(size)))
        else:
            sizes.append(-1)
    return call("Reshape", x, call.graph.ints(sizes))


def size_of(call: Call, x: Any, axis: int) -> Any:
    return call("Shape", x, attributes={"start": axis, "end": axis + 1})


def repeat_interleave(call: Call, x: Any, count: int, axis: int) -> Any:
    """Repeat every slice of an axis, with its copies adjacent."""
    sizes = [count if index == axis + 1 else 1 for index in range(call.input_value().dim() + 1)]
    copies = call("Expand", unsqueeze(call, x, axis + 1), torch.tensor(sizes))
    after = [size_of(call, x, later) for later in range(axis + 1, call.input_value().dim())]
    return call("Reshape", copies, call.graph.ints([*[0] * axis, -1, *after]))


def unsqueeze(call: Call, x: Any, axis: int) -> Any:
    return call("Unsqueeze", x, torch.tensor([axis]))


def split(call: Call, x: Any, _: Any, axis: int = 0) -> Any:
    sizes = torch.tensor([int(part.shape[axis]) for part in call.output_value])
    return call("Split", x, sizes, outputs=len(sizes), attributes={"axis": axis}) if len(sizes) > 1 else [x]


def cat(call: Call, parts: Sequence[Any], axis: int = 0) -> Any:
    return parts[0] if len(parts) == 1 else call("Concat", *parts, attributes={"axis": axis})


def gather(call: Call, x: Any, axis: int, indices: Any) -> Any:
    return call("Gather", x, indices, attributes={"axis": axis})


def slice_axis(call: Call, x: Any, axis: int = 0, start: Any = 0, end: Any = None, step: int = 1) -> Any:
    bounds = [torch.tensor([number]) for number in (start or 0, 2**62 if end is None else end, axis, step)]
    return call("Slice", x, *bounds)


def zeros(call: Call, _: Any, sizes: Sequence[Any], fill: float = 0.0) -> Any:
    value = numpy_helper.from_array(torch.tensor([fill], dtype=call.output_value.dtype).numpy())
    return call("ConstantOfShape", call.graph.ints(sizes), attributes={"value": value})


def zeros_like(call: Call, x: Any) -> Any:
    value = numpy_helper.from_array(torch.zeros(1, dtype=call.output_value.dtype).numpy())
    return call("ConstantOfShape", call("Shape", x), attributes={"value": value})


def pad(call: Call, x: Any, widths: Sequence[int], *_: Any) -> Any:
    none = [0] * (call.input_value().dim() - len(widths) // 2)
    before, after = none + list(widths[-2::-2]), none + list(widths[-1::-2])
    return call("Pad", x, torch.tensor(before + after))


def layer_norm(
    call: Call, x: Any, size: Sequence[int], gain: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    gain = torch.ones(*size) if gain is None else gain
    return call("LayerNormalization", x, gain, bias, attributes={"axis": -len(size), "epsilon": eps})


def sum_axes(call: Call, x: Any, axes: Any, keep: bool = False) -> Any:
    """Sum; over positions [B, S, M] as a product, which adds in the same order whatever padding follows."""
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    if call.input_value().dim() != 3 or axes != [1]:
        return call("ReduceSum", x, torch.tensor(axes), attributes={"keepdims": int(keep)})
    one = numpy_helper.from_array(torch.ones(1).numpy())
    sizes = call.graph.ints([2, size_of(call, x, 1)])  # two rows: see `OnnxModel`
    ones = call("ConstantOfShape", sizes, attributes={"value": one})
    return gather(call, call("MatMul", ones, x), 1, torch.tensor([0] if keep else 0))


def mean(call: Call, x: Any, axes: Any, keep: bool = False) -> Any:
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    return call("ReduceMean", x, torch.tensor(axes), attributes={"keepdims": int(keep)})


OPERATIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("to", "_to_copy", "type_as"), cast),
    "ne": lambda call, x, y: call("Not", call("Equal", *to_same_type(call, (x, y)))),
    "rsub": lambda call, x, y: call("Sub", *to_same_type(call, (x, y))[::-1]),
    "linear": linear,
    "addmm": lambda call, add, x, weight: product(call.graph, x, weight, add, flat=True),
    "mm": lambda call, x, weight: product(call.graph, x, weight, flat=True),
    "matmul": lambda call, x, weight: product(call.graph, x, weight),
    "bmm": bmm,
    "embedding": lambda call, table, tokens, *_: look_up_embeddings(call.graph, table, tokens),
    "transpose": transpose,
    "t": lambda call, x: call("Transpose", x, attributes={"perm": [1, 0]}),
    "permute": lambda call, x, axes: call("Transpose", x, attributes={"perm": [a % len(axes) for a in axes]}),
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "flatten", "unflatten"), reshape),
    "expand": lambda call, x, sizes, *_: call(
        "Expand", x, call.graph.ints(1 if n == -1 else n for n in sizes)
    ),
    "repeat_interleave": repeat_interleave,
    "unsqueeze": unsqueeze,
    "squeeze": lambda call, x, axis: call("Squeeze", x, torch.tensor([axis])),
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), split),
    "cat": cat,
    "stack": lambda call, parts, axis=0: cat(call, [unsqueeze(call, part, axis) for part in parts], axis),
    "select": lambda call, x, axis, index: gather(call, x, axis, torch.tensor(index)),
    "index_select": gather,
    "slice": slice_axis,
    **dict.fromkeys(("new_zeros", "new_full"), zeros),
    "zeros_like": zeros_like,
    "pad": pad,
    "softmax": lambda call, x, axis, *_: call("Softmax", x, attributes={"axis": axis}),
    "log_softmax": lambda call, x, axis, *_: call("LogSoftmax", x, attributes={"axis": axis}),
    "layer_norm": layer_norm,
    "masked_fill": lambda call, x, mask, value: call("Where", mask, torch.tensor(value), x),
    "sum": sum_axes,
    "mean": mean,
    "sym_size": size_of,
}
