"""Training objectives: the interface, and cross-entropy with additions for the attention."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderOutput, DecoderState
from nmt.model.translator import TranslationModel
from nmt.recurrence.state import detach_states
from nmt.training.loss import Loss, LossTerm, cross_entropy, to_float32


class LossOutput(NamedTuple):
    """The loss of a batch, and the decoder state for the next batch if that continues this one.

    The state is detached: back-propagation is truncated there.
    """

    loss: Loss
    carried: DecoderState | None


class Objective(Protocol):
    """A function to minimise: `loss.smoothed`, which has the gradient, summed over the words of a batch."""

    def __call__(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> LossOutput:
        """Return the loss of a batch; `teacher_forced` [B, T] and `state` as in `Decoder.unroll`."""


@dataclass(kw_only=True)
class Likelihood:
    """Cross-entropy with the target, position by position."""

    label_smoothing: float = 0.0  # Szegedy et al., 2016
    sample: bool = False  # positions without teacher forcing read a sampled word, not the most probable one
    guided_alignment: float = 0.0  # weight of an additional loss of the attention (Chen et al., 2016)
    coverage: float = 0.0  # weight of another (See et al., 2017)

    def __call__(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> LossOutput:
        output = self.unroll(model, batch, teacher_forced, state)
        carried = detach_states(output.state) if batch.is_continued else None
        return LossOutput(self.loss(model, batch, output), carried)

    def unroll(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> DecoderOutput:
        """Run the model, with attention weights if a loss needs them."""
        return model.unroll(
            model.encode(batch.src),
            batch.tgt[:, :-1],
            teacher_forced,
            sample=self.sample,
            state=state,
            return_weights=bool(self.guided_alignment or self.coverage),
        )

    def loss(self, model: TranslationModel, batch: Batch, output: DecoderOutput) -> Loss:
        """Return sums over the target words of the batch."""
        loss = word_loss(model, batch, output, self.label_smoothing)
        weights = output.weights
        if weights is None:
            return loss
        if self.guided_alignment and batch.alignments is not None:
            values, aligned = alignment_loss(weights, batch.alignments)
            reported = LossTerm(values.detach().sum(), aligned)
            loss = loss.add_term("alignment", values, self.guided_alignment, batch.weights, reported)
        if self.coverage:
            values = coverage_loss(weights, batch.tgt[:, 1:] != model.pad)
            reported = LossTerm(values.detach().sum(), loss.tokens)
            loss = loss.add_term("coverage", values, self.coverage, batch.weights, reported)
        return loss


def word_loss(model: TranslationModel, batch: Batch, output: DecoderOutput, label_smoothing: float) -> Loss:
    """Return the cross-entropy of the target words, each with the weight of its pair."""
    targets = batch.tgt[:, 1:].flatten()
    indices = (targets != model.pad).nonzero().squeeze(1)
    weights, length = batch.weights, batch.tgt.shape[1] - 1
    return cross_entropy(
        output.features.flatten(0, 1).index_select(0, indices),
        model.decoder.output.weight,
        model.decoder.output.bias,
        targets.index_select(0, indices),
        label_smoothing=label_smoothing,
        counts=None if weights is None else to_float32(weights).index_select(0, indices // length),
    )


LEAST = 1e-12
"""Lower limit of attention weights, which keeps their logarithm finite."""


def alignment_loss(weights: Tensor, alignments: Tensor) -> tuple[Tensor, int]:
    """Guided alignment (Chen et al., 2016): cross-entropy of the attention with given links.

    alignments [L, 3] are (row, target position, source position). The links of a target word share its
    probability; words without links do not count. Returns the sum of each row [B], and the number of words
    with links.
    """
    rows, length, _ = weights.shape
    row, t, s = alignments.unbind(1)
    word = row * length + t
    sharing = torch.bincount(word, minlength=rows * length)
    values = -to_float32(weights[row, t, s]).clamp_min(LEAST).log() / sharing[word]
    return values.new_zeros(rows).index_add(0, row, values), int((sharing > 0).sum())


def coverage_loss(weights: Tensor, mask: Tensor) -> Tensor:
    """Σ_t Σ_s min(a_ts, Σ_{t' < t} a_t's) (See et al., 2017, eq. 12): attention to the same position again.

    Over the words where mask [B, T] is True; returns the sum of each row [B].
    """
    weights = to_float32(weights)
    covered = weights.cumsum(1) - weights
    again = torch.minimum(weights, covered).sum(2)
    return again.masked_fill(~mask, 0.0).sum(1)
