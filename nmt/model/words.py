"""The words' part of the first layer's input product, kept for the words that have been read."""

import torch
from torch import Tensor

from nmt.model.embedding import Embedding
from nmt.recurrence.bound import Multiplier

LARGEST = 64 << 20
"""Bytes that the table of a vocabulary may take; a larger one is not made."""


class Words:
    """Pieces [R] to W x + b [R, G*H] of their vectors x; each piece is multiplied when it first comes.

    For products in which a row does not depend on the rows beside it: the sum is then the same, kept or not.
    """

    def __init__(self, embedding: Embedding, read: Multiplier, size: int) -> None:
        """`size`: G*H."""
        self.embedding, self.read = embedding, read
        self.table = embedding.weight.new_empty(embedding.num_embeddings, size)
        self.known = torch.zeros(embedding.num_embeddings, dtype=torch.bool)

    def __call__(self, pieces: Tensor) -> Tensor:
        new = pieces[~self.known[pieces]]
        if len(new):
            self.table[new] = self.read(self.embedding(new))
            self.known[new] = True
        return self.table.index_select(0, pieces)
