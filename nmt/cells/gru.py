"""Gated recurrent units, with the reset gate before or after the recurrent product."""

from typing import NamedTuple

from torch import Tensor, sigmoid, tanh

from nmt.cells.cell import Cell, Gates, Products


class GRU(Cell):
    """Gated recurrent unit, reset before the recurrent product (Cho et al., 2014, eqs. 5-8)."""

    gates = ("r", "z", "n")

    class State(NamedTuple):
        h: Tensor

    def step(self, x: Gates, s: State, U: Products) -> State:
        r = sigmoid(x.r + U.r(s.h))  # reset gate: what the candidate reads of the past
        z = sigmoid(x.z + U.z(s.h))  # update gate: what is kept
        n = tanh(x.n + U.n(r * s.h))  # candidate
        return self.State(h=z * s.h + (1 - z) * n)


class ResetAfterGRU(GRU):
    """Gated recurrent unit, reset after the recurrent product, as in cuDNN and torch.nn.GRU."""

    recurrent_bias = ("n",)

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        r = sigmoid(x.r + U.r(s.h))
        z = sigmoid(x.z + U.z(s.h))
        n = tanh(x.n + r * U.n(s.h))  # U.n(h) includes its bias b'
        return self.State(h=z * s.h + (1 - z) * n)
