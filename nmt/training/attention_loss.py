"""Losses of what the decoder's attention looked at: weights [B, T, S]."""

import torch
from torch import Tensor

from nmt.training.loss import wide

LEAST = 1e-12
"""A weight of nothing counts as this: its logarithm is finite."""


def alignment_loss(weights: Tensor, links: Tensor) -> tuple[Tensor, int]:
    """Guided alignment (Chen et al., 2016): cross-entropy of the attention with given links.

    links [L, 3] are (row, target position, source position). The links of a target word share its
    probability; words without one count for nothing. Gives the sum of each row [B], and how many words
    have links.
    """
    rows, length, _ = weights.shape
    row, t, s = links.unbind(1)
    word = row * length + t
    sharing = torch.bincount(word, minlength=rows * length)
    missed = -wide(weights[row, t, s]).clamp_min(LEAST).log() / sharing[word]
    return missed.new_zeros(rows).index_add(0, row, missed), int((sharing > 0).sum())


def coverage_loss(weights: Tensor, real: Tensor) -> Tensor:
    """Σ_t Σ_s min(a_ts, Σ_{t' < t} a_t's) (See et al., 2017, eq. 12): looking again at what was looked at.

    Over the words where real [B, T] is True; the sum of each row [B].
    """
    weights = wide(weights)
    covered = weights.cumsum(1) - weights
    again = torch.minimum(weights, covered).sum(2)
    return again.masked_fill(~real, 0.0).sum(1)
