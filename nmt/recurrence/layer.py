"""Layers: a cell over a sequence, in one direction or both, and stacks of layers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from itertools import pairwise
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.cells import CELLS, find_cell
from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.recurrence.engine import Engine
from nmt.recurrence.fused import bind_cell
from nmt.recurrence.reference import BoundCell
from nmt.recurrence.state import Zoneout
from nmt.recurrence.trace.program import check_step
from nmt.settings import (
    ByShape,
    Conflict,
    Depth,
    Number,
    OneOf,
    Probability,
    Settings,
    Width,
)


@dataclass(frozen=True, kw_only=True)
class DropoutSettings(Settings):
    """Dropout probabilities of a stack of layers."""

    embedding: Probability = 0.0
    """On the embedded words."""
    word: Probability = 0.0
    """Whole words replaced by zeros (Gal & Ghahramani, 2016)."""
    layers: Probability = 0.0
    """Between stacked layers."""
    input: Probability = 0.0
    """Variational: one mask per sequence on each layer's input."""
    state: Probability = 0.0
    """Variational: one mask per sequence on the state that enters the recurrent products."""
    zoneout: Probability = 0.0
    """Units of the state that keep their previous value, drawn at every position (Krueger et al., 2017)."""

    @property
    def is_on(self) -> bool:
        """True if any probability is above 0."""
        return any(astuple(self))


NO_DROPOUT = DropoutSettings()
CellName = Annotated[str, OneOf(lambda: CELLS, pattern=r".+\.py:\w+")]


@dataclass(frozen=True, kw_only=True)
class StackSettings(Settings):
    """Common settings of the stacks of the encoder and the decoder."""

    cell: Annotated[CellName | list[CellName], ByShape()] = "lstm"
    """Cell of all layers, or a list with one per layer; `my_cells.py:MyCell` is a user-defined cell, its file
    found like `data.root`."""
    embedding: Width = 256
    """Size of a word's embedding; or `{file: vectors.txt}`, which sets `embedding_file` and this size."""
    embedding_file: str | None = None
    """Word vectors with which the embedding starts, as text of word2vec, GloVe or fastText (also compressed),
    found like `data.root`. Tokens that the file lacks start with random vectors."""
    hidden: Width = 256
    """Size of the hidden state (of each direction)."""
    layers: Depth = 1
    """Number of layers."""
    residual_from: Depth | None = None
    """First layer (counted from 1) whose input is added to its output; null for none."""
    layer_norm: bool = False
    """Layer normalisation of each gate's products (Ba et al., 2016)."""
    gate_bias: dict[str, Number] = field(default_factory=dict)
    """Initial bias by gate name, instead of the cell's own (`{f: 1.0}` opens a forget gate)."""

    @property
    def cells(self) -> list[str]:
        """The name of each layer's cell."""
        return [self.cell] * self.layers if isinstance(self.cell, str) else self.cell

    def widths(self) -> list[int]:
        """Return the size of each layer's input, and last the size of the top layer's output."""
        raise NotImplementedError

    def unknown_gates(self, cells: Iterable[type[Cell]]) -> Iterator[Conflict]:
        """Yield the gates of `gate_bias` that none of the cells has."""
        gates = gates_with_bias(cells)
        for gate in self.gate_bias:
            if gate not in gates:
                yield f"gate_bias.{gate}", f"no cell here has a gate '{gate}' (gates: {', '.join(gates)})"

    def conflicts(self) -> Iterator[Conflict]:
        if len(self.cells) != self.layers:
            yield (
                "cell",
                f"a list has one cell per layer: it has {len(self.cells)}, layers is {self.layers}",
            )
        known = {name: CELLS[name] for name in self.cells if name in CELLS}
        if len(known) == len({*self.cells}):  # of a custom cell, only its code knows
            yield from self.unknown_gates(known.values())
        if self.residual_from is None:
            return
        if self.residual_from > self.layers:
            yield "residual_from", f"there is no layer {self.residual_from}: layers is {self.layers}"
        for layer, (read, given) in enumerate(pairwise(self.widths()), start=1):
            if layer >= self.residual_from and read != given:
                yield (
                    "residual_from",
                    f"layer {layer} reads {read} numbers and writes {given}, so they cannot be added",
                )


def gates_with_bias(cells: Iterable[type[Cell]]) -> list[str]:
    """Return the gates of any of the cells that have a bias, in alphabetical order."""
    return sorted({gate for cell in cells for gate in cell.biased_gates()})


