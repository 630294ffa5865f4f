"""`nmt.Recurrent`: any cell in the place of `torch.nn.LSTM`, with its arguments, shapes and results."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from reprlib import repr as shorten
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from nmt.arguments import check_choice, check_flag, check_number, check_whole_number
from nmt.cells import CELLS, cell_name, check_declaration, find_named_cell
from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.recurrence.engine import Engine
from nmt.recurrence.layer import Layer
from nmt.recurrence.trace.program import check_step

TORCH_CELLS = {"RNN_TANH": "rnn", "RNN_RELU": "rnn-relu", "LSTM": "lstm", "GRU": "gru-reset-after"}
"""The cell of each mode of `torch.nn.RNNBase`."""
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
TORCH_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Recurrent(nn.Module):
    """Layers of a cell over sequences, in one direction or both: `torch.nn.LSTM` for every cell.

        rnn = nmt.Recurrent("lstm-peephole", 16, 32, num_layers=2, bidirectional=True, batch_first=True)
        output, (h_n, c_n) = rnn(x, lengths=lengths)  # x [N, L, 16], output [N, L, 64], h_n [4, N, 32]

    `cell` is a name (`nmt cell ls`), `my_cells.py:MyCell`, or a subclass of `nmt.Cell`. The arguments that
    follow are those of torch.nn: D = 2 with `bidirectional`, else 1; `dropout` is that between layers.
    `layer_norm`, `gate_bias` and `engine` are as in a recipe. The initial weights are the cell's, not
    those of torch.nn: W by Glorot & Bengio, U orthogonal, the forget gate of an LSTM open.

    `load_state_dict` also takes that of `torch.nn.RNN`, `LSTM` and `GRU`, for the cells rnn, rnn-relu, lstm
    and gru-reset-after. Raises UsageError for an unknown cell and values out of range.
    """

    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        layer_norm: bool = False,
        gate_bias: Mapping[str, float] | None = None,
        engine: Engine = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.kind = _find_kind(cell)
        self.input_size = check_whole_number("input_size", input_size, 1)
        self.hidden_size = check_whole_number("hidden_size", hidden_size, 1)
        self.num_layers = check_whole_number("num_layers", num_layers, 1)
        self.bias, self.batch_first = check_flag("bias", bias), check_flag("batch_first", batch_first)
        self.dropout = check_number("dropout", dropout)
        self.bidirectional = check_flag("bidirectional", bidirectional)
        biases = _check_gate_bias(gate_bias)
        if not 0 <= self.dropout <= 1:
            raise UsageError(f"dropout must be from 0 to 1 (got {dropout})")
        if biases and not bias:
            raise UsageError("gate_bias needs bias=True")
        normalised = check_flag("layer_norm", layer_norm)
        check_choice("engine", engine, get_args(Engine))
        sizes = [self.input_size] + [self.hidden_size * self.directions] * (self.num_layers - 1)

        def build(size: int) -> Cell:
            one = self.kind(size, self.hidden_size, layer_norm=normalised, gate_bias=biases)
            if not bias:
                _remove_biases(one)
            check_step(one)
            return one

        layers = [Layer([build(size) for _ in range(self.directions)], engine=engine) for size in sizes]
        self.layers: Sequence[Layer] = nn.ModuleList(layers)  # type: ignore[assignment]
        self.shapes = {name: weight.shape for name, weight in self.named_parameters()}
        self.register_load_state_dict_pre_hook(_convert_torch_weights)  # type: ignore[no-untyped-call]
        self.to(device=device, dtype=dtype)

    @classmethod
    def from_torch(cls, module: nn.RNNBase, *, engine: Engine = "auto") -> "Recurrent":
        """Return the equivalent of a `torch.nn.RNN`, `LSTM` or `GRU`, with a copy of its weights."""
        if not isinstance(module, nn.RNNBase) or module.mode not in TORCH_CELLS:
            raise UsageError(f"from_torch needs a torch.nn.RNN, LSTM or GRU (got {shorten(module)})")
        if module.proj_size:
            raise UsageError("an LSTM with proj_size has no equivalent here")
        made = cls(
            TORCH_CELLS[module.mode],
            module.input_size,
            module.hidden_size,
            module.num_layers,
            bias=module.bias,
            batch_first=module.batch_first,
            dropout=float(module.dropout),
            bidirectional=module.bidirectional,
            engine=engine,
        ).to(next(module.parameters()))
        made.load_state_dict(module.state_dict())
        return made.train(module.training)

    @property
    def directions(self) -> int:
        """1, or 2 with `bidirectional`."""
        return 1 + self.bidirectional

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Map x to (output, state), as torch.nn does.

        x is [L, N, E], [N, L, E] with `batch_first`, or [L, E]; output the same with D*H instead of E: h of
        the top layer. The state has [D*num_layers, N, H] for each field of the cell's state: h_n if that is
        all, else a tuple such as (h_n, c_n). A `state` of this form is where to start, by default zeros.

        For sequences of different lengths give their `lengths` [N], or a `mask` in the layout of x without
        E, True at the positions that are read; at others the output is 0 and the state is kept. This replaces
        packing and needs no sorting. Raises UsageError for other shapes, and for another dtype than
        that of the weights; under autocast, floating-point inputs are converted.
        """
        run = _find_uncompiled() if torch.compiler.is_dynamo_compiling() else Recurrent.run
        return run(self, x, state, lengths, mask)

    def run(
        self,
        x: Tensor | PackedSequence,
        state: Any,
        lengths: Tensor | Sequence[int] | None,
        mask: Tensor | None,
    ) -> tuple[Tensor, Any]:
        """Compute what `forward` returns; torch.compile calls it as it is."""
        self._check_weights()
        if not isinstance(x, Tensor):
            packed = ": pass the padded tensor with lengths=" if isinstance(x, PackedSequence) else ""
            raise UsageError(f"Recurrent reads a tensor, not a {type(x).__name__}{packed}")
        is_batch, layout = x.dim() == 3, "[N, L, E]" if self.batch_first else "[L, N, E]"
        if x.dim() not in (2, 3) or x.shape[-1] != self.input_size or not x.shape[:-1].numel():
            expected = f"{layout} or [L, E] with E = {self.input_size}, not empty"
            raise UsageError(f"the input must be {expected} (got {list(x.shape)})")
        x = self._check_tensor(x, "input")
        x = self._to_time_major(x) if is_batch else x.unsqueeze(1)
        read = self._find_mask(x, lengths, mask)
        output, finals = self._run_layers(x, read, self._split_state(state, x.shape[1], is_batch))
        if read is not None:
            output = output.masked_fill(~read.unsqueeze(-1), 0.0)
        stacked = [torch.stack(field) for field in zip(*finals, strict=True)]
        if not is_batch:
            output, stacked = output.squeeze(1), [field.squeeze(1) for field in stacked]
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, stacked[0] if len(stacked) == 1 else self.kind.State(*stacked)

    def _check_weights(self) -> None:
        """Raise UsageError for weights that code in C would read wrongly, as others have replaced them."""
        first = next(self.parameters())
        for name, weight in self.named_parameters():
            shape = self.shapes.get(name, weight.shape)
            if (weight.shape, weight.dtype, weight.device) != (shape, first.dtype, first.device):
                expected = f"{list(shape)}, {first.dtype}, on {first.device}"
                found = f"{list(weight.shape)}, {weight.dtype}, on {weight.device}"
                raise UsageError(f"the weight {name} must be {expected} (got {found})")

    def _check_tensor(self, x: Any, name: str) -> Tensor:
        """Return `x` in the weights' dtype; only autocast converts it. UsageError for what C cannot read."""
        weights = next(self.parameters())
        dtype, device = weights.dtype, weights.device
        if not isinstance(x, Tensor) or x.device != device or x.layout != torch.strided:
            kind = f"{x.layout} on {x.device}" if isinstance(x, Tensor) else type(x).__name__
            raise UsageError(
                f"the {name} must be a dense tensor on {device}, as the weights are (got {kind})"
            )
        if x.dtype == dtype:
            return x
        if x.is_floating_point() and torch.is_autocast_enabled(x.device.type):
            return x.to(dtype)
        raise UsageError(
            f"the {name}'s dtype must be that of the weights, {dtype} (got {x.dtype}): use x.to({dtype})"
            + (f", or convert the module: rnn.to({x.dtype})" if x.is_floating_point() else "")
        )

    def _run_layers(self, x: Tensor, mask: Tensor | None, starts: Sequence[Any]) -> tuple[Tensor, list[Any]]:
        """Run all layers and directions on x [L, N, E]; return the top h, and the final states in order."""
        finals: list[Any] = []
        for depth, layer in enumerate(self.layers):
            if depth:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for reverse, cell in enumerate(layer.directions):
                h, final = layer.run(cell, x, mask, starts[len(finals)], reverse=bool(reverse))
                outputs.append(h)
                finals.append(final)
            x = torch.cat(outputs, dim=-1) if self.bidirectional else outputs[0]
        return x, finals

    def _split_state(self, state: Any, batch: int, is_batch: bool) -> Sequence[Any]:
        """Return the state in which each layer and direction starts; None for zeros."""
        count = self.num_layers * self.directions
        if state is None:
            return [None] * count
        fields = [
            self._check_tensor(field, "state") for field in self.layers[0].directions[0].make_state(state)
        ]
        if not is_batch:
            fields = [field.unsqueeze(1) for field in fields]
        expected = (count, batch, self.hidden_size)
        for field in fields:
            if field.shape != expected:
                raise UsageError(f"the state must be {list(expected)} (got {list(field.shape)})")
        return [self.kind.State(*parts) for parts in zip(*fields, strict=True)]

    def _find_mask(
        self, x: Tensor, lengths: Tensor | Sequence[int] | None, mask: Tensor | None
    ) -> Tensor | None:
        """Return the mask [L, N] of the positions that are read; None for all."""
        positions, batch = x.shape[:2]
        if lengths is None and mask is None:
            return None
        if mask is None:
            counts = _to_integers(lengths, x.device)
            if counts.shape != (batch,) or not bool(((counts >= 0) & (counts <= positions)).all()):
                raise UsageError(
                    f"lengths must be {batch} integers from 0 to {positions}, one for each sequence"
                )
            return torch.arange(positions, device=x.device).unsqueeze(1) < counts
        if lengths is not None:
            raise UsageError("give lengths or a mask, not both")
        shape = [batch, positions] if self.batch_first else [positions, batch]
        is_mask = isinstance(mask, Tensor) and mask.dtype == torch.bool and list(mask.shape) == shape
        if mask is None or not is_mask or mask.device != x.device or mask.layout != torch.strided:
            raise UsageError(
                f"the mask must be a tensor of booleans {shape} on {x.device}, True where the input is read"
            )
        return self._to_time_major(mask)

    def _to_time_major(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).contiguous() if self.batch_first else x

    def extra_repr(self) -> str:
        return f"{cell_name(self.kind)}, {self.input_size} -> {self.hidden_size}"


