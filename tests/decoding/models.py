"""Small models that speak the search's protocol: a table of probabilities, and a recurrent network."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.data.subwords import PAD


class TableStep(NamedTuple):
    logits: Tensor
    state: Tensor
    weights: Tensor | None


class TableModel:
    """The next piece follows from the one before and the first source piece: table [source, piece, piece]."""

    def __init__(self, table: Tensor):
        self.table = table
        self.rows = 0

    def encode(self, src: Tensor) -> Tensor:
        return src[:, 0]

    def start(self, memory: Tensor) -> Tensor:
        return torch.zeros(len(memory), 1)

    def step(self, y: Tensor, state: Tensor, memory: Tensor) -> TableStep:
        self.rows += len(y)
        return TableStep(self.table[memory, y], state + 1, None)


def random_table(seed: int, *, sources: int = 4, vocabulary: int = 7, sharpness: float = 2.0) -> TableModel:
    generator = torch.Generator().manual_seed(seed)
    return TableModel(torch.randn(sources, vocabulary, vocabulary, generator=generator) * sharpness)


class GruMemory(NamedTuple):
    states: Tensor
    mask: Tensor


class GruState(NamedTuple):
    h: Tensor
    context: Tensor


class GruStep(NamedTuple):
    logits: Tensor
    state: GruState
    weights: Tensor | None


class GruModel(nn.Module):
    """An encoder, a decoder cell and dot attention, with random weights."""

    def __init__(self, seed: int, *, vocabulary: int = 30, hidden: int = 24):
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(vocabulary, hidden)
        self.encoder = nn.GRUCell(hidden, hidden)
        self.decoder = nn.GRUCell(2 * hidden, hidden)
        self.out = nn.Linear(2 * hidden, vocabulary)
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(3.0)
        self.seen_rows: list[int] = []

    def encode(self, src: Tensor) -> GruMemory:
        h, states = torch.zeros(len(src), self.encoder.hidden_size), []
        for position in range(src.shape[1]):
            new = self.encoder(self.embed(src[:, position]), h)
            h = torch.where((src[:, position] != PAD)[:, None], new, h)
            states.append(h)
        return GruMemory(torch.stack(states, dim=1), src != PAD)

    def start(self, memory: GruMemory) -> GruState:
        return GruState(memory.states[:, -1], torch.zeros_like(memory.states[:, -1]))

    def step(self, y: Tensor, state: GruState, memory: GruMemory) -> GruStep:
        self.seen_rows.append(len(y))
        h = self.decoder(torch.cat([self.embed(y), state.context], dim=-1), state.h)
        scores = (memory.states @ h[:, :, None])[:, :, 0].masked_fill(~memory.mask, -torch.inf)
        weights = scores.softmax(dim=-1)
        context = (weights[:, None] @ memory.states)[:, 0]
        return GruStep(self.out(torch.cat([h, context], dim=-1)), GruState(h, context), weights)
