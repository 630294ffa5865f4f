"""Kernels written as C functions.

Values are numbers of one unit of one row. An operation that needs the complete row first, as layer norm needs
its mean, splits the loop over units into stages; a value that a later stage reads is stored in an array.
"""

import operator
from typing import Any

import torch
from torch import fx

from nmt.recurrence.c.compiler import read_sources
from nmt.recurrence.trace.kernel import MASK, Kernel, TensorKey

aten = torch.ops.aten
EXPRESSIONS: dict[Any, str] = {
    aten.add.Tensor: "{0} + {1}",
    aten.sub.Tensor: "{0} - {1}",
    aten.rsub.Scalar: "{1} - {0}",
    aten.mul.Tensor: "{0} * {1}",
    aten.div.Tensor: "{0} / {1}",
    aten.neg.default: "-{0}",
    aten.exp.default: "exp_({0})",
    aten.sigmoid.default: "1 / (1 + exp_(-{0}))",
    aten.sigmoid_backward.default: "{0} * (1 - {1}) * {1}",
    aten.tanh.default: "tanh_({0})",
    aten.tanh_backward.default: "{0} * (1 - {1} * {1})",
    aten.relu.default: "{0} <= 0 ? 0 : {0}",
    aten.threshold_backward.default: "{1} <= {2} ? 0 : {0}",
    aten.where.self: "{0} ? {1} : {2}",
    aten.scalar_tensor.default: "{0}",
    aten.zeros_like.default: "0",
    aten.detach.default: "{0}",
    aten.alias.default: "{0}",
}

CREATION_ARGUMENTS = {"dtype", "layout", "device", "pin_memory"}  # of a new tensor; C need not know them
FUNCTIONS = read_sources("functions.h")
C_HEADER = {torch.float32: FUNCTIONS, torch.float64: "#define DOUBLE\n" + FUNCTIONS}
C_FUNCTION = """
void kernel(int64_t t, const struct buffers *buffers) {{
    const int64_t B = buffers->B, H = buffers->H, *time = buffers->time, *row = buffers->row;
    char **base = buffers->base;
    #pragma omp parallel if (B * H >= 4096)
    {{
        number *stored = {arrays} ? malloc(sizeof(number) * {arrays} * H) : NULL;
        #pragma omp for
        for (int64_t b = 0; b < B; b++) {{
{body}
        }}
        free(stored);
    }}
}}
"""
C_LOOP = """            #pragma omp simd{sums}
            for (int64_t j = 0; j < H; j++) {{
{operations}
            }}"""


def generate_source(kernel: Kernel, adds: frozenset[TensorKey], dtype: torch.dtype) -> str | None:
    """Write a kernel in C; None if an operation or the type has no C expression.

    Outputs overwrite their buffers; those in `adds` are added to them.
    """
    if dtype not in C_HEADER:
        return None
    try:
        loops = _RowLoops(kernel, adds)
        return C_HEADER[dtype] + C_FUNCTION.format(body=loops.body(), arrays=loops.arrays)
    except _NoExpressionError:
        return None


class _NoExpressionError(Exception):
    """An operation without an expression in C."""


