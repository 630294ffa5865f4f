"""The operations of torch that translators and cells use, in ONNX."""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from onnx import numpy_helper
from torch import Tensor, fx

from nmt.errors import UsageError
from nmt.export.graph import TYPES, OnnxGraph, ValueName
from nmt.export.products import add_product, look_up_embeddings


class Call(NamedTuple):
    """An operation of the trace, and the graph that it is added to."""

    graph: OnnxGraph
    node: fx.Node

    @property
    def name(self) -> str:
        """The operation's name, without overload."""
        return str(self.node.target).removeprefix("aten.").split(".")[0]

    @property
    def input_value(self) -> Tensor:
        """The example value of the first argument."""
        argument = self.node.args[0]
        assert isinstance(argument, fx.Node)
        return argument.meta["val"]  # type: ignore[no-any-return]

    @property
    def output_value(self) -> Any:
        """The example value of the result."""
        return self.node.meta["val"]

    @property
    def add(self) -> Callable[..., Any]:
        """`OnnxGraph.add` of the graph."""
        return self.graph.add


ELEMENTWISE = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "abs": "Abs",
    "reciprocal": "Reciprocal", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "pow": "Pow",
    "sin": "Sin", "cos": "Cos", "erf": "Erf",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softplus": "Softplus", "softsign": "Softsign",
    "maximum": "Max", "minimum": "Min", "where": "Where", "eq": "Equal", "gt": "Greater", "lt": "Less",
    "ge": "GreaterOrEqual", "le": "LessOrEqual", "logical_not": "Not", "bitwise_not": "Not",
    "logical_and": "And", "bitwise_and": "And", "logical_or": "Or", "bitwise_or": "Or",
}  # fmt: skip
IGNORED_KEYWORDS = {"pin_memory", "memory_format", "device", "layout", "dtype"}
"""Keywords that do not affect the value; the type is known from the trace."""


def convert_operation(call: Call, arguments: Sequence[Any], keywords: Iterable[str]) -> Any:
    """Convert an operation of torch to its value or values; raise UsageError for an unknown one."""
    name = call.name
    if call.node.target is operator.getitem:
        return arguments[0][arguments[1]]
    if name.startswith("_assert"):
        return None
    if not (name in ELEMENTWISE or name in OPERATIONS) or set(keywords) - IGNORED_KEYWORDS:
        raise UsageError(
            f"this model cannot be exported: it uses {call.node.target}, which has no ONNX equivalent here"
        )
    if name in ELEMENTWISE:
        return call.add(ELEMENTWISE[name], *to_same_type(call, arguments))
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
            result.append(call.add("Cast", value, to=TYPES[wanted]))
        else:
            result.append(value)
    return result


def linear(call: Call, x: Any, weight: Any, bias: Any = None) -> Any:
    return add_product(call.graph, x, weight.t(), bias, flat=call.input_value.dim() == 2)


def bmm(call: Call, x: Any, y: Any) -> Any:
    """Multiply x y; if y is a transposed value, as (yᵀ xᵀ)ᵀ with the original.

    This way keys are not copied, and a score is summed in the same order for any padding.
    """
    if y not in call.graph.transposed:
        return call.add("MatMul", x, y)
    return swap(call, call.add("MatMul", call.graph.transposed[y], swap(call, x)))


def swap(call: Call, x: Any) -> Any:
    """Swap the last two axes: [B, M, N] to [B, N, M]."""
    if x in call.graph.transposed:
        return call.graph.transposed[x]
    result = call.add("Transpose", x, perm=[0, 2, 1])
    call.graph.transposed[result] = x
    return result


def transpose(call: Call, x: Any, first: int, second: int) -> Any:
    order = list(range(call.input_value.dim()))
    order[first], order[second] = order[second], order[first]
    return swap(call, x) if order == [0, 2, 1] else call.add("Transpose", x, perm=order)


def reshape(call: Call, x: Any, given: Any = (), *_: Any) -> Any:
    """Reshape to the sizes of the trace: fixed, unchanged at their axis (0), or inferred (-1)."""
    given = given if isinstance(given, (list, tuple)) and len(given) == call.output_value.dim() else []
    before, after = list(map(str, call.input_value.shape)), list(map(str, call.output_value.shape))
    if before == after:
        return x
    unknown = [size for size in after if not size.isdigit()]
    sizes: list[Any] = []
    for axis, size in enumerate(after):
        if size.isdigit():
            sizes.append(int(size))
        elif len(unknown) == 1:
            sizes.append(-1)
        elif before[axis : axis + 1] == [size]:
            sizes.append(0)
        elif given and isinstance(given[axis], ValueName):
            sizes.append(given[axis])
        elif size in before:
            sizes.append(get_size(call, x, before.index(size)))
        else:
            sizes.append(-1)
    return call.add("Reshape", x, call.graph.concat_ints(sizes))


def get_size(call: Call, x: Any, axis: int) -> Any:
    return call.add("Shape", x, start=axis, end=axis + 1)


def repeat_interleave(call: Call, x: Any, count: int, axis: int) -> Any:
    """Repeat every slice of an axis, with its copies adjacent."""
    axes = call.input_value.dim()
    sizes = [count if index == axis + 1 else 1 for index in range(axes + 1)]
    copies = call.add("Expand", unsqueeze(call, x, axis + 1), torch.tensor(sizes))
    after = [get_size(call, x, later) for later in range(axis + 1, axes)]
    return call.add("Reshape", copies, call.graph.concat_ints([*[0] * axis, -1, *after]))


