"""What training minimises: the loss of a batch under teacher forcing."""

import math
from typing import NamedTuple

from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.recurrence.state import detached
from nmt.training.loss import Loss, cross_entropy


class Forced(NamedTuple):
    """What a batch gave: its loss, and the state that the next one goes on from, if that continues it.

    No gradient goes back through the state: back-propagation is truncated there.
    """

    loss: Loss
    carried: DecoderState | None


def forced_loss(
    model: Translator,
    batch: Batch,
    *,
    label_smoothing: float,
    carried: DecoderState | None = None,
    use_gold: Tensor | None = None,
    sample: bool = False,
) -> Forced:
    """Sums of losses over the real target words of a batch; for the rest see `Translator.unroll`.

    `carried` is what the batch before gave, where this one goes on from it.
    """
    features, state = model.unroll(
        model.encode(batch.src), batch.tgt[:, :-1], use_gold, sample=sample, before=carried
    )
    gold = batch.tgt[:, 1:].flatten()
    real = (gold != model.pad).nonzero().squeeze(1)
    loss = cross_entropy(
        features.flatten(0, 1).index_select(0, real),
        model.decoder.output.weight,
        model.decoder.output.bias,
        gold.index_select(0, real),
        label_smoothing=label_smoothing,
    )
    return Forced(loss, detached(state) if batch.goes_on else None)


def perplexity(nll: float) -> float:
    """exp of the mean negative log likelihood of a word, within what a float holds."""
    return math.exp(min(nll, 700.0))
