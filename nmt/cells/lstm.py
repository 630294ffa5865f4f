"""Long short-term memory: gradients flow along the sum in c'."""

from typing import NamedTuple

from torch import Tensor, sigmoid, tanh

from nmt.cells.cell import Cell, Gates, Products


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997) with forget gate (Gers et al., 2000).

    The forget gate starts open, b_f = 1 (Gers et al., 2000; Jozefowicz et al., 2015).
    """

    gates = ("i", "f", "g", "o")
    bias = {"f": 1.0}

    class State(NamedTuple):
        h: Tensor
        c: Tensor

    def step(self, x: Gates, s: State, U: Products) -> State:
        i = sigmoid(x.i + U.i(s.h))  # input gate: what is written
        f = sigmoid(x.f + U.f(s.h))  # forget gate: what is kept
        g = tanh(x.g + U.g(s.h))  # candidate
        o = sigmoid(x.o + U.o(s.h))  # output gate: what is output
        c = f * s.c + i * g
        return self.State(h=o * tanh(c), c=c)


class PeepholeLSTM(LSTM):
    """LSTM whose gates read the memory through peepholes p (Gers & Schmidhuber, 2000)."""

    vectors = ("p_i", "p_f", "p_o")
    p_i: Tensor
    p_f: Tensor
    p_o: Tensor

    def step(self, x: Gates, s: LSTM.State, U: Products) -> LSTM.State:
        i = sigmoid(x.i + U.i(s.h) + self.p_i * s.c)
        f = sigmoid(x.f + U.f(s.h) + self.p_f * s.c)
        g = tanh(x.g + U.g(s.h))
        c = f * s.c + i * g
        o = sigmoid(x.o + U.o(s.h) + self.p_o * c)  # reads the new memory
        return self.State(h=o * tanh(c), c=c)


class MultiplicativeLSTM(Cell):
    """LSTM whose gates read m, h transformed by a matrix of the input (mLSTM; Krause et al., 2016)."""

    gates = ("i", "f", "g", "o", "m")
    bias = {"f": 1.0}

    State = LSTM.State

    def step(self, x: Gates, s: LSTM.State, U: Products) -> LSTM.State:
        m = x.m * U.m(s.h)  # equivalent to a recurrent matrix that depends on the input
        i = sigmoid(x.i + U.i(m))
        f = sigmoid(x.f + U.f(m))
        g = tanh(x.g + U.g(m))
        o = sigmoid(x.o + U.o(m))
        c = f * s.c + i * g
        return self.State(h=o * tanh(c), c=c)


class CoupledLSTM(Cell):
    """LSTM with coupled gates, f = 1 - i (CIFG; Greff et al., 2017)."""

    gates = ("i", "g", "o")
    bias = {"i": -1.0}  # f = 1 - i starts open

    State = LSTM.State

    def step(self, x: Gates, s: LSTM.State, U: Products) -> LSTM.State:
        i = sigmoid(x.i + U.i(s.h))
        g = tanh(x.g + U.g(s.h))
        o = sigmoid(x.o + U.o(s.h))
        c = (1 - i) * s.c + i * g
        return self.State(h=o * tanh(c), c=c)
