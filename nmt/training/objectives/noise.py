"""Noise against overfitting: SwitchOut on tokens, normal noise on weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.data.batches import Batch
from nmt.data.vocabulary import EOS, SPECIALS
from nmt.model.decoder import DecoderState
from nmt.model.translator import TranslationModel
from nmt.settings import Settings, Weight
from nmt.training.objectives.likelihood import LossOutput, Objective


@dataclass(frozen=True, kw_only=True)
class SwitchOutSettings(Settings):
    """Random replacement of tokens, drawn for each batch (Wang et al., 2018).

    n of a sentence's tokens are replaced with a probability in proportion to exp(-n / temperature).
    """

    source: Weight = 0.0
    """Temperature on the source side; 0 replaces none."""
    target: Weight = 0.0
    """Temperature on the target side, where the words to be predicted are replaced too."""


@dataclass
class SwitchOut:
    """An objective applied to pairs in which some tokens are replaced by others (Wang et al., 2018).

    On the target side both the words read and the words to predict are replaced.
    """

    objective: Objective
    temperatures: SwitchOutSettings

    def __call__(
        self, model: TranslationModel, batch: Batch, teacher_forced: Tensor | None, state: DecoderState | None
    ) -> LossOutput:
        """Return the objective of the pairs with replaced tokens."""
        src = switch_tokens(batch.src, model.encoder.embedding.num_embeddings, self.temperatures.source)
        tgt = switch_tokens(batch.tgt, model.decoder.embedding.num_embeddings, self.temperatures.target)
        return self.objective(model, batch._replace(src=src, tgt=tgt), teacher_forced, state)


def switch_tokens(tokens: Tensor, vocabulary: int, temperature: float) -> Tensor:
    """Replace n tokens in each row of tokens [B, N], p(n) ∝ exp(-n / temperature) for n = 0 ... length.

    The positions and the new tokens are drawn uniformly, with torch's generator of the CPU on every device;
    pad, bos and eos are kept.
    """
    words = vocabulary - len(SPECIALS)
    if not temperature or words < 2:
        return tokens
    here = tokens.cpu()
    ordinary = here > EOS
    numbers = torch.arange(here.shape[1] + 1)
    beyond = numbers > ordinary.sum(1, keepdim=True)
    chance = (-numbers / temperature).masked_fill(beyond, -torch.inf).softmax(1)
    count = torch.multinomial(chance, 1)
    rank = torch.rand(here.shape).masked_fill(~ordinary, 2.0).argsort(1).argsort(1)
    others = (here - len(SPECIALS) + torch.randint(1, words, here.shape)) % words + len(SPECIALS)
    return torch.where(rank < count, others, here).to(tokens.device)


@contextmanager
def add_weight_noise(model: nn.Module, deviation: float) -> Iterator[None]:
    """Add normal noise to each weight within the context (Graves, 2011).

    Run both the forward and the backward pass inside. Drawn with torch's generator of the CPU.
    """
    if not deviation:
        yield
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
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
