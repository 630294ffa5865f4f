"""Attention: weighted means of the encoder's states, with weights from scores of a query against keys.

Shapes: states [B, S, M], queries [B, T, H], weights [B, T, S], contexts [B, T, C].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nmt.errors import UsageError
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.engine import Engine
from nmt.recurrence.reference import BoundProduct, bind_product
from nmt.settings import OneOf, Settings, Width


class Memory(NamedTuple):
    """The encoded source that the decoder reads; every tensor is batch-major.

    states [B, S, M], keys [B, S, A], values [B, S, C] (None without attention), mask [B, S] (True
    at tokens), finals: the last recurrent states by encoder layer and direction.
    """

    states: Tensor
    keys: Tensor | None
    values: Tensor | None
    mask: Tensor
    finals: tuple[tuple[Any, ...], ...]


BoundAttention = Callable[[Tensor], tuple[Tensor, Tensor]]
"""An attention bound to one batch: queries [B, T, H] to (contexts [B, T, C], weights [B, T, S])."""


class AttentionForm(NamedTuple):
    """An attention as position.c computes it: softmax over products with keys, or over vᵀ tanh(q + key)."""

    query: Tensor | None = None  # W of q = W h; None: q = h
    heads: int = 1  # each with its share of the columns of q, keys and values
    scale: float = 1.0  # of the keys
    v: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class AttentionSettings(Settings):
    """The attention of a decoder."""

    attention: Annotated[str, OneOf(lambda: ATTENTIONS)] = "general"
    """Scoring of the encoder's states."""
    attention_size: Width | None = None
    """Width of additive and multi-head attention; null: the decoder's hidden size."""
    heads: Width = 4
    """`multi-head` only: number of heads."""


