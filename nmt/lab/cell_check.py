"""A cell in the laboratory: what it consists of, whether it is right, and how fast it is."""

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
from nmt.recurrence.trace.program import Program, find_program

TORCH: dict[str, Callable[[int, int], nn.RNNBase]] = {  # cells of the table that torch.nn has too
    "rnn": nn.RNN,
    "rnn-relu": lambda size, hidden: nn.RNN(size, hidden, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru-reset-after": nn.GRU,
}
T, B, E, H = 5, 3, 4, 6  # the small layer that is checked
EXACT = 1e-10


class Product(NamedTuple):
    """A recurrent product: its matrix, its operand, and what it gives."""

    shape: tuple[int, int]
    reads: str
    gives: str


class Work(NamedTuple):
    """A kernel: what it reads and gives, how many operations it makes of that, who runs it."""

    reads: tuple[str, ...]
    gives: tuple[str, ...]
    operations: int
    compiled: bool


def forward_steps(cell: Cell) -> list[Product | Work]:
    """What is done at every position, in order."""
    program, steps = find_program(cell, padded=False, dropped=False), list[Product | Work]()
    for part in program.products:
        if part.kernels is not None:
            steps.append(_work(part.kernels.forward))
        shape = (len(part.gates) * cell.hidden_size, cell.hidden_size)
        where = ", added to x in place" if part.fused else ""
        steps.append(Product(shape, str(part.operand), f"gates {' '.join(part.gates)}{where}"))
    return [*steps, _work(program.final.forward)]


def backward_steps(cell: Cell) -> list[Product | Work]:
    """What is done at every position on the way back, in order."""
    program = find_program(cell, padded=False, dropped=False)
    steps: list[Product | Work] = [_work(program.final.backward)]
    for part in reversed(program.products):
        shape = (cell.hidden_size, len(part.gates) * cell.hidden_size)
        steps.append(Product(shape, f"d gates {' '.join(part.gates)}", str(part.operand.gradient)))
        if part.kernels is not None:
            steps.append(_work(part.kernels.backward))
    return steps


def _work(kernel: Kernel) -> Work:
    count = sum(node.op == "call_function" for node in kernel.graph.nodes)
    compiled = generate_source(kernel, frozenset(), torch.float32) is not None
    return Work(tuple(map(str, kernel.inputs)), tuple(map(str, kernel.outputs)), count, compiled)


def operations(cell: Cell) -> int:
    """Floating-point operations of the matrix products of one position and sentence, input and recurrent."""
    return 2 * cell.W.numel() + sum(
        2 * s.shape[0] * s.shape[1] for s in forward_steps(cell) if isinstance(s, Product)
    )


def kept_for_backward(cell: Cell) -> int:
    """Numbers kept of every position and sentence between the forward and the backward pass."""
    program: Program = find_program(cell, padded=False, dropped=False)
    beside = sum(len(part.gates) for part in program.products if not part.fused)
    operands = sum(part.kernels is not None for part in program.products)
    return (len(cell.gates) + len(cell.State._fields) + beside + operands) * cell.hidden_size


class Finding(NamedTuple):
    """One check: what was asked, whether it is so, and the largest difference or what went wrong."""

    question: str
    right: bool
    detail: str


def checks(kind: type[Cell], name: str) -> Iterator[Finding]:
    """All that must hold of any cell, in double precision; each takes well under a second."""
    torch.manual_seed(1)
    cell = kind(E, H).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x = torch.randn(T, B, E, dtype=torch.float64)
    yield _asked("gradients agree with finite differences", _gradients, cell, x)
    for engine in ("torch",) if compiler.find_obstacle() else ("torch", "compiled"):
        yield _asked(f"engine {engine}: values and gradients of the reference", _engine, cell, x, engine)
    yield _asked("padding changes nothing", _padding, cell, x)
    yield _asked("steps one by one are the sequence", _steps, cell, x)
    yield _asked("the order of a batch changes nothing", _order, cell, x)
    if name in TORCH:
        yield _asked("values and gradients of torch.nn", _parity, cell, x, TORCH[name](E, H).double())


def _asked(question: str, answer: Callable[..., float | None], *about: object) -> Finding:
    """The answer is the largest difference found, or None where torch has compared."""
    try:
        difference = answer(*about)
    except Exception as error:
        return Finding(question, False, str(error).strip().partition("\n")[0])
    if difference is None:
        return Finding(question, True, "")
    return Finding(question, difference <= EXACT, f"{difference:.0e}" if difference else "0")


def _largest(pairs: Iterator[tuple[Tensor, Tensor]]) -> float:
    return max((a - b).abs().max().item() for a, b in pairs)


def _outcome(cell: Cell, x: Tensor, real: Tensor | None, engine: Engine) -> list[Tensor]:
    """Values of a layer, and gradients of a sum that weighs them all differently."""
    x = x.clone().requires_grad_()
    h, finals = Layer([cell], engine=engine)(x, real)
    values = [h, *finals[0]]
    weights = torch.linspace(0.5, 1.5, h.numel(), dtype=h.dtype)
    loss = torch.stack([(v.flatten() * weights[: v.numel()]).sum() for v in values]).sum()
    gradients = torch.autograd.grad(loss, [x, *cell.parameters()], materialize_grads=True)
    return [*(v.detach() for v in values), *gradients]


def _gradients(cell: Cell, x: Tensor) -> None:
    layer = Layer([cell], engine="reference")
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        h: Tensor = torch.func.functional_call(layer, given, (x, None))[0]
        return h

    inputs = [value.detach().clone().requires_grad_() for value in (x[:3], *layer.parameters())]
    torch.autograd.gradcheck(run, inputs)


def _real() -> Tensor:
    return torch.arange(T).unsqueeze(1) < torch.tensor([T, 2, 4])


def _engine(cell: Cell, x: Tensor, engine: Engine) -> float:
    return max(
        _largest(zip(_outcome(cell, x, real, engine), _outcome(cell, x, real, "reference"), strict=True))
        for real in (None, _real())
    )


def _padding(cell: Cell, x: Tensor) -> float:
    layer = Layer([cell, cell])
    h, finals = layer(x, _real())
    differences = []
    for row, length in enumerate(_real().sum(0).tolist()):
        alone, alone_finals = layer(x[:length, row : row + 1], None)
        ends = [
            (f[row], a[0])
            for s, t in zip(finals, alone_finals, strict=True)
            for f, a in zip(s, t, strict=True)
        ]
        differences.append(_largest(iter([(h[:length, row], alone[:, 0]), *ends])))
    return max(differences)


def _steps(cell: Cell, x: Tensor) -> float:
    h, _ = Layer([cell])(x, None)
    layer, s = Layer([cell], engine="reference"), cell.initial_state(B)
    bound, hs = layer.bind(cell, B), []
    for x_t in bound.project(x).unbind(0):
        s = bound.step(x_t, s)
        hs.append(s.h)
    return _largest(iter([(h, torch.stack(hs))]))


def _order(cell: Cell, x: Tensor) -> float:
    layer, order = Layer([cell]), torch.tensor([1, 0, 2])
    return _largest(iter([(layer(x, None)[0][:, order], layer(x[:, order], None)[0])]))


def _parity(cell: Cell, x: Tensor, theirs: nn.RNNBase) -> float:
    """After the weights of torch.nn have been taken over."""
    cell.load_torch(theirs)
    x, y = x.clone().requires_grad_(), x.clone().requires_grad_()
    h, g = Layer([cell])(x, None)[0], theirs(y)[0]
    weights = torch.linspace(0.5, 1.5, h.numel(), dtype=h.dtype).view_as(h)
    (h * weights).sum().backward()
    (g * weights).sum().backward()
    U = dict(theirs.named_parameters())["weight_hh_l0"]
    return _largest(iter([(h, g), (_gradient(x), _gradient(y)), (_gradient(cell.U), _gradient(U))]))


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def speed(cell: Cell, batch: int, positions: int, rounds: int) -> tuple[float, float]:
    """Seconds of forward and backward, the cell's and torch.nn.LSTM's: medians, timed in turn."""
    ours, theirs = Layer([cell]), nn.LSTM(cell.input_size, cell.hidden_size)
    x = torch.randn(positions, batch, cell.input_size, requires_grad=True)
    d = torch.randn(positions, batch, cell.hidden_size)
    things: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(x, None)[0].backward(d),
        "theirs": lambda: theirs(x)[0].backward(d),
    }
    seconds = medians(things, rounds=rounds)
    return seconds["ours"], seconds["theirs"]


def medians(things: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each, over `rounds` rounds after one that is not counted.

    They are timed in turn, A B C A B C …, so that a machine that slows down slows them all.
    """
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for counted in range(rounds + 1):
        for name, thing in things.items():
            start = time.perf_counter()
            thing()
            if counted:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