class _RowLoops:
    """The loops of a kernel, written node by node."""

    def __init__(self, kernel: Kernel, adds: frozenset[TensorKey]) -> None:
        self.loops: list[list[str]] = [[]]  # the operations of each stage
        self.heads: list[list[str]] = [[]]  # declarations before each stage
        self.sums: list[list[str]] = [[]]  # the sums that each stage computes
        self.stage: dict[fx.Node, int] = {}  # the stage that computes a value
        self.name: dict[fx.Node, str] = {}
        self.loads: dict[fx.Node, str] = {}  # the statement that reads a value from memory, "" if none
        self.same: dict[fx.Node, fx.Node] = {}  # the first item of a layer norm: its only vector
        self.known: set[tuple[fx.Node, int]] = set()  # values that a stage has loaded or computed
        self.scalars: dict[fx.Node, dict[int, tuple[str, int]]] = {}  # results with one value per row
        self.count = self.arrays = 0
        for i, (key, node) in enumerate(kernel.input_nodes().items()):
            kind, j = ("unsigned char", "0") if key == MASK else ("number", "j")  # one value per row
            self.heads[0].append(
                f"const {kind} *p{i} = (const {kind} *)(base[{i}] + t * time[{i}] + b * row[{i}]);"
            )
            self.stage[node], self.name[node], self.loads[node] = 0, f"a{i}", f"{kind} a{i} = p{i}[{j}];"
        for node in kernel.graph.nodes:
            if node.op == "call_function":
                self.write(node)
        last = len(self.loops) - 1  # everything is read before anything is written: buffers may share memory
        values = [self.use(node, last) for node in kernel.output_nodes]
        for i, (value, key) in enumerate(zip(values, kernel.outputs, strict=True), start=len(kernel.inputs)):
            self.heads[0].append(f"number *p{i} = (number *)(base[{i}] + t * time[{i}] + b * row[{i}]);")
            self.loops[last].append(f"p{i}[j] {'+=' if key in adds else '='} {value};")

    def body(self) -> str:
        parts = []
        for head, sums, loop in zip(self.heads, self.sums, self.loops, strict=True):
            clause = f" reduction(+:{', '.join(sums)})" if sums else ""
            parts += [" " * 12 + line for line in head]
            parts.append(C_LOOP.format(sums=clause, operations="\n".join(" " * 16 + line for line in loop)))
        return "\n".join(parts)

    def write(self, node: fx.Node) -> None:
        if node.target is operator.getitem:
            self.item(node)
        elif node.target is aten.native_layer_norm.default:
            self.layer_norm(node)
        elif node.target is aten.native_layer_norm_backward.default:
            self.layer_norm_backward(node)
        elif node.target in EXPRESSIONS and not set(node.kwargs) - CREATION_ARGUMENTS:
            stage = self.latest(node.args)
            values = [
                self.use(v, stage) if isinstance(v, fx.Node) else f"(number){float(v)!r}"  # type: ignore[arg-type]
                for v in node.args
            ]
            self.define(node, stage, EXPRESSIONS[node.target].format(*values))
        else:
            raise _NoExpressionError

    def latest(self, values: Any) -> int:
        """Return the first stage in which all the values are known."""
        return max(
            (self.stage[self.same.get(value, value)] for value in values if isinstance(value, fx.Node)),
            default=0,
        )

    def define(self, node: fx.Node, stage: int, expression: str) -> None:
        self.stage[node], self.name[node] = stage, f"v{self.count}"
        self.count += 1
        self.loops[stage].append(f"number {self.name[node]} = {expression};")
        self.known.add((node, stage))

    def use(self, node: fx.Node, stage: int) -> str:
        """Return a value's name, after loading it in a stage."""
        node = self.same.get(node, node)
        name = self.name[node]
        if (node, stage) not in self.known:
            self.known.add((node, stage))
            if node not in self.loads:  # from now on it is stored in an array of the row
                self.heads[self.stage[node]].append(f"number *{name}_row = stored + {self.arrays} * H;")
                self.arrays += 1
                self.loops[self.stage[node]].append(f"{name}_row[j] = {name};")
                self.loads[node] = f"number {name} = {name}_row[j];"
            if self.loads[node]:
                self.loops[stage].append(self.loads[node])
        return name

    def total(self, stage: int, expression: str) -> str:
        """Write a sum over a row, known from the next stage on."""
        name = f"sum{self.count}"
        self.count += 1
        self.heads[stage].append(f"number {name} = 0;")
        self.loops[stage].append(f"{name} += {expression};")
        self.sums[stage].append(name)
        if stage + 1 == len(self.loops):
            self.loops.append([])
            self.heads.append([])
            self.sums.append([])
        return name

    def layer_norm(self, node: fx.Node) -> None:
        x, _, weight, bias, epsilon = node.args
        if weight is not None or bias is not None:
            raise _NoExpressionError
        assert isinstance(x, fx.Node)
        stage = self.latest([x])
        mean = self.scalar(stage + 1, f"{self.total(stage, self.use(x, stage))} / H")
        apart = f"({self.use(x, stage + 1)} - {mean})"
        square = self.total(stage + 1, f"{apart} * {apart}")
        rstd = self.scalar(stage + 2, f"1 / sqrt({square} / H + {epsilon!r})")
        self.define(node, stage + 2, f"({self.use(x, stage + 2)} - {mean}) * {rstd}")
        self.scalars[node] = {1: (mean, stage + 1), 2: (rstd, stage + 2)}

    def layer_norm_backward(self, node: fx.Node) -> None:
        g, x, _, mean, rstd, weight, bias, _ = node.args
        if weight is not None or bias is not None:
            raise _NoExpressionError
        assert isinstance(g, fx.Node) and isinstance(x, fx.Node)
        assert isinstance(mean, fx.Node) and isinstance(rstd, fx.Node)
        stage, r = self.latest([g, x, mean, rstd]), self.name[rstd]

        def normal(at: int) -> str:
            return f"({self.use(x, at)} - {self.name[mean]}) * {r}"

        all_g = self.total(stage, self.use(g, stage))
        along = self.total(stage, f"{self.use(g, stage)} * {normal(stage)}")
        rest = f"{self.use(g, stage + 1)} - {all_g} / H - {normal(stage + 1)} * {along} / H"
        self.define(node, stage + 1, f"{r} * ({rest})")

    def scalar(self, stage: int, expression: str) -> str:
        """Write a value per row, known before a stage."""
        name = f"row{self.count}"
        self.count += 1
        self.heads[stage].append(f"number {name} = {expression};")
        return name

    def item(self, node: fx.Node) -> None:
        """Take one of the results of a layer norm: the vector, or a value per row."""
        whole, index = node.args
        assert isinstance(whole, fx.Node) and isinstance(index, int)
        if index == 0:
            self.same[node] = whole
        else:
            self.name[node], self.stage[node] = self.scalars[whole][index]
            self.loads[node] = ""
