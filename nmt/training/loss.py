"""Cross-entropy of the output layer with label smoothing, computed without storing all logits."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from ctypes import c_double, c_float, c_int64, c_void_p
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nmt.recurrence.c.code_generator import C_HEADER
from nmt.recurrence.c.compiler import build_library
from nmt.recurrence.engine import runs_in_c, select_backend
from nmt.training.distributed import Processes

CHUNK = 256
"""Positions whose logits are computed at a time."""


class LossTerm(NamedTuple):
    """A part of a loss that is reported under a name: the sum and the number of its values."""

    total: Tensor
    values: int


class Loss(NamedTuple):
    """Sums over the positions of a batch, as scalars.

    `smoothed` is minimised (nats), `nll` is the negative log likelihood of the targets (nats), `correct` the
    number of positions where the most probable token is the target, `tokens` that of all positions, `terms`
    are further losses. Only `smoothed` takes the weights of pairs into account.
    """

    smoothed: Tensor
    nll: Tensor
    correct: Tensor
    tokens: int
    terms: Mapping[str, LossTerm] = MappingProxyType({})

    def add_term(
        self, name: str, values: Tensor, weight: float, pair_weights: Tensor | None, count: int
    ) -> "Loss":
        """Add `weight` times the sum of values [B], weighted by pair_weights [B]; report the sum."""
        total = values.sum() if pair_weights is None else values @ pair_weights.to(values)
        terms = {**self.terms, name: LossTerm(values.detach().sum(), count)}
        return self._replace(smoothed=self.smoothed + weight * total, terms=terms)


def cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    label_smoothing: float = 0.0,
    counts: Tensor | None = None,
) -> Loss:
    """Return the cross-entropy of logits = features Wᵀ + b [N, V] with targets [N].

    Equal to `F.cross_entropy(logits, targets, label_smoothing=…, reduction="sum")` (Szegedy et al., 2016) in
    value and gradients, for features [N, F], W [V, F], b [V]; positions are weighted by `counts` [N]. For
    types shorter than float32 the softmax and the sums are computed in float32. The logits of only a few
    positions exist at a time: their gradient, softmax minus target, becomes the gradients of features,
    W and b during the forward pass.
    """
    if not torch.is_grad_enabled():  # without this, autograd requests gradients, half of the work
        features, weight, bias = features.detach(), weight.detach(), bias.detach()
    smoothed, nll, correct = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, targets, label_smoothing, counts
    )
    return Loss(smoothed, nll, correct, len(targets))


class _LinearCrossEntropy(torch.autograd.Function):
    """Values and, if requested, gradients, in one pass over chunks of positions."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        counts: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dtype = torch.promote_types(features.dtype, torch.float32)
        nll, weighted, at_target, correct = (features.new_zeros((), dtype=dtype) for _ in range(4))
        with_gradients = any(ctx.needs_input_grad)
        run = select_backend("auto", weight)
        output, back = run.matrix(weight), run.matrix(weight.t()) if with_gradients else None
        uniform = _UniformPart.compute(features, weight, bias, counts) if smoothing else None
        gradients = _initial_gradients(features, weight, bias, smoothing, uniform) if with_gradients else []
        for start in range(0, max(len(targets), 1), CHUNK):
            rows = slice(start, start + CHUNK)
            count = None if counts is None else counts[rows]
            logits = output(features[rows], bias).to(dtype)  # [n, V]
            z, losses, hits = _softmax_loss(logits, targets[rows], count, smoothing, gradients)
            nll += losses.sum()
            weighted += losses.sum() if count is None else losses @ count
            at_target += z.sum() if count is None else z @ count
            correct += hits.sum()
            if back is not None:  # the logits are now their gradient
                d_features, d_weight, _ = gradients  # d_weight is one row at first, so it is written once
                dz = logits.to(features.dtype)
                back(dz, add=d_features[rows], out=d_features[rows])
                out = d_weight if start else torch.empty_like(weight)
                gradients[1] = run.matrix(features[rows].t())(dz.t(), add=d_weight, out=out)
        smoothed = weighted if uniform is None else weighted + smoothing * (at_target - uniform.total)
        ctx.gradients = gradients
        ctx.mark_non_differentiable(nll, correct)
        return smoothed, nll, correct

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("the loss has no second derivatives")
        if ctx.gradients is None:
            raise RuntimeError("the gradients of the loss are computed once, in its memory")
        gradients, ctx.gradients = ctx.gradients, None
        return *[gradient.mul_(upstream) for gradient in gradients], None, None, None


