"""What training minimises: the loss of a batch under teacher forcing."""

import math

from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.translator import Translator
from nmt.training.loss import Loss, cross_entropy


def forced_loss(
    model: Translator,
    batch: Batch,
    *,
    label_smoothing: float,
    use_gold: Tensor | None = None,
    sample: bool = False,
) -> Loss:
    """Sums of losses over the real target words of a batch; for the rest see `Translator.unroll`."""
    features = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], use_gold, sample)
    gold = batch.tgt[:, 1:].flatten()
    real = (gold != model.pad).nonzero().squeeze(1)
    return cross_entropy(
        features.flatten(0, 1).index_select(0, real),
        model.decoder.output.weight,
        model.decoder.output.bias,
        gold.index_select(0, real),
        label_smoothing=label_smoothing,
    )


def perplexity(nll: float) -> float:
    """exp of the mean negative log likelihood of a word, within what a float holds."""
    return math.exp(min(nll, 700.0))
