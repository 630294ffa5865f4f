"""Token embeddings, the encoder of the source, and the empty encoder of a language model."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.recurrence.engine import Engine
from nmt.recurrence.layer import NO_DROPOUT, DropoutSettings, StackSettings, build_cells, build_stack
from nmt.settings import Probability


@dataclass(frozen=True, kw_only=True)
class EncoderDropoutSettings(DropoutSettings):
    """Dropout probabilities in the encoder."""

    output: Probability = 0.0
    """On the encoder states that attention reads."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(StackSettings):
    """The stack that reads the source."""

    bidirectional: Literal["all", "first", "none"] = "all"
    """Layers that also read from right to left."""
    dropout: EncoderDropoutSettings = EncoderDropoutSettings()

    @property
    def directions(self) -> list[int]:
        """The number of directions of each layer."""
        bidirectional = {"all": self.layers, "first": 1, "none": 0}[self.bidirectional]
        return [2 if layer < bidirectional else 1 for layer in range(self.layers)]

    def widths(self) -> list[int]:
        return [self.embedding, *(self.hidden * count for count in self.directions)]


class Embedding(nn.Embedding):
    """A table of vectors [V, E] with dropout on their values and on whole words.

    Weights start with a standard deviation of 0.3: large enough for the recurrent layers to distinguish
    tokens from the first update on, small enough for an output layer that shares them (decision 0009).
    Word dropout replaces whole words by zeros (Gal & Ghahramani, 2016); the others are scaled up. The
    vector of the padding token remains zero. The first token of `replace` is read as the second.
    """

    def __init__(
        self,
        vocabulary_size: int,
        size: int,
        dropout: DropoutSettings = NO_DROPOUT,
        *,
        pad: int,
        replace: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(vocabulary_size, size, padding_idx=pad)
        self.dropout, self.replace = dropout, replace
        nn.init.normal_(self.weight, std=0.3)
        nn.init.zeros_(self.weight[pad])

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [...] to vectors [..., E]."""
        if self.replace is not None:
            tokens = tokens.masked_fill(tokens == self.replace[0], self.replace[1])
        vectors = super().forward(tokens)
        if self.training and self.dropout.word:
            vectors = vectors * F.dropout(vectors.new_ones(*tokens.shape, 1), self.dropout.word)
        return F.dropout(vectors, self.dropout.embedding, self.training)


class Encoder(nn.Module):
    """Embedding and stack: source tokens [B, S] to states [B, S, M]."""

    def __init__(
        self, settings: EncoderSettings, vocabulary_size: int, *, pad: int, engine: Engine = "auto"
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary_size, settings.embedding, settings.dropout, pad=pad)
        sizes = settings.widths()[:-1]
        forward, backward = build_cells(settings, sizes), build_cells(settings, sizes)
        pairs = zip(forward, backward, settings.directions, strict=True)
        cells = [(left, right)[:directions] for left, right, directions in pairs]
        self.stack = build_stack(settings, settings.dropout, cells, engine)
        self.dropout = settings.dropout.output

    def forward(self, src: Tensor, mask: Tensor) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
        """Compute states, and final states by layer and direction; `mask` [B, S] is True at tokens."""
        x = self.embedding(src.t())  # [S, B, E]: recurrences are time-major
        h, finals = self.stack(x, None if bool(mask.all()) else mask.t())
        return F.dropout(h.transpose(0, 1), self.dropout, self.training), finals


class NoEncoder(Encoder):
    """The encoder of a language model: states of size 0, [B, S, 0], without embedding and stack."""

    nothing: Tensor  # has the model's device and dtype

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.register_buffer("nothing", torch.zeros(0), persistent=False)

    def forward(self, src: Tensor, mask: Tensor) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
        return self.nothing.new_zeros(*src.shape, 0), ()
