"""The vectors of tokens that the first layer of the decoder reads."""

import numpy as np
import torch

from nmt.decoding.model import Ints
from nmt.model.decoder import BoundDecoder

CACHE_BYTES = 64 << 20
"""Largest table of the input products of tokens; larger ones are not built."""


class TokenTable:
    """Vectors of tokens [V, G*H]: W x + b of their embeddings x, each computed at the first use of the token.

    Caching does not change a product, whose rows do not depend on each other. A table larger than
    `cache_bytes` is not built; then it is that of the embeddings [V, E], and `is_projected` is False.
    """

    def __init__(self, bound: BoundDecoder, cache_bytes: int) -> None:
        self.embedding, self.product = bound.decoder.embedding, bound.token_product
        weight, size = self.embedding.weight.detach(), len(bound.layers[0].cell.W)
        self.is_projected = len(weight) * size * weight.element_size() <= cache_bytes
        self.table = weight.new_empty(len(weight), size) if self.is_projected else weight
        self.is_cached = np.full(len(weight), not self.is_projected)
        self.address, self.row_bytes = self.table.data_ptr(), self.table.shape[1] * weight.element_size()

    def ensure_cached(self, tokens: Ints) -> None:
        """Compute the vectors of these tokens, unless they are known."""
        if not self.is_cached[tokens].all():
            self.fill(tokens)

    @torch.inference_mode()
    def fill(self, tokens: Ints) -> None:
        """Compute the vectors of the tokens that are not known."""
        new = np.unique(tokens[~self.is_cached[tokens]])
        self.table[torch.from_numpy(new)] = self.product(self.embedding(torch.from_numpy(new)))
        self.is_cached[new] = True