@cache
def _disable_compiler() -> Callable[..., Any]:
    return torch.compiler.disable(Recurrent.run)  # type: ignore[no-any-return, no-untyped-call]


def _find_uncompiled() -> Callable[..., Any]:
    """Return `Recurrent.run` for torch.compile, which would trace the code that calls C for half a minute."""
    return _disable_compiler()


_find_uncompiled._torchdynamo_disable = True  # type: ignore[attr-defined]


def _find_kind(cell: Any) -> type[Cell]:
    """Return the class of a cell, given it or its name."""
    kind = find_named_cell(cell) if isinstance(cell, str) else cell
    if not (isinstance(kind, type) and issubclass(kind, Cell)):
        raise UsageError(f"cell: expected a name, such as 'lstm', or a subclass of nmt.Cell (got {cell!r})")
    check_declaration(kind, cell_name(kind))
    return kind


def _check_gate_bias(gate_bias: Any) -> dict[str, float]:
    if not isinstance(gate_bias, Mapping | None):
        raise UsageError(f"gate_bias must map gates to numbers (got {gate_bias!r})")
    return {gate: check_number(f"gate_bias of {gate!r}", value) for gate, value in (gate_bias or {}).items()}


def _to_integers(lengths: Any, device: torch.device) -> Tensor:
    """Return lengths as a tensor, an empty one for what is not a list of integers."""
    with suppress(TypeError, ValueError, RuntimeError):
        counts = torch.as_tensor(lengths, device=device)
        if counts.dtype in INTEGERS:
            return counts
    return torch.empty(0)


