"""Pieces as vectors, and the two ways of forgetting some of them in training."""

from torch import Tensor, nn
from torch.nn import functional as F


class Embedding(nn.Embedding):
    """A table of vectors [V, E] with dropout on their values and on whole words.

    Weights start with variance 1/E and vectors leave multiplied by √E (Vaswani et al., 2017, 3.4), so
    that the recurrent layers see values of unit size and an output layer that shares the weights does
    not. `word_dropout` replaces whole words by zeros (Gal & Ghahramani, 2016); what stays is scaled up.
    The pad piece is a zero vector and stays one.
    """

    def __init__(
        self, pieces: int, size: int, *, pad: int, dropout: float = 0.0, word_dropout: float = 0.0
    ) -> None:
        super().__init__(pieces, size, padding_idx=pad)
        self.dropout, self.word_dropout = dropout, word_dropout
        nn.init.normal_(self.weight, std=size**-0.5)
        nn.init.zeros_(self.weight[pad])

    def forward(self, pieces: Tensor) -> Tensor:
        """Pieces [...] to vectors [..., E]."""
        vectors = super().forward(pieces) * self.embedding_dim**0.5
        if self.training and self.word_dropout:
            vectors = vectors * F.dropout(vectors.new_ones(*pieces.shape, 1), self.word_dropout)
        return F.dropout(vectors, self.dropout, self.training)