class Attention(nn.Module):
    """Base class; scores are products of queries and keys unless `bind_scorer` is overridden."""

    equal_sizes: ClassVar[bool] = False  # of encoder and decoder states

    def __init__(self, settings: AttentionSettings, memory_size: int, query_size: int) -> None:
        super().__init__()
        self.query_size, self.context_size = query_size, memory_size
        self.size = settings.attention_size or query_size
        if self.equal_sizes and memory_size != query_size:
            raise UsageError(
                f"attention: a dot product needs encoder and decoder states of equal size, not {memory_size} "
                f"and {query_size}; change one, or use `general`"
            )

    def project_memory(self, states: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Compute keys and values [B, S, ...] from the encoder's states."""
        return states, states

    def bind(self, memory: Memory, engine: Engine) -> BoundAttention:
        """Bind the attention to one batch; gradients of keys and values are deferred as in a recurrence."""
        keys, values = memory.keys, memory.values
        assert keys is not None and values is not None
        score = self.bind_scorer(keys, engine)
        average = bind_product(values.transpose(1, 2), engine)
        padding = None if bool(memory.mask.all()) else ~memory.mask.unsqueeze(1)

        def attend(query: Tensor) -> tuple[Tensor, Tensor]:
            weights = masked_softmax(score(query), padding)
            return average(weights), weights

        return attend

    def bind_scorer(self, keys: Tensor, engine: Engine) -> BoundProduct:
        """Bind the function from queries [B, T, H] to scores [B, T, S]."""
        return bind_product(keys, engine)

    def compiled_form(self) -> AttentionForm | None:
        """Return the form in which C computes the attention in a search; None: torch computes it."""
        kind = type(self)
        is_product = kind.bind is Attention.bind and kind.bind_scorer is Attention.bind_scorer
        return AttentionForm() if is_product else None


def masked_softmax(scores: Tensor, padding: Tensor | None) -> Tensor:
    """Compute the softmax over the last dimension, with weights of exactly 0 where `padding` is True."""
    if padding is not None:
        scores = scores.masked_fill(padding, -math.inf)
    return scores.softmax(-1)


class DotAttention(Attention):
    """Dot product of query and state (Luong et al., 2015, eq. 8)."""

    equal_sizes = True


class ScaledDotAttention(DotAttention):
    """Dot product over √H, so that its variance does not grow with the size (Vaswani et al., 2017)."""

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states / math.sqrt(self.query_size), states


class GeneralAttention(Attention):
    """qᵀ W s (Luong et al., 2015, eq. 8): a key is W s."""

    def __init__(self, settings: AttentionSettings, memory_size: int, query_size: int) -> None:
        super().__init__(settings, memory_size, query_size)
        self.key = PackableLinear(memory_size, query_size, bias=False)

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(states), states


class AdditiveAttention(Attention):
    """vᵀ tanh(W q + U s) (Bahdanau et al., 2015, A.1.2): a key is U s + b."""

    def __init__(self, settings: AttentionSettings, memory_size: int, query_size: int) -> None:
        super().__init__(settings, memory_size, query_size)
        self.query = PackableLinear(query_size, self.size, bias=False)
        self.key = PackableLinear(memory_size, self.size)
        self.v = nn.Parameter(torch.empty(1, self.size))
        nn.init.xavier_uniform_(self.v)

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(states), states

    def bind_scorer(self, keys: Tensor, engine: Engine) -> BoundProduct:
        project, score_sum = bind_product(self.query.weight, engine), bind_product(self.v, engine)

        def score(query: Tensor, add: Tensor | None = None) -> Tensor:
            q = project(query)  # [B, T, A]
            return score_sum(torch.tanh(keys.unsqueeze(1) + q.unsqueeze(2))).squeeze(-1)  # [B, T, S]

        return score

    def compiled_form(self) -> AttentionForm:
        return AttentionForm(self.query.weight, v=self.v)


class MultiHeadAttention(Attention):
    """Scaled dot products in several projected subspaces (Vaswani et al., 2017).

    The returned weights are the mean over the heads.
    """

    def __init__(self, settings: AttentionSettings, memory_size: int, query_size: int) -> None:
        super().__init__(settings, memory_size, query_size)
        self.heads, self.context_size = settings.heads, self.size
        self.query = PackableLinear(query_size, self.size, bias=False)
        self.key = PackableLinear(memory_size, self.size, bias=False)
        self.value = PackableLinear(memory_size, self.size, bias=False)

    def project_memory(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return self.key(states), self.value(states)

    def bind(self, memory: Memory, engine: Engine) -> BoundAttention:
        assert memory.keys is not None and memory.values is not None
        scale = math.sqrt(self.size // self.heads)
        project = bind_product(self.query.weight, engine)
        score = bind_product(self.split_heads(memory.keys) / scale, engine)
        average = bind_product(self.split_heads(memory.values).transpose(1, 2), engine)
        every_head = memory.mask.repeat_interleave(self.heads, 0)  # [B*heads, S]
        padding = None if bool(memory.mask.all()) else ~every_head.unsqueeze(1)

        def attend(query: Tensor) -> tuple[Tensor, Tensor]:
            weights = masked_softmax(score(self.split_heads(project(query))), padding)  # [B*heads, T, S]
            contexts, weights = (x.reshape(-1, self.heads, *x.shape[1:]) for x in (average(weights), weights))
            return contexts.transpose(1, 2).flatten(2), weights.mean(1)

        return attend

    def compiled_form(self) -> AttentionForm:
        return AttentionForm(self.query.weight, self.heads, 1 / math.sqrt(self.size // self.heads))

    def split_heads(self, x: Tensor) -> Tensor:
        """Reshape [B, N, heads*D] to [B*heads, N, D]."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2).flatten(0, 1)


class NoAttention(Attention):
    """No attention: the decoder reads the source only through its first state (Sutskever et al., 2014)."""

    def __init__(self, settings: AttentionSettings, memory_size: int, query_size: int) -> None:
        super().__init__(settings, 0, query_size)

    def project_memory(self, states: Tensor) -> tuple[None, None]:
        return None, None


ATTENTIONS: dict[str, type[Attention]] = {
    "none": NoAttention,
    "dot": DotAttention,
    "scaled-dot": ScaledDotAttention,
    "general": GeneralAttention,
    "additive": AdditiveAttention,
    "multi-head": MultiHeadAttention,
}
