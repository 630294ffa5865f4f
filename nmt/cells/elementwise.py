"""Cells without a recurrent product: a unit sees its own past, and other units only through the layers."""

from torch import relu, sigmoid

from nmt.cells.cell import Cell, Gates, Products
from nmt.cells.gru import GRU
from nmt.cells.lstm import LSTM


class SSRU(Cell):
    """Simpler simple recurrent unit (Kim et al., 2019): one gate that reads the input alone."""

    gates = ("f", "n")
    recurrent = ()

    State = LSTM.State

    def step(self, x: Gates, s: LSTM.State, U: Products) -> LSTM.State:
        f = sigmoid(x.f)  # forget gate: what is kept
        c = f * s.c + (1 - f) * x.n
        return self.State(h=relu(c), c=c)


class MinGRU(Cell):
    """Minimal GRU whose gate and candidate read the input alone (Feng et al., 2024)."""

    gates = ("z", "n")
    recurrent = ()

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        z = sigmoid(x.z)  # update gate: what is replaced
        return self.State(h=(1 - z) * s.h + z * x.n)
