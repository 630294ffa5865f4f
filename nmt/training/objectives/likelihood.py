"""What training minimises: of a batch, a sum over its words."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderOutput, DecoderState
from nmt.model.translator import Translator
from nmt.recurrence.state import detach_states
from nmt.training.loss import Loss, LossTerm, cross_entropy, wide


class LossOutput(NamedTuple):
    """What a batch gave: its loss, and the state that the next one goes on from, if that continues it.

    No gradient goes back through the state: back-propagation is truncated there.
    """

    loss: Loss
    carried: DecoderState | None


class Objective(Protocol):
    """What training minimises; `loss.smoothed`, which has the gradient, is its sum over the batch's words."""

    def __call__(
        self, model: Translator, batch: Batch, *, teacher_forced: Tensor | None, carried: DecoderState | None
    ) -> LossOutput:
        """The loss of a batch; `teacher_forced` [B, T] and `carried` as in `Translator.unroll`."""


class Likelihood:
    """Cross-entropy with the target, position by position, smoothed (Szegedy et al., 2016).

    To it come, where they have a weight, the losses of what the attention looked at: `guided_alignment`
    (Chen et al., 2016) and `coverage` (See et al., 2017).
    """

    def __init__(
        self, *, label_smoothing: float, sample: bool, guided_alignment: float = 0.0, coverage: float = 0.0
    ) -> None:
        """`sample`: where a position reads the model's own word, it is drawn and not the best one."""
        self.label_smoothing, self.sample = label_smoothing, sample
        self.guided_alignment, self.coverage = guided_alignment, coverage

    def __call__(
        self, model: Translator, batch: Batch, *, teacher_forced: Tensor | None, carried: DecoderState | None
    ) -> LossOutput:
        unrolled = self.unroll(model, batch, teacher_forced, carried)
        return LossOutput(
            self.loss(model, batch, unrolled), detach_states(unrolled.state) if batch.is_continued else None
        )

    def unroll(
        self, model: Translator, batch: Batch, teacher_forced: Tensor | None, carried: DecoderState | None
    ) -> DecoderOutput:
        """Features of the target's positions, and attention where a loss wants it."""
        return model.unroll(
            model.encode(batch.src),
            batch.tgt[:, :-1],
            teacher_forced,
            sample=self.sample,
            state=carried,
            return_weights=bool(self.guided_alignment or self.coverage),
        )

    def loss(self, model: Translator, batch: Batch, unrolled: DecoderOutput) -> Loss:
        """Sums over the real target words of the batch."""
        loss = word_loss(model, batch, unrolled, self.label_smoothing)
        weights = unrolled.weights
        if weights is None:
            return loss
        if self.guided_alignment and batch.alignments is not None:
            missed, aligned = alignment_loss(weights, batch.alignments)
            shown = LossTerm(missed.detach().sum(), aligned)
            loss = loss.add_term("alignment", missed, self.guided_alignment, batch.weights, shown)
        if self.coverage:
            twice = coverage_loss(weights, batch.tgt[:, 1:] != model.pad)
            shown = LossTerm(twice.detach().sum(), loss.tokens)
            loss = loss.add_term("coverage", twice, self.coverage, batch.weights, shown)
        return loss


def word_loss(model: Translator, batch: Batch, unrolled: DecoderOutput, label_smoothing: float) -> Loss:
    """Cross-entropy of the real target words; those of a pair count as its weight says."""
    gold = batch.tgt[:, 1:].flatten()
    real = (gold != model.pad).nonzero().squeeze(1)
    weights, length = batch.weights, batch.tgt.shape[1] - 1
    return cross_entropy(
        unrolled.features.flatten(0, 1).index_select(0, real),
        model.decoder.output.weight,
        model.decoder.output.bias,
        gold.index_select(0, real),
        label_smoothing=label_smoothing,
        counts=None if weights is None else wide(weights).index_select(0, real // length),
    )


def forced_loss(
    model: Translator, batch: Batch, *, label_smoothing: float, carried: DecoderState | None = None
) -> LossOutput:
    """The cross-entropy where every word reads the true ones before it."""
    likelihood = Likelihood(label_smoothing=label_smoothing, sample=False)
    return likelihood(model, batch, teacher_forced=None, carried=carried)


LEAST = 1e-12
"""A weight of nothing counts as this: its logarithm is finite."""


def alignment_loss(weights: Tensor, alignments: Tensor) -> tuple[Tensor, int]:
    """Guided alignment (Chen et al., 2016): cross-entropy of the attention with given links.

    alignments [L, 3] are (row, target position, source position). The links of a target word share its
    probability; words without one count for nothing. Gives the sum of each row [B], and how many words
    have links.
    """
    rows, length, _ = weights.shape
    row, t, s = alignments.unbind(1)
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
