"""The bridge: how the encoder's last states become the decoder's first.

A part of the decoder's state is made from the encoder's part of the same name, or from h where the
encoder's cell has no such part. Layers are matched from the top; a decoder that is deeper than its
encoder uses the encoder's lowest layer for the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.cells.cell import Cell
from nmt.model.attention import Memory
from nmt.recurrence import deferred as product
from nmt.settings import OneOf, Settings


@dataclass(frozen=True, kw_only=True)
class BridgeSettings(Settings):
    """The bridge from the encoder to a decoder."""

    bridge: Annotated[str, OneOf(lambda: BRIDGES)] = "linear"
    """Computation of the decoder's first state from the encoder's states."""


class Bridge(nn.Module):
    """Zero: the decoder starts empty. Also what the other bridges share."""

    def __init__(self, sizes: Sequence[int], memory_size: int, cells: Sequence[Cell]) -> None:
        """`sizes`: size of each encoder layer's final state, its directions side by side."""
        super().__init__()
        self.sizes, self.memory_size = list(sizes), memory_size
        self.states = [cell.State for cell in cells]
        self.hidden_sizes = [cell.hidden_size for cell in cells]

    def forward(self, memory: Memory) -> tuple[Any, ...]:
        """The first state of every decoder layer."""
        return tuple(
            state(*[self.part(layer, name, memory) for name in state._fields])
            for layer, state in enumerate(self.states)
        )

    def part(self, layer: int, name: str, memory: Memory) -> Tensor:
        """One part [B, H] of one decoder layer's first state."""
        return memory.states.new_zeros(memory.states.shape[0], self.hidden_sizes[layer])

    def source(self, layer: int) -> int:
        """The encoder layer that stands beside a decoder layer."""
        return max(0, len(self.sizes) - len(self.states) + layer)

    def final(self, layer: int, name: str, memory: Memory) -> Tensor:
        """The part `name` of the final state beside a decoder layer, directions side by side."""
        directions = memory.finals[self.source(layer)]
        return torch.cat([getattr(s, name, s.h) for s in directions], dim=-1)


class CopyBridge(Bridge):
    """The encoder's final state, cut or filled with zeros where the sizes differ."""

    def part(self, layer: int, name: str, memory: Memory) -> Tensor:
        final, size = self.final(layer, name, memory), self.hidden_sizes[layer]
        return F.pad(final[:, :size], (0, max(0, size - final.shape[1])))


class LinearBridge(Bridge):
    """tanh(W s + b) of the encoder's final state (Bahdanau et al., 2015, A.2.2), for each layer and part."""

    def __init__(self, sizes: Sequence[int], memory_size: int, cells: Sequence[Cell]) -> None:
        super().__init__(sizes, memory_size, cells)
        self.linear = nn.ModuleDict(
            {
                f"{layer}_{name}": product.PackableLinear(self.input_size(layer), self.hidden_sizes[layer])
                for layer, state in enumerate(self.states)
                for name in state._fields
            }
        )

    def input_size(self, layer: int) -> int:
        return self.sizes[self.source(layer)]

    def part(self, layer: int, name: str, memory: Memory) -> Tensor:
        return torch.tanh(self.linear[f"{layer}_{name}"](self.final(layer, name, memory)))


class MeanBridge(LinearBridge):
    """tanh(W m + b) of the mean m of the encoder's states over the sentence (Nematus, 2017)."""

    def input_size(self, layer: int) -> int:
        return self.memory_size

    def final(self, layer: int, name: str, memory: Memory) -> Tensor:
        real = memory.mask.unsqueeze(-1).to(memory.states.dtype)  # [B, S, 1]
        return (memory.states * real).sum(1) / real.sum(1)


BRIDGES: dict[str, type[Bridge]] = {
    "zero": Bridge,
    "copy": CopyBridge,
    "linear": LinearBridge,
    "mean": MeanBridge,
}
