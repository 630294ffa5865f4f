"""Exposure bias: extra loss per word when the model reads its own output (Ranzato et al., 2016)."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.translator import TranslationModel
from nmt.training.loss import log_probs
from nmt.training.update import to_device
from nmt.training.validation import evaluation_mode


class Exposure(NamedTuple):
    """The mean loss of the reference words at some target positions, in nats."""

    position: int  # the first of them, from 1
    last: int
    words: int
    forced: float  # where the reference is read (teacher forcing)
    free: float  # where the model's own most probable words are read

    @property
    def gap(self) -> float:
        """Extra loss per word when the model reads its own output."""
        return self.free - self.forced


def measure_exposure(model: TranslationModel, batches: Iterable[Batch], *, positions: int) -> list[Exposure]:
    """Measure losses by target position; positions beyond `positions` are combined."""
    sums = torch.zeros(3, positions + 1, dtype=torch.float64)  # words, their forced and their free losses
    longest, device = 0, next(model.parameters()).device
    with evaluation_mode(model):
        for batch in batches:
            batch = to_device(batch, device)
            mask = batch.tgt[:, 1:] != model.pad
            forced, free = (
                _compute_losses(model, batch, teacher_forced)[mask].cpu()
                for teacher_forced in (None, torch.zeros_like(mask))
            )
            index = mask.nonzero()[:, 1].clamp_max(positions).cpu()
            sums.index_add_(1, index, torch.stack([torch.ones_like(forced), forced, free]).double())
            longest = max(longest, int(batch.tgt_lengths.max()))
    return [
        Exposure(first, longest if first > positions else first, int(words), forced / words, free / words)
        for first, (words, forced, free) in enumerate(sums.t().tolist(), 1)
        if words
    ]


def average_exposure(exposures: list[Exposure]) -> Exposure:
    """Average all positions."""
    words = sum(one.words for one in exposures)
    forced = sum(one.forced * one.words for one in exposures) / words
    free = sum(one.free * one.words for one in exposures) / words
    return Exposure(1, exposures[-1].last, words, forced, free)


def _compute_losses(model: TranslationModel, batch: Batch, teacher_forced: Tensor | None) -> Tensor:
    """Return -log p of each reference word, [B, T]."""
    tgt, output = batch.tgt[:, 1:], model.decoder.output
    features = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], teacher_forced).features
    return -log_probs(features.flatten(0, 1), output.weight, output.bias, tgt.flatten()).view(tgt.shape)