def unsqueeze(call: Call, x: Any, axis: int) -> Any:
    return call.add("Unsqueeze", x, torch.tensor([axis]))


def split(call: Call, x: Any, _: Any, axis: int = 0) -> Any:
    sizes = torch.tensor([int(part.shape[axis]) for part in call.output_value])
    return call.add("Split", x, sizes, outputs=len(sizes), axis=axis) if len(sizes) > 1 else [x]


def cat(call: Call, parts: Sequence[Any], axis: int = 0) -> Any:
    return parts[0] if len(parts) == 1 else call.add("Concat", *parts, axis=axis)


def slice_axis(call: Call, x: Any, axis: int = 0, start: Any = 0, end: Any = None, step: int = 1) -> Any:
    bounds = [torch.tensor([number]) for number in (start or 0, 2**62 if end is None else end, axis, step)]
    return call.add("Slice", x, *bounds)


def fill(call: Call, sizes: Any, value: float = 0.0, dtype: torch.dtype | None = None) -> Any:
    tensor = torch.tensor([value], dtype=dtype or call.output_value.dtype)
    return call.add("ConstantOfShape", sizes, value=numpy_helper.from_array(tensor.numpy()))


def pad(call: Call, x: Any, widths: Sequence[int], *_: Any) -> Any:
    none = [0] * (call.input_value.dim() - len(widths) // 2)
    before, after = none + list(widths[-2::-2]), none + list(widths[-1::-2])
    return call.add("Pad", x, torch.tensor(before + after))


def layer_norm(
    call: Call, x: Any, size: Sequence[int], gain: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    gain = torch.ones(*size) if gain is None else gain
    return call.add("LayerNormalization", x, gain, bias, axis=-len(size), epsilon=eps)


def reduce_axes(call: Call, x: Any, axes: Any, keep: bool = False) -> Any:
    """Sum or mean; a sum over positions [B, S, M] is a product, which ignores how much padding follows."""
    axes = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    if call.name == "mean" or call.input_value.dim() != 3 or axes != [1]:
        return call.add(f"Reduce{call.name.title()}", x, torch.tensor(axes), keepdims=int(keep))
    ones = fill(call, call.graph.concat_ints([2, get_size(call, x, 1)]), 1.0, torch.float32)  # see OnnxModel
    return call.add("Gather", call.add("MatMul", ones, x), torch.tensor([0] if keep else 0), axis=1)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        ("alias", "detach", "detach_", "clone", "contiguous", "dropout", "lift_fresh_copy"),
        lambda call, x, *_: x,
    ),
    **dict.fromkeys(
        ("to", "_to_copy", "type_as"),
        lambda call, x, *_: call.add("Cast", x, to=TYPES[call.output_value.dtype]),
    ),
    "ne": lambda call, x, y: call.add("Not", call.add("Equal", *to_same_type(call, (x, y)))),
    "rsub": lambda call, x, y: call.add("Sub", *to_same_type(call, (x, y))[::-1]),
    "linear": linear,
    "addmm": lambda call, add, x, weight: add_product(call.graph, x, weight, add, flat=True),
    "mm": lambda call, x, weight: add_product(call.graph, x, weight, flat=True),
    "matmul": lambda call, x, weight: add_product(call.graph, x, weight),
    "bmm": bmm,
    "embedding": lambda call, table, tokens, *_: look_up_embeddings(call.graph, table, tokens),
    "transpose": transpose,
    "t": lambda call, x: call.add("Transpose", x, perm=[1, 0]),
    "permute": lambda call, x, order: call.add("Transpose", x, perm=[axis % len(order) for axis in order]),
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "flatten", "unflatten"), reshape),
    "expand": lambda call, x, sizes, *_: call.add(
        "Expand", x, call.graph.concat_ints(1 if size == -1 else size for size in sizes)
    ),
    "repeat_interleave": repeat_interleave,
    "unsqueeze": unsqueeze,
    "squeeze": lambda call, x, axis: call.add("Squeeze", x, torch.tensor([axis])),
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), split),
    "cat": cat,
    "stack": lambda call, parts, axis=0: cat(call, [unsqueeze(call, part, axis) for part in parts], axis),
    "select": lambda call, x, axis, index: call.add("Gather", x, torch.tensor(index), axis=axis),
    "index_select": lambda call, x, axis, indices: call.add("Gather", x, indices, axis=axis),
    "slice": slice_axis,
    **dict.fromkeys(
        ("new_zeros", "new_full"),
        lambda call, _, sizes, value=0.0: fill(call, call.graph.concat_ints(sizes), value),
    ),
    "zeros_like": lambda call, x: fill(call, call.add("Shape", x)),
    "pad": pad,
    "softmax": lambda call, x, axis, *_: call.add("Softmax", x, axis=axis),
    "log_softmax": lambda call, x, axis, *_: call.add("LogSoftmax", x, axis=axis),
    "layer_norm": layer_norm,
    "masked_fill": lambda call, x, mask, value: call.add("Where", mask, torch.tensor(value), x),
    "sum": reduce_axes,
    "mean": reduce_axes,
    "sym_size": get_size,
}
"""Conversions by the operation's name; each is called with its arguments after the `Call`."""
