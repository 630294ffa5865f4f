"""Noise that keeps a model from learning its examples by heart: other words, other weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.data.batches import Batch
from nmt.data.vocabulary import EOS, SPECIALS
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.settings import Settings, Weight
from nmt.training.objectives.likelihood import LossOutput, Objective


@dataclass(frozen=True, kw_only=True)
class SwitchOutSettings(Settings):
    """Random replacement of tokens, drawn anew for each batch (Wang et al., 2018).

    n of a sentence's tokens are replaced with a probability in proportion to exp(-n / temperature).
    """

    source: Weight = 0.0
    """Temperature on the source side; 0 replaces none."""
    target: Weight = 0.0
    """Temperature on the target side, where the words to be predicted are replaced too."""


class SwitchOut:
    """An objective of pairs in which some pieces are replaced by others (Wang et al., 2018).

    Both what is read and what is asked for are replaced on the target side.
    """

    def __init__(self, objective: Objective, temperatures: SwitchOutSettings) -> None:
        self.objective, self.temperatures = objective, temperatures

    def __call__(
        self, model: Translator, batch: Batch, *, teacher_forced: Tensor | None, carried: DecoderState | None
    ) -> LossOutput:
        """The objective of the pairs as they are drawn here."""
        src = switch_tokens(batch.src, model.encoder.embedding.num_embeddings, self.temperatures.source)
        tgt = switch_tokens(batch.tgt, model.decoder.embedding.num_embeddings, self.temperatures.target)
        return self.objective(
            model, batch._replace(src=src, tgt=tgt), teacher_forced=teacher_forced, carried=carried
        )


def switch_tokens(pieces: Tensor, vocabulary: int, temperature: float) -> Tensor:
    """Pieces [B, N] of which n in each row are replaced, p(n) ∝ exp(-n / temperature) for n = 0 ... length.

    Which ones, and by which others of the vocabulary, is drawn uniformly; pad, bos and eos stay. Drawn by
    torch's global generator of the CPU, so that a device changes nothing.
    """
    words = vocabulary - len(SPECIALS)
    if not temperature or words < 2:
        return pieces
    here = pieces.cpu()
    ordinary = here > EOS
    numbers = torch.arange(here.shape[1] + 1)
    beyond = numbers > ordinary.sum(1, keepdim=True)
    chance = (-numbers / temperature).masked_fill(beyond, -torch.inf).softmax(1)
    count = torch.multinomial(chance, 1)
    rank = torch.rand(here.shape).masked_fill(~ordinary, 2.0).argsort(1).argsort(1)
    others = (here - len(SPECIALS) + torch.randint(1, words, here.shape)) % words + len(SPECIALS)
    return torch.where(rank < count, others, here).to(pieces.device)


@contextmanager
def weight_noise(model: nn.Module, deviation: float) -> Iterator[None]:
    """The model with normal noise added to each weight (Graves, 2011); afterwards it is as it was.

    The way there and back must both lie within. Drawn by torch's global generator of the CPU.
    """
    if not deviation:
        yield
        return
    parameters = list(model.parameters())
    before = [parameter.detach().clone() for parameter in parameters]
    try:
        with torch.no_grad():
            for parameter in parameters:
                noise = torch.randn(parameter.shape, dtype=parameter.dtype)
                parameter.add_(noise.to(parameter.device), alpha=deviation)
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
