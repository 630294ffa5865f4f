"""The loss: cross-entropy of the output layer with label smoothing, logits never kept."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.recurrence.backend import Backend
from nmt.recurrence.engine import backend

CHUNK = 256
"""Positions whose logits exist at one time."""


class Loss(NamedTuple):
    """Sums over the positions of a batch, as scalars.

    `smoothed` is what training minimises (nats), `nll` the negative log likelihood of the gold
    pieces (nats), `correct` how often the most probable piece is the gold one, `tokens` positions.
    """

    smoothed: Tensor
    nll: Tensor
    correct: Tensor
    tokens: int


def cross_entropy(
    features: Tensor, weight: Tensor, bias: Tensor, gold: Tensor, *, label_smoothing: float = 0.0
) -> Loss:
    """Cross-entropy of logits = features Wᵀ + b [N, V] with gold pieces [N].

    Equal to `F.cross_entropy(logits, gold, label_smoothing=…, reduction="sum")` (Szegedy et al.,
    2016) in value and gradients, for features [N, F], W [V, F], b [V]. Of numbers shorter than float32 only
    the products are short: softmax and sums are float32's. The logits of a few
    positions exist at a time: their gradient, softmax minus target, is known as soon as they are,
    so it is turned into the gradients of features, W and b on the way forward.
    """
    if not torch.is_grad_enabled():  # autograd would still call for gradients, half of the work
        features, weight, bias = features.detach(), weight.detach(), bias.detach()
    smoothed, nll, correct = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, gold, label_smoothing
    )
    return Loss(smoothed, nll, correct, len(gold))


class _LinearCrossEntropy(torch.autograd.Function):
    """Values and, where they are asked for, gradients, in one pass over chunks of positions."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, gold: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = torch.promote_types(features.dtype, torch.float32)
        nll, at_gold, correct = (features.new_zeros((), dtype=wide) for _ in range(3))
        wanted = any(ctx.needs_input_grad)
        run = backend("auto", weight)
        output, back = run.matrix(weight), run.matrix(weight.t()) if wanted else None
        gradients = [torch.zeros_like(t) for t in (features, weight)] if wanted else []
        gradients += [torch.zeros_like(bias, dtype=wide)] if wanted else []
        for start in range(0, len(gold), CHUNK):
            rows = slice(start, start + CHUNK)
            y = gold[rows].unsqueeze(1)
            logits = output(features[rows], bias).to(wide)  # [n, V]
            top, best = logits.max(1, keepdim=True)
            z = logits.gather(1, y)
            p = torch.softmax(logits, 1)
            nll += (top - p.gather(1, best).log() - z).sum()  # log Σ exp = top - log p(top)
            at_gold += z.sum()
            correct += (best == y).sum()
            if wanted:
                p.scatter_add_(1, y, torch.full_like(z, smoothing - 1.0))
                _add_gradients(gradients, p, features, run, back, rows)
        smoothed = nll.clone()
        if smoothing:
            smoothed += smoothing * (at_gold - _sum_of_means(features, weight, bias))
            _add_uniform_gradients(gradients, features, weight, smoothing)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(nll, correct)
        return smoothed, nll, correct

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("the loss has no gradients of gradients")
        return *[gradient * upstream for gradient in ctx.saved_tensors], None, None


def _add_gradients(
    gradients: list[Tensor], dz: Tensor, features: Tensor, run: Backend, back: Any, rows: slice
) -> None:
    """Take the gradient dz [n, V] of some positions' logits back through z = W f + b; `back` has Wᵀ."""
    d_features, d_weight, d_bias = gradients
    d_bias += dz.sum(0)
    dz = dz.to(features.dtype)
    back(dz, out=d_features[rows])
    run.matrix(features[rows].t())(dz.t(), add=d_weight, out=d_weight)


def _sum_of_means(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Σ_n mean_v z_nv, without the logits: the mean of a product is the product of the mean."""
    wide = torch.promote_types(features.dtype, torch.float32)
    return features.sum(0, dtype=wide) @ weight.mean(0, dtype=wide) + len(features) * bias.mean(dtype=wide)


def _add_uniform_gradients(
    gradients: list[Tensor], features: Tensor, weight: Tensor, smoothing: float
) -> None:
    """The gradient of -smoothing · Σ_n mean_v z_nv, the same for every piece of the vocabulary."""
    if not gradients:
        return
    d_features, d_weight, d_bias = gradients
    d_features -= smoothing * weight.mean(0)
    d_weight -= smoothing / len(weight) * features.sum(0)
    d_bias -= smoothing / len(weight) * len(features)
