"""The encoder reads the source, where there is one."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.model.embedding import Embedding
from nmt.recurrence.layer import Stack


class Encoder(nn.Module):
    """Embedding and stack: source pieces [B, S] to states [B, S, M]."""

    def __init__(self, embedding: Embedding, stack: Stack, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding, self.stack, self.dropout = embedding, stack, dropout

    def forward(self, src: Tensor, mask: Tensor) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
        """States, and final states by layer and direction; `mask` [B, S] is True where there is a token."""
        x = self.embedding(src.t())  # [S, B, E]: recurrences are time-major
        real = None if bool(mask.all()) else mask.t()
        h, finals = self.stack(x, real)
        return F.dropout(h.transpose(0, 1), self.dropout, self.training), finals


class NoEncoder(Encoder):
    """A language model's: states of no width [B, S, 0], so that nothing of the source is known.

    It has no embedding and no stack.
    """

    nothing: Tensor  # knows on which device, and in what type of number

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.register_buffer("nothing", torch.zeros(0), persistent=False)

    def forward(self, src: Tensor, mask: Tensor) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
        """As `Encoder`'s."""
        return self.nothing.new_zeros(*src.shape, 0), ()
