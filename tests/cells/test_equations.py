"""Every cell equals its equations in plain arithmetic, and torch.nn where it has the cell."""

import pytest
import torch
from torch import Tensor, sigmoid, tanh

from nmt.cells import CELLS
from nmt.cells.cell import Cell
from nmt.recurrence.layer import Layer

B, E, H = 3, 5, 4


def make(name: str) -> Cell:
    """A cell in float64 with every parameter away from its start."""
    torch.manual_seed(7)
    cell = CELLS[name](E, H).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return cell


def given(cell: Cell, gate: str, x: Tensor) -> Tensor:
    """W x + b of one gate."""
    first = cell.gates.index(gate) * H
    return x @ cell.W[first : first + H].T + cell.b[first : first + H]


def carried(cell: Cell, gate: str, v: Tensor) -> Tensor:
    """U v of one gate."""
    first = cell.recurrent.index(gate) * H
    return v @ cell.U[first : first + H].T


def affine(cell: Cell, gate: str, x: Tensor, v: Tensor) -> Tensor:
    """W x + U v + b of one gate."""
    return given(cell, gate, x) + carried(cell, gate, v)


def rnn(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    return {"h": tanh(affine(cell, "h", x, h))}


def rnn_relu(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    return {"h": affine(cell, "h", x, h).clamp(min=0)}


def rhn(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    deeper = dict(zip(("h2", "t2", "h3", "t3"), cell.b_recurrent.chunk(4), strict=True))
    for depth in ("", "2", "3"):
        u, v = carried(cell, "h" + depth, h), carried(cell, "t" + depth, h)
        u = u + (deeper["h" + depth] if depth else given(cell, "h", x))
        v = v + (deeper["t" + depth] if depth else given(cell, "t", x))
        h = h + (tanh(u) - h) / (1 + (-v).exp())
    return {"h": h}


def lstm(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    i, f, o = (sigmoid(affine(cell, gate, x, h)) for gate in "ifo")
    new = f * c + i * tanh(affine(cell, "g", x, h))
    return {"h": o * tanh(new), "c": new}


def lstm_peephole(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    i = sigmoid(affine(cell, "i", x, h) + cell.p_i * c)
    f = sigmoid(affine(cell, "f", x, h) + cell.p_f * c)
    new = f * c + i * tanh(affine(cell, "g", x, h))
    o = sigmoid(affine(cell, "o", x, h) + cell.p_o * new)
    return {"h": o * tanh(new), "c": new}


def lstm_coupled(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    i, o = sigmoid(affine(cell, "i", x, h)), sigmoid(affine(cell, "o", x, h))
    f = 1 - i
    new = f * c + i * tanh(affine(cell, "g", x, h))
    return {"h": o * tanh(new), "c": new}


def mlstm(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    return lstm(cell, x, given(cell, "m", x) * carried(cell, "m", h), c)


def gru(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    r, z = sigmoid(affine(cell, "r", x, h)), sigmoid(affine(cell, "z", x, h))
    n = tanh(affine(cell, "n", x, r * h))
    return {"h": z * h + (1 - z) * n}


def gru_reset_after(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    r, z = sigmoid(affine(cell, "r", x, h)), sigmoid(affine(cell, "z", x, h))
    n = tanh(given(cell, "n", x) + r * (carried(cell, "n", h) + cell.b_recurrent))
    return {"h": z * h + (1 - z) * n}


def gru_no_reset(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    z, n = sigmoid(affine(cell, "z", x, h)), tanh(affine(cell, "n", x, h))
    return {"h": z * h + n - z * n}


def mgu(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    f = sigmoid(affine(cell, "f", x, h))
    return {"h": h - f * h + f * tanh(affine(cell, "n", x, f * h))}


def atr(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    p, q = given(cell, "p", x), carried(cell, "p", h)
    return {"h": p / (1 + (-p - q).exp()) + h / (1 + (q - p).exp())}


def indrnn(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    return {"h": (given(cell, "h", x) + cell.u * h).clamp(min=0)}


def qrnn(cell: Cell, x: Tensor, h: Tensor, c: Tensor, *before: Tensor) -> dict[str, Tensor]:
    z, f, o = (given(cell, gate, x) + old for gate, old in zip("zfo", before, strict=True))
    new = tanh(z) + sigmoid(f) * (c - tanh(z))
    return {"h": sigmoid(o) * new, "c": new, **{gate: given(cell, gate, x) for gate in ("z1", "f1", "o1")}}


def sru(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    f, r = sigmoid(given(cell, "f", x) + cell.v_f * c), sigmoid(given(cell, "r", x) + cell.v_r * c)
    new = f * c + given(cell, "n", x) - f * given(cell, "n", x)
    return {"h": given(cell, "p", x) + r * (new - given(cell, "p", x)), "c": new}


def ssru(cell: Cell, x: Tensor, h: Tensor, c: Tensor) -> dict[str, Tensor]:
    n = given(cell, "n", x)
    new = n + sigmoid(given(cell, "f", x)) * (c - n)
    return {"h": new.clamp(min=0), "c": new}


def lrn(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    q, k, v = (given(cell, gate, x) for gate in "qkv")
    return {"h": v / (1 + (-k - h).exp()) + h / (1 + (h - q).exp())}


def mingru(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    return {"h": h + sigmoid(given(cell, "z", x)) * (given(cell, "n", x) - h)}


def minlstm(cell: Cell, x: Tensor, h: Tensor) -> dict[str, Tensor]:
    f, i = sigmoid(given(cell, "f", x)), sigmoid(given(cell, "i", x))
    kept, let_in = f / (f + i), i / (f + i)
    return {"h": kept * h + let_in * given(cell, "n", x)}


BY_HAND = {
    "rnn": rnn,
    "rnn-relu": rnn_relu,
    "rhn": rhn,
    "lstm": lstm,
    "lstm-peephole": lstm_peephole,
    "lstm-coupled": lstm_coupled,
    "mlstm": mlstm,
    "gru": gru,
    "gru-reset-after": gru_reset_after,
    "gru-no-reset": gru_no_reset,
    "mgu": mgu,
    "atr": atr,
    "indrnn": indrnn,
    "qrnn": qrnn,
    "sru": sru,
    "ssru": ssru,
    "lrn": lrn,
    "mingru": mingru,
    "minlstm": minlstm,
}


def test_every_cell_of_the_table_has_its_equations_here() -> None:
    assert set(BY_HAND) == set(CELLS)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_equals_its_equations_in_values_and_gradients(name: str, engine: str) -> None:
    cell = make(name)
    layer = Layer([cell], engine=engine)
    x = torch.randn(B, E, dtype=torch.float64, requires_grad=True)
    state = cell.State(*(torch.randn(B, H, dtype=torch.float64).requires_grad_() for _ in cell.State._fields))
    bound = layer.bind(cell, B)
    got = bound.step(bound.cell.normalise_input(bound.input_product()(x)), state)._asdict()
    expected = BY_HAND[name](cell, x, *state)
    inputs = [x, *state, *cell.parameters()]
    weights = {part: torch.randn(B, H, dtype=torch.float64) for part in expected}

    def gradients(values: dict[str, Tensor]) -> tuple[Tensor, ...]:
        total = sum((values[p] * weights[p]).sum() for p in weights)
        return torch.autograd.grad(total, inputs, materialize_grads=True)  # not every cell reads h

    assert list(got) == list(expected)
    for part in expected:
        torch.testing.assert_close(got[part], expected[part], rtol=0, atol=1e-12)
    for a, b in zip(gradients(got), gradients(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_a_plain_rnn_by_hand_with_round_numbers() -> None:
    cell = CELLS["rnn"](1, 1).double()
    with torch.no_grad():
        cell.W.fill_(0.5)
        cell.U.fill_(2.0)
        cell.b.fill_(-1.0)
    h, _ = Layer([cell])(torch.tensor([[[2.0]], [[4.0]]], dtype=torch.float64), None)
    assert h.flatten().tolist() == pytest.approx([0.0, 0.7615941559557649])  # tanh(1-1), tanh(2-1)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("rnn", lambda: torch.nn.RNN(E, H, bidirectional=True)),
        ("rnn-relu", lambda: torch.nn.RNN(E, H, bidirectional=True, nonlinearity="relu")),
        ("lstm", lambda: torch.nn.LSTM(E, H, bidirectional=True)),
        ("gru-reset-after", lambda: torch.nn.GRU(E, H, bidirectional=True)),
    ],
)
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_a_layer_equals_torch_nn_with_its_weights_loaded(name: str, oracle, engine: str) -> None:
    torch.manual_seed(3)
    module = oracle().double()
    cells = [CELLS[name](E, H).double() for _ in range(2)]
    cells[0].load_torch(module)
    cells[1].load_torch(module, "_l0_reverse")
    lengths = torch.tensor([7, 4, 1])
    x = torch.randn(7, B, E, dtype=torch.float64, requires_grad=True)
    real = torch.arange(7).unsqueeze(1) < lengths
    weight = torch.randn(7, B, 2 * H, dtype=torch.float64) * real.unsqueeze(-1)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
    expected = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0])[0]
    got, finals = Layer(cells, engine=engine)(x, real)
    torch.testing.assert_close(got * real.unsqueeze(-1), expected, rtol=0, atol=1e-10)
    last = module(packed)[1]
    last_h = last[0] if isinstance(last, tuple) else last
    for direction in range(2):
        torch.testing.assert_close(finals[direction].h, last_h[direction], rtol=0, atol=1e-10)

    mine = torch.autograd.grad((got * weight).sum(), [x, cells[0].W, cells[1].U, cells[0].b])
    theirs = torch.autograd.grad(
        (expected * weight).sum(),
        [x, module.weight_ih_l0, module.weight_hh_l0_reverse, module.bias_ih_l0],
    )
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
