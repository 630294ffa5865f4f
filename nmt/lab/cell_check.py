"""Analysis of a cell: its products and kernels, checks of its correctness, and its speed."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.cells.cell import Cell
from nmt.recurrence.c import compiler
from nmt.recurrence.c.code_generator import generate_source
from nmt.recurrence.engine import Engine
from nmt.recurrence.layer import Layer
from nmt.recurrence.trace.kernel import Kernel
from nmt.recurrence.trace.program import find_program

TORCH_LAYERS: dict[str, Callable[[int, int], nn.RNNBase]] = {  # cells that torch.nn has, too
    "rnn": nn.RNN,
    "rnn-relu": lambda size, hidden: nn.RNN(size, hidden, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru-reset-after": nn.GRU,
}
T, B, E, H = 5, 3, 4, 6  # positions, sentences, input and state size of the layer that is checked
MASK = torch.arange(T).unsqueeze(1) < torch.tensor([T, 2, 4])
TOLERANCE = 1e-10


class ProductStep(NamedTuple):
    """A recurrent product: the shape of its matrix, its operand and its result."""

    shape: tuple[int, int]
    reads: str
    gives: str


class KernelStep(NamedTuple):
    """A kernel: its inputs and outputs, its number of operations, and whether it is compiled."""

    reads: tuple[str, ...]
    gives: tuple[str, ...]
    operations: int
    compiled: bool


def list_forward_steps(cell: Cell) -> list[ProductStep | KernelStep]:
    """Return the steps at every position, in order."""
    program, steps = find_program(cell, padded=False, dropped=False), list[ProductStep | KernelStep]()
    for part in program.products:
        if part.kernel is not None:
            steps.append(_describe_kernel(part.kernel))
        shape = (len(part.gates) * cell.hidden_size, cell.hidden_size)
        where = ", added to x in place" if part.fused else ""
        steps.append(ProductStep(shape, str(part.operand), f"gates {' '.join(part.gates)}{where}"))
    return [*steps, _describe_kernel(program.final)]


def list_backward_steps(cell: Cell) -> list[ProductStep | KernelStep]:
    """Return the steps of the backward pass at every position, in order."""
    program = find_program(cell, padded=False, dropped=False)
    steps: list[ProductStep | KernelStep] = [_describe_kernel(program.final.derivative)]
    for part in reversed(program.products):
        shape = (cell.hidden_size, len(part.gates) * cell.hidden_size)
        steps.append(ProductStep(shape, f"d gates {' '.join(part.gates)}", str(part.operand.gradient)))
        if part.kernel is not None:
            steps.append(_describe_kernel(part.kernel.derivative))
    return steps


def _describe_kernel(kernel: Kernel) -> KernelStep:
    count = sum(node.op == "call_function" for node in kernel.graph.nodes)
    compiled = generate_source(kernel, frozenset(), torch.float32) is not None
    return KernelStep(tuple(map(str, kernel.inputs)), tuple(map(str, kernel.outputs)), count, compiled)


def count_operations(cell: Cell) -> int:
    """Count the floating-point operations of all matrix products per position and sentence."""
    shapes = [step.shape for step in list_forward_steps(cell) if isinstance(step, ProductStep)]
    return 2 * cell.W.numel() + sum(2 * rows * columns for rows, columns in shapes)


def count_saved_values(cell: Cell) -> int:
    """Count the numbers saved for the backward pass per position and sentence."""
    products = find_program(cell, padded=False, dropped=False).products
    unfused = sum(len(part.gates) for part in products if not part.fused)
    operands = sum(part.kernel is not None for part in products)
    return (len(cell.gates) + len(cell.State._fields) + unfused + operands) * cell.hidden_size


class CheckResult(NamedTuple):
    """The result of one check, with the largest difference or the error."""

    name: str
    passed: bool
    detail: str


def check_cell(kind: type[Cell], name: str) -> Iterator[CheckResult]:
    """Run all checks of a cell in double precision; each takes well under a second."""
    torch.manual_seed(1)
    cell = kind(E, H).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x = torch.randn(T, B, E, dtype=torch.float64)
    yield _run_check("gradients equal finite differences", _check_gradients, cell, x)
    for engine in ("torch",) if compiler.find_obstacle() else ("torch", "compiled"):
        yield _run_check(f"engine {engine} equals the reference", _check_engine, cell, x, engine)
    yield _run_check("padding changes nothing", _check_padding, cell, x)
    yield _run_check("single steps equal the sequence", _check_steps, cell, x)
    yield _run_check("the order of the batch changes nothing", _check_order, cell, x)
    if name in TORCH_LAYERS:
        yield _run_check("equals torch.nn", _check_parity, cell, x, TORCH_LAYERS[name](E, H).double())


def _run_check(name: str, check: Callable[..., float | None], *arguments: object) -> CheckResult:
    """Run a check that returns the largest difference, or None if torch compared the values."""
    try:
        difference = check(*arguments)
    except Exception as error:
        return CheckResult(name, False, str(error).strip().partition("\n")[0])
    if difference is None:
        return CheckResult(name, True, "")
    return CheckResult(name, difference <= TOLERANCE, f"{difference:.0e}" if difference else "0")


def _find_difference(*pairs: tuple[Tensor, Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in pairs)


def _run_layer(cell: Cell, x: Tensor, mask: Tensor | None, engine: Engine) -> list[Tensor]:
    """Return the values of a layer, and the gradients of a sum with different weights."""
    x = x.clone().requires_grad_()
    h, finals = Layer([cell], engine=engine)(x, mask)
    values = [h, *finals[0]]
    weights = torch.linspace(0.5, 1.5, h.numel(), dtype=h.dtype)
    loss = torch.stack([(v.flatten() * weights[: v.numel()]).sum() for v in values]).sum()
    gradients = torch.autograd.grad(loss, [x, *cell.parameters()], materialize_grads=True)
    return [*(v.detach() for v in values), *gradients]


def _check_gradients(cell: Cell, x: Tensor) -> None:
    layer = Layer([cell], engine="reference")
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        h: Tensor = torch.func.functional_call(layer, given, (x, None))[0]
        return h

    inputs = [value.detach().clone().requires_grad_() for value in (x[:3], *layer.parameters())]
    torch.autograd.gradcheck(run, inputs)


def _check_engine(cell: Cell, x: Tensor, engine: Engine) -> float:
    differences = []
    for mask in (None, MASK):
        values, expected = (_run_layer(cell, x, mask, name) for name in (engine, "reference"))
        differences.append(_find_difference(*zip(values, expected, strict=True)))
    return max(differences)


def _check_padding(cell: Cell, x: Tensor) -> float:
    layer = Layer([cell, cell])
    h, finals = layer(x, MASK)
    differences = []
    for row, length in enumerate(MASK.sum(0).tolist()):
        alone, alone_finals = layer(x[:length, row : row + 1], None)
        differences.append(_find_difference((h[:length, row], alone[:, 0])))
        for state, alone_state in zip(finals, alone_finals, strict=True):
            differences += [_find_difference((f[row], a[0])) for f, a in zip(state, alone_state, strict=True)]
    return max(differences)


def _check_steps(cell: Cell, x: Tensor) -> float:
    h, _ = Layer([cell])(x, None)
    layer, s = Layer([cell], engine="reference"), cell.initial_state(B)
    bound, hs = layer.bind(cell, B), []
    for x_t in bound.project(x).unbind(0):
        s = bound.step(x_t, s)
        hs.append(s.h)
    return _find_difference((h, torch.stack(hs)))


def _check_order(cell: Cell, x: Tensor) -> float:
    layer, order = Layer([cell]), torch.tensor([1, 0, 2])
    return _find_difference((layer(x, None)[0][:, order], layer(x[:, order], None)[0]))


def _check_parity(cell: Cell, x: Tensor, reference: nn.RNNBase) -> float:
    """Compare a cell with the weights of a layer of torch.nn to that layer."""
    cell.load_torch(reference)
    x = x.clone().requires_grad_()
    h, g = Layer([cell])(x, None)[0], reference(x)[0]
    weights = torch.linspace(0.5, 1.5, h.numel(), dtype=h.dtype).view_as(h)
    U = dict(reference.named_parameters())["weight_hh_l0"]
    own = torch.autograd.grad((h * weights).sum(), [x, cell.U])
    theirs = torch.autograd.grad((g * weights).sum(), [x, U])
    return _find_difference((h, g), *zip(own, theirs, strict=True))


def measure_speed(cell: Cell, batch: int, positions: int, rounds: int) -> tuple[float, float]:
    """Return the median seconds of a forward and backward pass of the cell, and of torch.nn.LSTM."""
    layer, lstm = Layer([cell]), nn.LSTM(cell.input_size, cell.hidden_size)
    x = torch.randn(positions, batch, cell.input_size, requires_grad=True)
    d = torch.randn(positions, batch, cell.hidden_size)
    functions = {"cell": lambda: layer(x, None)[0].backward(d), "lstm": lambda: lstm(x)[0].backward(d)}
    seconds = measure_seconds(functions, rounds=rounds)
    return seconds["cell"], seconds["lstm"]


def measure_seconds(functions: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Time functions over `rounds` rounds, after one that is not counted.

    They run in turn, A B C A B C …, so that a machine that slows down slows all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for counted in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if counted:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
