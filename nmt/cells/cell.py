"""The base class of cells: a cell declares its gates, its state and the equations of one step."""

import inspect
import textwrap
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.errors import UsageError

RECURRENT_GAIN = 0.1
"""The initial gain of a normalised recurrent product: decision 0048 has what others give."""


class Gates(Protocol):
    """`x` in a step: `x.r` is `W_r x + b_r` at one position, [B, H], for each gate r."""

    def __getattr__(self, gate: str) -> Tensor: ...


class Products(Protocol):
    """`U` in a step: `U.r(v)` is `U_r v`, [B, H], for each recurrent gate r and any operand v [B, H]."""

    def __getattr__(self, gate: str) -> Callable[[Tensor], Tensor]: ...


@cache
def _make_tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)


class Cell(nn.Module):
    """A recurrent cell, whose parameters are derived from its declaration.

    A subclass declares `gates` (names, in the order of PyTorch if it has the cell), `State` (a NamedTuple
    of tensors [B, H], `h` first) and `step(self, x, s, U) -> State`. It may declare `recurrent` (the gates
    with a recurrent product; all by default; names that are not in `gates` have no input product), `bias`
    (initial values by gate name, 0 elsewhere), `vectors` (further parameters [H], used as attributes:
    peepholes) and `recurrent_bias` (gates with a bias b' inside their recurrent product).

    Parameters: W [G*H, E] and b [G*H], one block of H rows per gate in the order of `gates`, and U [R*H, H]
    in that of `recurrent`; a cell without a recurrent product has no U. With `layer_norm` both products are
    normalised gate by gate (Ba, Kiros & Hinton, 2016): x.g = LN(W_g x) + b_g and U.g(v) = LN(U_g v), each
    with its gain, which is 1 and `RECURRENT_GAIN` in a new cell.
    """

    gates: ClassVar[tuple[str, ...]]
    recurrent: ClassVar[tuple[str, ...]]
    bias: ClassVar[Mapping[str, float]] = {}
    vectors: ClassVar[tuple[str, ...]] = ()
    recurrent_bias: ClassVar[tuple[str, ...]] = ()
    State: Any
    step: Callable[..., Any]

    def __init_subclass__(cls) -> None:
        """Make all gates recurrent if the subclass does not declare `recurrent`."""
        if "gates" in vars(cls) and "recurrent" not in vars(cls):
            cls.recurrent = cls.gates

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        layer_norm: bool = False,
        gate_bias: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, recurrent_rows = len(self.gates) * hidden_size, len(self.recurrent) * hidden_size
        self.W = nn.Parameter(torch.zeros(rows, input_size))
        self.register_parameter("U", None)
        if self.recurrent:
            self.U = nn.Parameter(torch.zeros(recurrent_rows, hidden_size))
        self.b = nn.Parameter(torch.zeros(rows))
        biased = len(self.recurrent_bias) * hidden_size
        self.b_recurrent = nn.Parameter(torch.zeros(biased)) if self.recurrent_bias else None
        for name in self.vectors:
            self.register_parameter(name, nn.Parameter(torch.zeros(hidden_size)))
        self.gain_W = nn.Parameter(torch.ones(rows)) if layer_norm else None
        self.gain_U = None
        if layer_norm and self.recurrent:
            self.gain_U = nn.Parameter(torch.full((recurrent_rows,), RECURRENT_GAIN))
        self.reset_parameters({**self.bias, **(gate_bias or {})})

    @property
    def gate_tuple(self) -> Any:
        """The class of `x` in a step."""
        return _make_tuple_class("Gates", self.gates)

    @property
    def product_tuple(self) -> Any:
        """The class of `U` in a step."""
        return _make_tuple_class("Products", self.recurrent)

    def reset_parameters(self, bias: Mapping[str, float]) -> None:
        """Initialise each gate: W by Glorot & Bengio (2010), U orthogonal (Saxe et al., 2014), b as given."""
        if unknown := sorted(set(bias) - set(self.biased_gates())):
            known = ", ".join(self.biased_gates())
            raise UsageError(f"gate_bias: {type(self).__name__} has no gate '{unknown[0]}' (gates: {known})")
        for gate in dict.fromkeys((*self.gates, *self.recurrent)):
            if gate in self.gates:
                nn.init.xavier_uniform_(self.W[self.rows(gate)])
            if gate in self.recurrent:
                nn.init.orthogonal_(self.U[self.recurrent_rows(gate)])
        for gate, value in bias.items():
            inner = None if gate in self.gates else self.find_recurrent_bias(gate)
            nn.init.constant_(self.b[self.rows(gate)] if inner is None else inner, value)

    @classmethod
    def biased_gates(cls) -> tuple[str, ...]:
        """Return the gates that have a bias, b or b'."""
        return tuple(dict.fromkeys((*cls.gates, *cls.recurrent_bias)))

    def rows(self, first: str, last: str | None = None) -> slice:
        """Return the rows in W and b of gate `first`, or of the gates from `first` to `last`."""
        return self._block(self.gates, first, last or first)

    def recurrent_rows(self, first: str, last: str | None = None) -> slice:
        """Return the rows in U of gate `first`, or of the recurrent gates from `first` to `last`."""
        return self._block(self.recurrent, first, last or first)

    def _block(self, gates: tuple[str, ...], first: str, last: str) -> slice:
        return slice(gates.index(first) * self.hidden_size, (gates.index(last) + 1) * self.hidden_size)

    def find_recurrent_bias(self, gate: str) -> Tensor | None:
        """Return the bias b' [H] inside a gate's recurrent product; None if the cell declares none."""
        if self.b_recurrent is None or gate not in self.recurrent_bias:
            return None
        return self.b_recurrent.view(-1, self.hidden_size)[self.recurrent_bias.index(gate)]

    def input_bias(self) -> Tensor | None:
        """Return the bias of the input product; None with layer norm, which adds it after normalising."""
        return self.b if self.gain_W is None else None

    def normalise_input(self, product: Tensor) -> Tensor:
        """Convert W x (with `input_bias`) into the x [..., G*H] of `step`."""
        return product if self.gain_W is None else self.normalise(product, self.gain_W) + self.b

    def normalise(self, product: Tensor, gain: Tensor) -> Tensor:
        """Apply layer normalisation gate by gate: [..., n*H] with gain [n*H]."""
        gates = product.view(*product.shape[:-1], -1, self.hidden_size)
        return F.layer_norm(gates, (self.hidden_size,)).flatten(-2) * gain

    def split_gates(self, gates: Tensor) -> Any:
        """Split [B, G*H] into a tuple of [B, H] with the gates' names."""
        return self.gate_tuple(*gates.chunk(len(self.gates), dim=-1))

    def initial_state(self, *batch: int) -> Any:
        """Return zeros [B, H] for every field of the state."""
        return self.State(*[self.W.new_zeros(*batch, self.hidden_size) for _ in self.State._fields])

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """Compute the state after one position from its input x [B, E] and the state before it.

        Without a state, which may be any tuple of tensors [B, H], the cell starts from zeros. For whole
        sequences `nmt.Recurrent` is faster. Raises UsageError for an input of another size.
        """
        if x.shape[-1] != self.input_size:
            raise UsageError(
                f"{type(self).__name__}: expected an input of size {self.input_size} (got {list(x.shape)})"
            )
        s = self.initial_state(*x.shape[:-1]) if state is None else self.make_state(state)
        gates = self.normalise_input(F.linear(x, self.W, self.input_bias()))
        products = self.product_tuple(*[partial(self._multiply, gate) for gate in self.recurrent])
        return self.step(self.split_gates(gates), s, products)

    def make_state(self, state: Any) -> Any:
        """Return a state from a tuple of its fields, or from h if it has no other; UsageError for others."""
        fields = tuple(state) if isinstance(state, tuple | list) else (state,)
        if len(fields) != len(self.State._fields):
            expected = ", ".join(self.State._fields)
            raise UsageError(
                f"{type(self).__name__}: expected a state of ({expected}) (tensors given: {len(fields)})"
            )
        return self.State(*fields)

    def _multiply(self, gate: str, v: Tensor) -> Tensor:
        """Compute the recurrent product of one gate."""
        rows, bias = self.recurrent_rows(gate), self.find_recurrent_bias(gate)
        if self.gain_U is None:
            return F.linear(v, self.U[rows], bias)
        product = self.normalise(F.linear(v, self.U[rows]), self.gain_U[rows])
        return product if bias is None else product + bias

    @torch.no_grad()
    def load_torch(self, module: nn.RNNBase, suffix: str = "_l0") -> None:
        """Copy the weights of one layer and direction of `torch.nn.RNN`, `LSTM` or `GRU`."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = {name: getattr(module, name + suffix) for name in names}
        for name, value in self.convert_torch(weights).items():
            getattr(self, name).copy_(value)

    def convert_torch(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters of a layer and direction of torch.nn by the names of this cell's.

        The two biases of torch.nn are summed, except for gates with a recurrent bias.
        """
        converted = {"W": weights["weight_ih"], "U": weights["weight_hh"]}
        if "bias_ih" not in weights:
            return converted
        b, recurrent = weights["bias_ih"].clone(), weights["bias_hh"]
        for gate in self.gates:
            if gate not in self.recurrent_bias:
                b[self.rows(gate)] += recurrent[self.rows(gate)]
        if self.recurrent_bias:
            inner = [recurrent[self.rows(gate)] for gate in self.recurrent_bias]
            converted["b_recurrent"] = torch.cat(inner)
        return {**converted, "b": b}

    def extra_repr(self) -> str:
        return f"{self.input_size} -> {self.hidden_size}, gates: {' '.join(self.gates)}"


def read_equations(cell: Cell) -> str:
    """Return the source of the cell's step."""
    return textwrap.dedent(inspect.getsource(type(cell).step)).rstrip()
