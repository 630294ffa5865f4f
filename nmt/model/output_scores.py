"""Scores of the next token over the vocabulary or a shortlist, and the best of each row."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from nmt.decoding.model import Floats, Ints, LogProbs
from nmt.model.output_layer import OutputLayer, TokenList


class TorchScores:
    """Scores of the whole vocabulary, computed by torch from logits [R, V]."""

    def __init__(self, logits: Tensor) -> None:
        self.log_probs = logits.log_softmax(-1)

    def best(self, count: int) -> tuple[Floats, Ints]:
        """Return log probabilities and tokens of the `count` best of each row, [R, count]; ties by token."""
        if self.log_probs.device.type == "cpu":
            return LogProbs(self.all()).best(count)
        values, tokens = self.log_probs.sort(dim=1, descending=True, stable=True)
        return values[:, :count].numpy(force=True), tokens[:, :count].numpy(force=True)

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        """Return the log probabilities of some tokens of some rows, [N]."""
        device = self.log_probs.device
        chosen = self.log_probs[torch.from_numpy(rows).to(device), torch.from_numpy(tokens).to(device)]
        return chosen.numpy(force=True)

    def all(self) -> Floats:
        """Return all log probabilities, [R, V]."""
        return self.log_probs.numpy(force=True)


class CompiledScores:
    """Scores computed in C from features [R, F]: of the vocabulary, or of the tokens on each row's list."""

    def __init__(self, features: Floats, output: OutputLayer, lists: Sequence[TokenList] | None) -> None:
        self.features, self.output, self.lists = features, output, lists

    def best(self, count: int) -> tuple[Floats, Ints]:
        """Return log probabilities and tokens of the `count` best of each row, [R, count]; ties by token."""
        return self.output.best(self.features, min(count, len(self.output.bias)), self.lists)

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        """Return the log probabilities of some tokens of some rows, [N]."""
        return self.dense.gather(rows, tokens)

    def all(self) -> Floats:
        """Return all log probabilities, [R, V]; those of tokens that are not on a list are -inf."""
        return self.dense.all()

    @cached_property
    def dense(self) -> TorchScores:
        logits = self.output.logits(self.features)
        return TorchScores(logits if self.lists is None else mask_logits(logits, self.lists))


def mask_logits(logits: Tensor, lists: Sequence[TokenList]) -> Tensor:
    """Return logits [R, V] with -inf for the tokens that are not on the list of their row."""
    masked = torch.full_like(logits, -torch.inf)
    for row, one in enumerate(lists):
        tokens = torch.from_numpy(one.tokens).to(logits.device)
        masked[row, tokens] = logits[row, tokens]
    return masked
