"""Cells without a recurrent product: a unit reads only its own past. Their cost is the input product."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn, relu, sigmoid, tanh

from nmt.cells.cell import Cell, Gates, Products
from nmt.cells.gru import GRU
from nmt.cells.lstm import LSTM
from nmt.cells.rnn import RNN


class IndRNN(RNN):
    """Independently recurrent network: a weight for each unit in place of a matrix (Li et al., 2018)."""

    recurrent = ()
    vectors = ("u",)
    u: Tensor

    def reset_parameters(self, bias: Mapping[str, float]) -> None:
        """Initialise u uniformly between 0 and 1, the rest as in every cell."""
        super().reset_parameters(bias)
        nn.init.uniform_(self.u)

    def step(self, x: Gates, s: RNN.State, U: Products) -> RNN.State:
        return self.State(h=relu(x.h + self.u * s.h))


class QRNN(Cell):
    """Quasi-recurrent network, window 2, fo-pooling (Bradbury et al., 2017, eqs. 1, 2 and 4).

    The state carries the products of the previous input: z1, f1, o1.
    """

    gates = ("z", "f", "o", "z1", "f1", "o1")
    recurrent = ()

    class State(NamedTuple):
        h: Tensor
        c: Tensor
        z1: Tensor
        f1: Tensor
        o1: Tensor

    def step(self, x: Gates, s: State, U: Products) -> State:
        z = tanh(x.z + s.z1)  # candidate
        f = sigmoid(x.f + s.f1)  # forget gate: what is kept
        o = sigmoid(x.o + s.o1)  # output gate: what is output
        c = f * s.c + (1 - f) * z
        return self.State(h=o * c, c=c, z1=x.z1, f1=x.f1, o1=x.o1)


class SRU(Cell):
    """Simple recurrent unit: gates see the memory through vectors v (Lei et al., 2018, eqs. 1-4).

    The highway connection of eq. 4 reads a projection of the input, which may differ from h in size.
    """

    gates = ("f", "r", "n", "p")
    recurrent = ()
    vectors = ("v_f", "v_r")
    v_f: Tensor
    v_r: Tensor

    State = LSTM.State

    def step(self, x: Gates, s: LSTM.State, U: Products) -> LSTM.State:
        f = sigmoid(x.f + self.v_f * s.c)  # forget gate: what is kept
        r = sigmoid(x.r + self.v_r * s.c)  # reset gate: the memory's share of the output
        c = f * s.c + (1 - f) * x.n
        return self.State(h=r * c + (1 - r) * x.p, c=c)


class SSRU(Cell):
    """Simpler simple recurrent unit: one gate, which reads only the input (Kim et al., 2019)."""

    gates = ("f", "n")
    recurrent = ()

    State = LSTM.State

    def step(self, x: Gates, s: LSTM.State, U: Products) -> LSTM.State:
        f = sigmoid(x.f)  # forget gate: what is kept
        c = f * s.c + (1 - f) * x.n
        return self.State(h=relu(c), c=c)


class LRN(Cell):
    """Lightweight recurrent network: the gates add the state itself (Zhang & Sennrich, 2019)."""

    gates = ("q", "k", "v")
    recurrent = ()

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        i = sigmoid(x.k + s.h)  # input gate
        f = sigmoid(x.q - s.h)  # forget gate
        return self.State(h=i * x.v + f * s.h)


class MinGRU(Cell):
    """Minimal GRU whose gate and candidate read only the input (Feng et al., 2024)."""

    gates = ("z", "n")
    recurrent = ()

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        z = sigmoid(x.z)  # update gate: what is replaced
        return self.State(h=(1 - z) * s.h + z * x.n)


class MinLSTM(Cell):
    """Minimal LSTM whose gates read only the input and are normalised to sum to 1 (Feng et al., 2024)."""

    gates = ("f", "i", "n")
    recurrent = ()

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        f, i = sigmoid(x.f), sigmoid(x.i)
        return self.State(h=(f * s.h + i * x.n) / (f + i))
