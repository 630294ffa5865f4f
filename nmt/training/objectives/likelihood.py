"""Training objectives: the interface, cross-entropy with additions for the attention, and R-Drop."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderOutput, DecoderState
from nmt.model.translator import TranslationModel
from nmt.recurrence.state import detach_states
from nmt.settings import Probability, Settings, Weight
from nmt.training.loss import Loss, LossTerm, cross_entropy, divergence, to_float32


class LossOutput(NamedTuple):
    """The loss of a batch, and the decoder state for the next batch if that continues this batch.

    The state is detached: backpropagation is truncated there.
    """

    loss: Loss
    carried: DecoderState | None


class Objective(Protocol):
    """A function to minimise: `loss.smoothed`, which has the gradient, summed over the words of a batch."""

    def __call__(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> LossOutput:
        """Return the loss of a batch; `teacher_forced` [B, T] and `state` as in `Decoder.unroll`."""


@dataclass(frozen=True, kw_only=True)
class LikelihoodSettings(Settings):
    """The likelihood of the target."""

    label_smoothing: Probability = 0.0
    """Share of the target's probability spread over the vocabulary (Szegedy et al., 2016)."""
    r_drop: Weight = 0.0
    """Alpha of R-Drop (Liang et al., 2021): a batch is read twice, with different dropout each time, and both
    predictions must agree."""


@dataclass(frozen=True, kw_only=True)
class AttentionLossSettings(Settings):
    """Losses of the attention, added to the likelihood."""

    guided_alignment: Weight = 0.0
    """Weight of the attention's cross-entropy with given word alignments (Chen et al., 2016), for the words
    that have links."""
    coverage: Weight = 0.0
    """Weight of the penalty for attending to the same source words again (See et al., 2017)."""


@dataclass(kw_only=True)
class Likelihood:
    """Cross-entropy with the target, position by position, and losses of the attention."""

    settings: LikelihoodSettings = LikelihoodSettings()
    attention: AttentionLossSettings = AttentionLossSettings()
    sample: bool = False  # positions without teacher forcing read a sampled word, not the most probable one

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
            return_weights=bool(self.attention.guided_alignment or self.attention.coverage),
        )

    def loss(self, model: TranslationModel, batch: Batch, output: DecoderOutput) -> Loss:
        """Return sums over the target words of the batch."""
        loss = word_loss(model, batch, output, self.settings.label_smoothing)
        weights, settings = output.weights, self.attention
        if weights is None:
            return loss
        if settings.guided_alignment and batch.alignments is not None:
            values, aligned = alignment_loss(weights, batch.alignments)
            loss = loss.add_term("alignment", values, settings.guided_alignment, batch.weights, aligned)
        if settings.coverage:
            values = coverage_loss(weights, batch.tgt[:, 1:] != model.pad)
            loss = loss.add_term("coverage", values, settings.coverage, batch.weights, loss.tokens)
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
    """Compute the cross-entropy of the attention with given links (Chen et al., 2016).

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
    """Compute Σ_t Σ_s min(a_ts, Σ_{t' < t} a_t's), for repeated attention (See et al., 2017, eq. 12).

    Over the words where mask [B, T] is True; returns the sum of each row [B].
    """
    weights = to_float32(weights)
    covered = weights.cumsum(1) - weights
    again = torch.minimum(weights, covered).sum(2)
    return again.masked_fill(~mask, 0.0).sum(1)


@dataclass
class RDrop:
    """The mean likelihood of two passes plus alpha / 4 (KL(p‖q) + KL(q‖p)) of their distributions.

    Alpha is the setting `r_drop`. The result is half of the sum over both passes that Liang et al. (2021,
    eq. 4) minimise, so that the scale of the loss per word is kept.
    """

    likelihood: Likelihood

    def __call__(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> LossOutput:
        """Return the loss, from one pass over a batch that contains every pair twice."""
        if state is not None or batch.is_continued:
            raise NotImplementedError("R-Drop does not support a carried state")
        pair = repeat_batch(batch)
        forced = None if teacher_forced is None else torch.cat([teacher_forced, teacher_forced])
        output = self.likelihood.unroll(model, pair, forced, None)
        twice = self.likelihood.loss(model, pair, output)
        terms = {name: LossTerm(term.total / 2, term.values // 2) for name, term in twice.terms.items()}
        loss = Loss(twice.smoothed / 2, twice.nll / 2, twice.correct / 2, twice.tokens // 2, terms)
        values = self.divergence(model, batch, output.features)
        alpha = self.likelihood.settings.r_drop
        loss = loss.add_term("divergence", values, alpha / 4, batch.weights, loss.tokens)
        return LossOutput(loss, None)

    def divergence(self, model: TranslationModel, batch: Batch, features: Tensor) -> Tensor:
        """Return the divergence of both passes, features [2B, T, F], summed over each pair: [B]."""
        rows, length = batch.tgt[:, 1:].shape
        indices = (batch.tgt[:, 1:].flatten() != model.pad).nonzero().squeeze(1)
        one, other = (part.flatten(0, 1).index_select(0, indices) for part in torch.split(features, rows))
        layer = model.decoder.output
        by_word = divergence(one, other, layer.weight, layer.bias)
        return by_word.new_zeros(rows).index_add(0, indices // length, by_word)


def add_r_drop(likelihood: Likelihood) -> Objective:
    """Return R-Drop of a likelihood if its settings give it a weight, else the likelihood."""
    return RDrop(likelihood) if likelihood.settings.r_drop else likelihood


def repeat_batch(batch: Batch) -> Batch:
    """Concatenate a batch with itself."""
    weights, alignments = batch.weights, batch.alignments
    return Batch(
        src=torch.cat([batch.src, batch.src]),
        src_lengths=torch.cat([batch.src_lengths, batch.src_lengths]),
        tgt=torch.cat([batch.tgt, batch.tgt]),
        tgt_lengths=torch.cat([batch.tgt_lengths, batch.tgt_lengths]),
        pairs=torch.cat([batch.pairs, batch.pairs]),
        weights=None if weights is None else torch.cat([weights, weights]),
        alignments=None
        if alignments is None
        else torch.cat([alignments, alignments + alignments.new_tensor([len(batch.src), 0, 0])]),
    )
