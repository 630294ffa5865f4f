"""Recurrent networks without gates, and the recurrent highway network, which is deep at each position."""

from typing import NamedTuple

from torch import Tensor, relu, sigmoid, tanh

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


class RHN(Cell):
    """Recurrent highway network, three micro-steps deep, carry gate 1 - t (Zilly et al., 2017, eqs. 6-9)."""

    gates = ("h", "t")
    recurrent = ("h", "t", "h2", "t2", "h3", "t3")  # deeper micro-steps do not read the input
    recurrent_bias = ("h2", "t2", "h3", "t3")
    bias = {"t": -2.0, "t2": -2.0, "t3": -2.0}  # carries initially

    State = RNN.State

    def step(self, x: Gates, s: RNN.State, U: Products) -> RNN.State:
        t = sigmoid(x.t + U.t(s.h))  # transform gate: what is replaced
        y = t * tanh(x.h + U.h(s.h)) + (1 - t) * s.h
        t = sigmoid(U.t2(y))  # U.t2(y) includes its bias b'
        y = t * tanh(U.h2(y)) + (1 - t) * y
        t = sigmoid(U.t3(y))
        return self.State(h=t * tanh(U.h3(y)) + (1 - t) * y)
