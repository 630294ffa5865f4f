"""Pieces as vectors, and the two ways of forgetting some of them in training."""

from torch import Tensor, nn
from torch.nn import functional as F


class Embedding(nn.Embedding):
    """A table of vectors [V, E] with dropout on their values and on whole words.

    Weights start with a standard deviation of 0.3: large enough for the recurrent layers to tell pieces
    apart from the first update on, small enough for an output layer that shares them (decision 0009).
    `word_dropout` replaces whole words by zeros (Gal & Ghahramani, 2016); what stays is scaled up.
    The pad piece is a zero vector and stays one.
    """

    def __init__(
        self, pieces: int, size: int, *, pad: int, dropout: float = 0.0, word_dropout: float = 0.0
    ) -> None:
        super().__init__(pieces, size, padding_idx=pad)
        self.dropout, self.word_dropout = dropout, word_dropout
        nn.init.normal_(self.weight, std=0.3)
        nn.init.zeros_(self.weight[pad])

    def forward(self, pieces: Tensor) -> Tensor:
        """Pieces [...] to vectors [..., E]."""
        vectors = super().forward(pieces)
        if self.training and self.word_dropout:
            vectors = vectors * F.dropout(vectors.new_ones(*pieces.shape, 1), self.word_dropout)
        return F.dropout(vectors, self.dropout, self.training)


class LineEmbedding(Embedding):
    """Reads the end of a line (eos) as the beginning of the next (bos), for text that goes on after it."""

    def __init__(
        self,
        pieces: int,
        size: int,
        *,
        pad: int,
        bos: int,
        eos: int,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__(pieces, size, pad=pad, dropout=dropout, word_dropout=word_dropout)
        self.bos, self.eos = bos, eos

    def forward(self, pieces: Tensor) -> Tensor:
        """Pieces [...] to vectors [..., E]."""
        return super().forward(pieces.masked_fill(pieces == self.eos, self.bos))
