"""The encoder of the source, and its absence in a language model."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.model.embedding import Embedding
from nmt.model.settings import EncoderSettings
from nmt.recurrence.engine import Engine
from nmt.recurrence.layer import build_cells, build_stack


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
