"""R-Drop: two passes of one batch, each with dropout of its own, must say the same."""

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.training.loss import Loss, LossTerm, divergence
from nmt.training.objectives.likelihood import Likelihood, LossOutput


class RDrop:
    """The mean likelihood of two passes, and alpha / 4 (KL(p‖q) + KL(q‖p)) of what they say of a word.

    That is half of the sum over both passes that Liang et al. (2021, eq. 4) minimise, so that the loss of a
    word is that of one word.
    """

    def __init__(self, likelihood: Likelihood, *, alpha: float) -> None:
        self.likelihood, self.alpha = likelihood, alpha

    def __call__(
        self, model: Translator, batch: Batch, *, teacher_forced: Tensor | None, carried: DecoderState | None
    ) -> LossOutput:
        """As of any objective; the two passes are one, over a batch that holds every pair twice."""
        if carried is not None or batch.is_continued:
            raise NotImplementedError("R-Drop does not support a carried state")
        pair = repeat_batch(batch)
        gold = None if teacher_forced is None else torch.cat([teacher_forced, teacher_forced])
        unrolled = self.likelihood.unroll(model, pair, gold, None)
        loss = halve_loss(self.likelihood.loss(model, pair, unrolled))
        differing = self.differing(model, batch, unrolled.features)
        shown = LossTerm(differing.detach().sum(), loss.tokens)
        return LossOutput(loss.add_term("divergence", differing, self.alpha / 4, batch.weights, shown), None)

    def differing(self, model: Translator, batch: Batch, features: Tensor) -> Tensor:
        """The divergence of both passes, [2B, T, F], over the words of each pair: [B]."""
        rows, length = batch.tgt[:, 1:].shape
        real = (batch.tgt[:, 1:].flatten() != model.pad).nonzero().squeeze(1)
        one, other = (part.flatten(0, 1).index_select(0, real) for part in torch.split(features, rows))
        output = model.decoder.output
        of_words = divergence(one, other, output.weight, output.bias)
        return of_words.new_zeros(rows).index_add(0, real // length, of_words)


def repeat_batch(batch: Batch) -> Batch:
    """Every pair, and then every pair again."""
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


def halve_loss(loss: Loss) -> Loss:
    """The loss of every word twice as that of once."""
    terms = {name: LossTerm(term.total / 2, term.values // 2) for name, term in loss.terms.items()}
    return Loss(loss.smoothed / 2, loss.nll / 2, loss.correct / 2, loss.tokens // 2, terms)
