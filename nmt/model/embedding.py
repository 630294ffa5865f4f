"""Token embeddings, with dropout on their values and on whole words."""

from torch import Tensor, nn
from torch.nn import functional as F

from nmt.recurrence.layer import NO_DROPOUT, DropoutSettings


class Embedding(nn.Embedding):
    """A table of vectors [V, E] with dropout on their values and on whole words.

    Weights start with a standard deviation of 0.3: large enough for the recurrent layers to distinguish
    tokens from the first update on, small enough for an output layer that shares them (decision 0009).
    Word dropout replaces whole words by zeros (Gal & Ghahramani, 2016); the others are scaled up. The
    vector of the padding token is zero and stays so.
    """

    def __init__(
        self, vocabulary_size: int, size: int, dropout: DropoutSettings = NO_DROPOUT, *, pad: int
    ) -> None:
        super().__init__(vocabulary_size, size, padding_idx=pad)
        self.dropout = dropout
        nn.init.normal_(self.weight, std=0.3)
        nn.init.zeros_(self.weight[pad])

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [...] to vectors [..., E]."""
        vectors = super().forward(tokens)
        if self.training and self.dropout.word:
            vectors = vectors * F.dropout(vectors.new_ones(*tokens.shape, 1), self.dropout.word)
        return F.dropout(vectors, self.dropout.embedding, self.training)


class LineEmbedding(Embedding):
    """An embedding that reads eos as bos, for text that continues in the next line."""

    def __init__(
        self, vocabulary_size: int, size: int, dropout: DropoutSettings, *, pad: int, bos: int, eos: int
    ) -> None:
        super().__init__(vocabulary_size, size, dropout, pad=pad)
        self.bos, self.eos = bos, eos

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [...] to vectors [..., E]."""
        return super().forward(tokens.masked_fill(tokens == self.eos, self.bos))
