"""Bridges: the decoder's initial states computed from the encoder's final states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.cells.cell import Cell
from nmt.model.attention import Memory
from nmt.recurrence.deferred import PackableLinear
from nmt.settings import OneOf, Settings


@dataclass(frozen=True, kw_only=True)
class BridgeSettings(Settings):
    """The bridge from the encoder to a decoder."""

    bridge: Annotated[str, OneOf(lambda: BRIDGES)] = "linear"
    """Computation of the decoder's initial state from the encoder's states."""


class Bridge(nn.Module):
    """A first state of zeros, and the base class of the other bridges.

    A field of the decoder's state is computed from the encoder's field of the same name, or from h if the
    encoder's cell has no such field. Layers are matched from the top; a decoder that is deeper than its
    encoder uses the encoder's lowest layer for the rest.
    """

    def __init__(self, sizes: Sequence[int], cells: Sequence[Cell]) -> None:
        """Take the `sizes`: that of each encoder layer's final state, its directions concatenated."""
        super().__init__()
        self.sizes = list(sizes)
        self.sources = [max(0, len(sizes) - len(cells) + layer) for layer in range(len(cells))]
        self.states = [cell.State for cell in cells]
        self.hidden_sizes = [cell.hidden_size for cell in cells]

    def forward(self, memory: Memory) -> tuple[Any, ...]:
        """Compute the initial state of every decoder layer."""
        return tuple(
            state(*[self.field(layer, name, memory) for name in state._fields])
            for layer, state in enumerate(self.states)
        )

    def field(self, layer: int, name: str, memory: Memory) -> Tensor:
        """Compute one field [B, H] of one decoder layer's initial state."""
        return memory.states.new_zeros(memory.states.shape[0], self.hidden_sizes[layer])

    def final(self, layer: int, name: str, memory: Memory) -> Tensor:
        """Return the field `name` of the matched layer's final state, its directions concatenated."""
        directions = memory.finals[self.sources[layer]]
        return torch.cat([getattr(s, name, s.h) for s in directions], dim=-1)


class CopyBridge(Bridge):
    """The encoder's final state, truncated or padded with zeros if the sizes differ."""

    def field(self, layer: int, name: str, memory: Memory) -> Tensor:
        final, size = self.final(layer, name, memory), self.hidden_sizes[layer]
        return F.pad(final[:, :size], (0, max(0, size - final.shape[1])))


class LinearBridge(Bridge):
    """tanh(W s + b) of the encoder's final state (Bahdanau et al., 2015, A.2.2), for each layer and field."""

    def __init__(self, sizes: Sequence[int], cells: Sequence[Cell]) -> None:
        super().__init__(sizes, cells)
        self.linear = nn.ModuleDict(
            {
                f"{layer}_{name}": PackableLinear(self.input_size(layer), self.hidden_sizes[layer])
                for layer, state in enumerate(self.states)
                for name in state._fields
            }
        )

    def input_size(self, layer: int) -> int:
        return self.sizes[self.sources[layer]]

    def field(self, layer: int, name: str, memory: Memory) -> Tensor:
        return torch.tanh(self.linear[f"{layer}_{name}"](self.final(layer, name, memory)))


class MeanBridge(LinearBridge):
    """tanh(W m + b) of the mean m of the encoder's states over the sentence (Nematus, 2017)."""

    def input_size(self, layer: int) -> int:
        return self.sizes[-1]  # of the encoder's states

    def final(self, layer: int, name: str, memory: Memory) -> Tensor:
        mask = memory.mask.unsqueeze(-1).to(memory.states.dtype)  # [B, S, 1]
        return (memory.states * mask).sum(1) / mask.sum(1)


BRIDGES: dict[str, type[Bridge]] = {
    "zero": Bridge,
    "copy": CopyBridge,
    "linear": LinearBridge,
    "mean": MeanBridge,
}