class Layer(nn.Module):
    """A recurrent layer: one cell, or one in each direction.

    Input x [T, B, E]; output (h [T, B, D], final states), D = H for each direction, the states in
    the order (left to right, right to left).
    """

    def __init__(
        self, cells: Sequence[Cell], dropout: DropoutSettings = NO_DROPOUT, *, engine: Engine = "auto"
    ) -> None:
        """Build a layer; of `dropout` it uses `input`, `state` and `zoneout`."""
        super().__init__()
        self.directions: Sequence[Cell] = nn.ModuleList(cells)  # type: ignore[assignment]
        self.bound_cells: dict[Cell, BoundCell] = {}
        self.dropout = dropout
        self.engine: Engine = engine

    @property
    def input_size(self) -> int:
        return self.directions[0].input_size

    @property
    def output_size(self) -> int:
        return sum(cell.hidden_size for cell in self.directions)

    def forward(
        self, x: Tensor, mask: Tensor | None, start: tuple[Any, ...] | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        """Run the layer from `start`, the final states of the previous chunk; from zero if None.

        Raises UsageError for a start with two directions: the one from right to left begins at the end.
        """
        forward, *backward = self.directions
        if start is not None and backward:
            raise UsageError(
                "a bidirectional layer needs whole sequences; it cannot continue from a previous chunk"
            )
        h, final = self.run(forward, x, mask, start and start[0])
        if not backward:
            return h, (final,)
        # In reverse, padding comes first and keeps the zero state.
        g, first = self.run(backward[0], x, mask, reverse=True)
        return torch.cat([h, g], dim=-1), (final, first)

    def run(
        self, cell: Cell, x: Tensor, mask: Tensor | None, start: Any = None, *, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        bound = self.bind(cell, x.shape[1])
        s = cell.initial_state(x.shape[1]) if start is None else start
        return bound.scan(bound.project(x), s, mask, reverse=reverse)

    def prepare_for_inference(self) -> None:
        """Bind the cells once for all batches; the weights must not change afterwards."""
        self.bound_cells = {cell: self.bind(cell, 1) for cell in self.directions}
        for bound in self.bound_cells.values():
            bound.is_reused = True

    def bind(self, cell: Cell, batch: int) -> BoundCell:
        """Bind a cell to one batch; dropout only in training, otherwise the expectation of zoneout."""
        if cell in self.bound_cells:
            return self.bound_cells[cell]
        return bind_cell(
            cell,
            batch,
            engine=self.engine,
            input_dropout=self.dropout.input if self.training else 0.0,
            state_dropout=self.dropout.state if self.training else 0.0,
            zoneout=Zoneout(self.dropout.zoneout, drawn=self.training),
        )


class Stack(nn.Module):
    """A stack of layers; from layer `residual_from` (counted from 1) on, each adds its input to its output.

    Raises UsageError if a residual layer's input and output differ in size.
    """

    def __init__(
        self, layers: Sequence[Layer], *, residual_from: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers: Sequence[Layer] = nn.ModuleList(layers)  # type: ignore[assignment]
        self.residual_from, self.dropout = residual_from, dropout
        for depth, layer in enumerate(layers, start=1):
            if self.is_residual(depth) and layer.input_size != layer.output_size:
                raise UsageError(
                    f"residual_from: layer {depth} has {layer.input_size} inputs and {layer.output_size} "
                    f"outputs, which cannot be added; start at layer {depth + 1} or make the sizes equal"
                )

    def is_residual(self, depth: int) -> bool:
        """Return whether layer `depth` (from 1) adds its input to its output."""
        return self.residual_from is not None and depth >= self.residual_from

    def forward(
        self, x: Tensor, mask: Tensor | None, start: Sequence[tuple[Any, ...] | None] | None = None
    ) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
        """Map x [T, B, E] to (top layer's h [T, B, D], final states by layer and direction).

        `start` are the final states of the previous chunk, if a long sequence is run in chunks (see
        `detach_states`). Dropout masks are drawn for every call.
        """
        finals = []
        starts = start if start is not None else [None] * len(self.layers)
        for depth, (layer, state) in enumerate(zip(self.layers, starts, strict=True), start=1):
            if depth > 1:
                x = F.dropout(x, self.dropout, self.training)
            h, final = layer(x, mask, state)
            x = self.add_residual(depth, x, h)
            finals.append(final)
        return x, tuple(finals)

    def add_residual(self, depth: int, x: Tensor, h: Tensor) -> Tensor:
        """Return h, plus the layer's input x if the layer is residual."""
        return x + h if self.is_residual(depth) else h


def build_stack(
    settings: StackSettings, dropout: DropoutSettings, cells: Sequence[Sequence[Cell]], engine: Engine
) -> Stack:
    """Build a stack from the cells of each layer, one or one for each direction."""
    layers = [Layer(directions, dropout, engine=engine) for directions in cells]
    return Stack(layers, residual_from=settings.residual_from, dropout=dropout.layers)


def build_cells(settings: StackSettings, sizes: Sequence[int]) -> list[Cell]:
    """Build a cell for each layer, `sizes` their input sizes; each gets the biases of the gates that it has.

    With fewer sizes than layers, the cells of the lowest layers. UsageError for a bias of no cell's gate.
    """
    classes = [find_cell(name) for name in settings.cells]
    for _, problem in settings.unknown_gates(classes):
        raise UsageError(f"gate_bias: {problem}")
    cells = []
    for cell, size in zip(classes[: len(sizes)], sizes, strict=True):
        gate_bias = {gate: value for gate, value in settings.gate_bias.items() if gate in cell.biased_gates()}
        cells.append(cell(size, settings.hidden, layer_norm=settings.layer_norm, gate_bias=gate_bias))
        if not cells[-1].b.is_meta:  # without memory PyTorch would import its compiler, which takes a second
            check_step(cells[-1])
    return cells