def _remove_biases(cell: Cell) -> None:
    """Replace the biases of a cell by zeros that are neither trained nor saved."""
    for name in ("b", "b_recurrent"):
        bias = getattr(cell, name)
        if bias is not None:
            delattr(cell, name)
            cell.register_buffer(name, torch.zeros_like(bias), persistent=False)


def _convert_torch_weights(module: Recurrent, weights: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give the parameters of torch.nn in a state dict the names and the form of those of the cells."""
    if f"{prefix}weight_ih_l0" not in weights:
        return
    name = cell_name(module.kind)
    if CELLS.get(name) is not module.kind or name not in TORCH_CELLS.values():
        raise UsageError(
            f"these are weights of torch.nn, which has {', '.join(TORCH_CELLS.values())}, but not {name}"
            + (": torch.nn.GRU is gru-reset-after" if name == "gru" else "")
        )
    for depth, layer in enumerate(module.layers):
        for direction, cell in enumerate(layer.directions):
            suffix = f"_l{depth}" + "_reverse" * direction
            keys = {name: f"{prefix}{name}{suffix}" for name in TORCH_NAMES}
            found = {name: weights.pop(key) for name, key in keys.items() if key in weights}
            if {"weight_ih", "weight_hh"} <= found.keys():
                for own, value in cell.convert_torch(found).items():
                    weights[f"{prefix}layers.{depth}.directions.{direction}.{own}"] = value
