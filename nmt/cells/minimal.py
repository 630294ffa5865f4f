"""Gated units with fewer gates than a GRU."""

from torch import sigmoid, tanh

from nmt.cells.cell import Cell, Gates, Products
from nmt.cells.gru import GRU


class MGU(Cell):
    """Minimal gated unit: one gate resets and updates (Zhou et al., 2016)."""

    gates = ("f", "n")

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        f = sigmoid(x.f + U.f(s.h))  # forget gate: what the candidate reads, and how much of it is written
        n = tanh(x.n + U.n(f * s.h))  # candidate
        return self.State(h=(1 - f) * s.h + f * n)


class NoResetGRU(Cell):
    """Gated recurrent unit without a reset gate (M-GRU of Ravanelli et al., 2017)."""

    gates = ("z", "n")

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        z = sigmoid(x.z + U.z(s.h))  # update gate: what is kept
        n = tanh(x.n + U.n(s.h))  # candidate
        return self.State(h=z * s.h + (1 - z) * n)


class ATR(Cell):
    """Addition-subtraction twin-gated unit: two gates from one pair of products (Zhang et al., 2018)."""

    gates = ("p",)

    State = GRU.State

    def step(self, x: Gates, s: GRU.State, U: Products) -> GRU.State:
        p, q = x.p, U.p(s.h)
        i = sigmoid(p + q)  # input gate
        f = sigmoid(p - q)  # forget gate: high where the input gate is low
        return self.State(h=i * p + f * s.h)
