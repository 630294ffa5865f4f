"""A minimal gated unit (Zhou et al., 2016), as a user of version 0.1 wrote it."""

from typing import NamedTuple

from torch import Tensor, sigmoid, tanh

from nmt.cells.cell import Cell


class MGU(Cell):
    gates = ("f", "n")

    class State(NamedTuple):
        h: Tensor

    def step(self, x, s, U):
        f = sigmoid(x.f + U.f(s.h))
        n = tanh(x.n + U.n(f * s.h))
        return self.State(h=(1 - f) * s.h + f * n)
