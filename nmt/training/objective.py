"""What training minimises: of a batch, a sum over its words."""

import math
from typing import NamedTuple, Protocol

from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.recurrence.state import detached
from nmt.training.loss import Loss, cross_entropy


class Learnt(NamedTuple):
    """What a batch gave: its loss, and the state that the next one goes on from, if that continues it.

    No gradient goes back through the state: back-propagation is truncated there.
    """

    loss: Loss
    carried: DecoderState | None


class Objective(Protocol):
    """What training minimises; `loss.smoothed`, which has the gradient, is its sum over the batch's words."""

    def __call__(
        self, model: Translator, batch: Batch, *, use_gold: Tensor | None, carried: DecoderState | None
    ) -> Learnt:
        """The loss of a batch; `use_gold` [B, T] as in `Translator.unroll`, `carried` from the one before."""


class Likelihood:
    """Cross-entropy with the target, position by position, smoothed (Szegedy et al., 2016)."""

    def __init__(self, *, label_smoothing: float, sample: bool) -> None:
        """`sample`: where a position reads the model's own word, it is drawn and not the best one."""
        self.label_smoothing, self.sample = label_smoothing, sample

    def __call__(
        self, model: Translator, batch: Batch, *, use_gold: Tensor | None, carried: DecoderState | None
    ) -> Learnt:
        return forced_loss(
            model,
            batch,
            label_smoothing=self.label_smoothing,
            carried=carried,
            use_gold=use_gold,
            sample=self.sample,
        )


def forced_loss(
    model: Translator,
    batch: Batch,
    *,
    label_smoothing: float,
    carried: DecoderState | None = None,
    use_gold: Tensor | None = None,
    sample: bool = False,
) -> Learnt:
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
    return Learnt(loss, detached(state) if batch.goes_on else None)


def perplexity(nll: float) -> float:
    """exp of the mean negative log likelihood of a word, within what a float holds."""
    return math.exp(min(nll, 700.0))
