"""Token embeddings, with dropout on their values and on whole words."""

from torch import Tensor, nn
from torch.nn import functional as F


class Embedding(nn.Embedding):
    """A table of vectors [V, E] with dropout on their values and on whole words.

    Weights start with a standard deviation of 0.3: large enough for the recurrent layers to distinguish
    tokens from the first update on, small enough for an output layer that shares them (decision 0009).
    `word_dropout` replaces whole words by zeros (Gal & Ghahramani, 2016); the others are scaled up. The
    vector of the padding token is zero and stays so.
    """

    def __init__(
        self, tokens: int, size: int, *, pad: int, dropout: float = 0.0, word_dropout: float = 0.0
    ) -> None:
        super().__init__(tokens, size, padding_idx=pad)
        self.dropout, self.word_dropout = dropout, word_dropout
        nn.init.normal_(self.weight, std=0.3)
        nn.init.zeros_(self.weight[pad])

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [...] to vectors [..., E]."""
        vectors = super().forward(tokens)
        if self.training and self.word_dropout:
            vectors = vectors * F.dropout(vectors.new_ones(*tokens.shape, 1), self.word_dropout)
        return F.dropout(vectors, self.dropout, self.training)


class LineEmbedding(Embedding):
    """An embedding that reads eos as bos, for text that continues in the next line."""

    def __init__(
        self,
        tokens: int,
        size: int,
        *,
        pad: int,
        bos: int,
        eos: int,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__(tokens, size, pad=pad, dropout=dropout, word_dropout=word_dropout)
        self.bos, self.eos = bos, eos

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [...] to vectors [..., E]."""
        return super().forward(tokens.masked_fill(tokens == self.eos, self.bos))