def _softmax_loss(
    logits: Tensor, targets: Tensor, count: Tensor | None, smoothing: float, gradients: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's logit of the target, its loss, and whether the target is the most probable token.

    With gradients, that of the logits takes their place, and is added to that of the bias.
    """
    d_bias = gradients[2] if gradients else None
    if runs_in_c("auto", logits):
        z, losses = logits.new_empty(2, len(logits))
        hits = torch.empty(len(logits), dtype=torch.bool)
        count = None if count is None else count.to(logits.dtype).contiguous()
        _library(logits.dtype).cross_entropy(
            *(*logits.shape, logits.data_ptr(), targets.contiguous().data_ptr()),
            None if count is None else count.data_ptr(),
            smoothing,
            *(z.data_ptr(), losses.data_ptr(), hits.data_ptr()),
            None if d_bias is None else d_bias.data_ptr(),
        )
        return z, losses, hits
    y = targets.unsqueeze(1)
    top, best = logits.max(1, keepdim=True)
    z = logits.gather(1, y)
    p = torch.softmax(logits, 1)
    losses = top - p.gather(1, best).log() - z  # log Σ exp = top - log p(top)
    if d_bias is not None:
        p.scatter_add_(1, y, torch.full_like(z, smoothing - 1.0))
        logits.copy_(p if count is None else p.mul_(count.unsqueeze(1)))
        d_bias += logits.sum(0)
    return z.squeeze(1), losses.squeeze(1), (best == y).squeeze(1)


@cache
def _library(dtype: torch.dtype) -> Any:
    text = Path(__file__).with_name("cross_entropy.c").read_text(encoding="utf-8")
    loaded = build_library(C_HEADER[dtype] + text)
    number = {torch.float32: c_float, torch.float64: c_double}[dtype]
    loaded.cross_entropy.argtypes = [c_int64, c_int64, *[c_void_p] * 3, number, *[c_void_p] * 4]
    loaded.cross_entropy.restype = None
    return loaded


class _UniformPart(NamedTuple):
    """Σ_n mean_v z_nv without the logits: the mean of a product is the product of the mean."""

    total: Tensor
    features: Tensor  # summed over the positions [F]
    positions: Tensor | int
    weight: Tensor  # its mean row [F]
    counts: Tensor | None

    @classmethod
    def compute(cls, features: Tensor, weight: Tensor, bias: Tensor, counts: Tensor | None) -> "_UniformPart":
        dtype = torch.promote_types(features.dtype, torch.float32)
        number = len(features) if counts is None else counts.sum()
        added = features.sum(0, dtype=dtype) if counts is None else counts @ features.to(counts.dtype)
        mean = weight.mean(0, dtype=dtype)
        return cls(added @ mean + number * bias.mean(dtype=dtype), added, number, mean, counts)


def _initial_gradients(
    features: Tensor, weight: Tensor, bias: Tensor, smoothing: float, uniform: _UniformPart | None
) -> list[Tensor]:
    """Return the gradients of -smoothing times the uniform part, which is the same for every token."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    if uniform is None:
        row = weight.new_zeros(weight.shape[1])
        return [torch.zeros_like(features), row.expand_as(weight), torch.zeros_like(bias, dtype=dtype)]
    share, mean = -smoothing / len(weight), -smoothing * uniform.weight
    d_features = mean.expand_as(features) if uniform.counts is None else torch.outer(uniform.counts, mean)
    return [
        d_features.to(features.dtype, memory_format=torch.contiguous_format, copy=True),
        (share * uniform.features).to(weight.dtype).expand_as(weight),
        torch.full_like(bias, share, dtype=dtype) * uniform.positions,
    ]


def to_float32(values: Tensor) -> Tensor:
    """Convert types shorter than float32 to float32, before sums and logarithms."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def log_probs(features: Tensor, weight: Tensor, bias: Tensor, tokens: Tensor) -> Tensor:
    """Return log p of tokens [N] by logits = features Wᵀ + b: [N], differentiable one by one.

    Logits exist for a few positions at a time, and are recomputed in the backward pass.
    """

    def target_log_probs(rows: slice, features: Tensor) -> Tensor:
        logits = to_float32(F.linear(features[rows], weight, bias))
        return -F.cross_entropy(logits, tokens[rows], reduction="none")

    return _by_chunks(target_log_probs, len(tokens), features)


def divergence(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return KL(p‖q) + KL(q‖p) of the distributions after features `one` and `other`, [N, F] both: [N]."""

    def both(rows: slice, one: Tensor, other: Tensor) -> Tensor:
        p, q = (to_float32(F.linear(f[rows], weight, bias)).log_softmax(-1) for f in (one, other))
        return ((p.exp() - q.exp()) * (p - q)).sum(-1)

    return _by_chunks(both, len(one), one, other)


def _by_chunks(function: Callable[..., Tensor], length: int, *features: Tensor) -> Tensor:
    """Apply a function to a few positions at a time, and recompute it in the backward pass."""
    chunks = (slice(start, start + CHUNK) for start in range(0, length, CHUNK))
    values = [checkpoint(function, rows, *features, use_reentrant=False) for rows in chunks]
    return torch.cat(values)


def perplexity(nll: float) -> float:
    """Return exp of the mean negative log likelihood per word, limited to the range of a float."""
    return math.exp(min(nll, 700.0))


@dataclass
class LossTotals:
    """Sums of losses over words."""

    loss: float = 0.0
    nll: float = 0.0
    tokens: int = 0
    correct: int = 0
    terms: dict[str, list[float]] = field(default_factory=dict)  # sum and number of values, by name

    @classmethod
    def from_loss(cls, loss: Loss) -> "LossTotals":
        """Convert the sums of a batch to numbers."""
        terms = {name: [term.total.item(), term.values] for name, term in loss.terms.items()}
        return cls(loss.smoothed.item(), loss.nll.item(), loss.tokens, int(loss.correct.item()), terms)

    def add(self, other: "LossTotals") -> None:
        """Add the sums of `other`."""
        self.loss += other.loss
        self.nll += other.nll
        self.tokens += other.tokens
        self.correct += other.correct
        for name, (total, count) in other.terms.items():
            before = self.terms.get(name, [0.0, 0])
            self.terms[name] = [before[0] + total, before[1] + count]

    def sum_over(self, processes: Processes) -> "LossTotals":
        """Return the sums over all processes."""
        if processes.count == 1:
            return self
        total = LossTotals()
        for message in processes.gather(json.dumps(asdict(self)).encode()):
            total.add(LossTotals(**json.loads(message)))
        return total

    def means(self) -> dict[str, float]:
        """Return loss, perplexity and accuracy per word, and the mean of each term."""
        words = max(self.tokens, 1)
        return {
            "loss": self.loss / words,
            "perplexity": perplexity(self.nll / words),
            "accuracy": self.correct / words,
            **{name: total / max(count, 1) for name, (total, count) in self.terms.items()},
        }
