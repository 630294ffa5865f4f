"""Exposure: what it costs a model to read its own words, as it never has (Ranzato et al., 2016)."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.translator import Translator
from nmt.training.loss import log_probs
from nmt.training.update import to_device
from nmt.training.validation import measuring


class Exposure(NamedTuple):
    """The mean loss of the reference words at some target positions, in nats."""

    position: int  # the first of them, from 1
    last: int
    words: int
    forced: float  # where the true words before it are read
    free: float  # where the model's own best words are read in their place

    @property
    def gap(self) -> float:
        """What a word is dearer for when the model reads its own."""
        return self.free - self.forced


def exposure(model: Translator, batches: Iterable[Batch], *, positions: int) -> list[Exposure]:
    """Losses by target position; what lies beyond `positions` of them is put together at the end."""
    sums = torch.zeros(3, positions + 1, dtype=torch.float64)
    longest, device = 0, next(model.parameters()).device
    with measuring(model):
        for batch in batches:
            batch = to_device(batch, device)
            sums += _by_position(model, batch, positions)
            longest = max(longest, int(batch.tgt_lengths.max()))
    return [
        Exposure(place, longest if place > positions else place, int(words), forced / words, free / words)
        for place, (words, forced, free) in enumerate(sums.t().tolist(), 1)
        if words
    ]


def overall(found: list[Exposure]) -> Exposure:
    """All positions together."""
    words = sum(part.words for part in found)
    forced, free = (sum(getattr(p, way) * p.words for p in found) / words for way in ("forced", "free"))
    return Exposure(1, found[-1].last, words, forced, free)


def _by_position(model: Translator, batch: Batch, positions: int) -> Tensor:
    """Words, their forced and their free losses summed by position: [3, positions + 1]."""
    gold = batch.tgt[:, 1:]
    real = gold != model.pad
    nowhere = torch.zeros_like(real)
    losses = [_losses(model, batch, use_gold)[real].cpu() for use_gold in (None, nowhere)]
    place = real.nonzero()[:, 1].clamp_max(positions).cpu()
    values = torch.stack([torch.ones_like(losses[0]), *losses]).double()
    return values.new_zeros(3, positions + 1).index_add(1, place, values)


def _losses(model: Translator, batch: Batch, use_gold: Tensor | None) -> Tensor:
    """-log p of each reference word, [B, T]."""
    gold, output = batch.tgt[:, 1:], model.decoder.output
    features = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], use_gold).features
    found = log_probs(features.flatten(0, 1), output.weight, output.bias, gold.flatten())
    return -found.view(gold.shape)
