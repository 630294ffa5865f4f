"""The plain recurrent network: one non-linearity, no gate, and so nothing that holds a memory."""

from typing import NamedTuple

from torch import Tensor, relu, tanh

from nmt.cells.cell import Cell, Gates, Products


class RNN(Cell):
    """Simple recurrent network (Elman, 1990)."""

    gates = ("h",)

    class State(NamedTuple):
        h: Tensor

    def step(self, x: Gates, s: State, U: Products) -> State:
        return self.State(h=tanh(x.h + U.h(s.h)))


class ReluRNN(RNN):
    """Simple recurrent network with rectified units (as in Le, Jaitly & Hinton, 2015)."""

    def step(self, x: Gates, s: RNN.State, U: Products) -> RNN.State:
        return self.State(h=relu(x.h + U.h(s.h)))
