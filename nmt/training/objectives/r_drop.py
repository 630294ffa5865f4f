"""R-Drop: the distributions of two passes with different dropout must agree."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderState
from nmt.model.translator import TranslationModel
from nmt.training.loss import Loss, LossTerm, divergence
from nmt.training.objectives.likelihood import Likelihood, LossOutput


@dataclass
class RDrop:
    """The mean likelihood of two passes plus alpha / 4 (KL(p‖q) + KL(q‖p)) of their distributions.

    That is half of the sum over both passes that Liang et al. (2021, eq. 4) minimise, so that the scale of
    the loss per word is kept.
    """

    likelihood: Likelihood
    alpha: float

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
        reported = LossTerm(values.detach().sum(), loss.tokens)
        return LossOutput(loss.add_term("divergence", values, self.alpha / 4, batch.weights, reported), None)

    def divergence(self, model: TranslationModel, batch: Batch, features: Tensor) -> Tensor:
        """Return the divergence of both passes, features [2B, T, F], summed over each pair: [B]."""
        rows, length = batch.tgt[:, 1:].shape
        indices = (batch.tgt[:, 1:].flatten() != model.pad).nonzero().squeeze(1)
        one, other = (part.flatten(0, 1).index_select(0, indices) for part in torch.split(features, rows))
        layer = model.decoder.output
        by_word = divergence(one, other, layer.weight, layer.bias)
        return by_word.new_zeros(rows).index_add(0, indices // length, by_word)


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
