"""The loss: cross-entropy of the output layer with label smoothing, logits never kept."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nmt.recurrence.engine import Backend, select_backend
from nmt.training.distributed import Processes

CHUNK = 256
"""Positions whose logits exist at one time."""


class LossTerm(NamedTuple):
    """A part of a loss that is reported by its name: the sum of its values, and how many they are."""

    total: Tensor
    values: int


class Loss(NamedTuple):
    """Sums over the positions of a batch, as scalars.

    `smoothed` is what training minimises (nats), `nll` the negative log likelihood of the gold
    pieces (nats), `correct` how often the most probable piece is the gold one, `tokens` positions,
    `terms` what else is minimised. Only `smoothed` knows that pairs may count differently.
    """

    smoothed: Tensor
    nll: Tensor
    correct: Tensor
    tokens: int
    terms: Mapping[str, LossTerm] = MappingProxyType({})

    def add_term(
        self, name: str, values: Tensor, weight: float, pairs: Tensor | None, shown: LossTerm
    ) -> "Loss":
        """With `weight` times the sum of values [B], which count as pairs [B] say, and a term to report."""
        total = values.sum() if pairs is None else values @ pairs.to(values)
        return self._replace(smoothed=self.smoothed + weight * total, terms={**self.terms, name: shown})


def cross_entropy(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    gold: Tensor,
    *,
    label_smoothing: float = 0.0,
    counts: Tensor | None = None,
) -> Loss:
    """Cross-entropy of logits = features Wᵀ + b [N, V] with gold pieces [N].

    Equal to `F.cross_entropy(logits, gold, label_smoothing=…, reduction="sum")` (Szegedy et al.,
    2016) in value and gradients, for features [N, F], W [V, F], b [V]. Of numbers shorter than float32 only
    the products are short: softmax and sums are float32's. The logits of a few
    positions exist at a time: their gradient, softmax minus target, is known as soon as they are,
    so it is turned into the gradients of features, W and b on the way forward. A position counts
    as `counts` [N] say, or once.
    """
    if not torch.is_grad_enabled():  # autograd would still call for gradients, half of the work
        features, weight, bias = features.detach(), weight.detach(), bias.detach()
    smoothed, nll, correct = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, gold, label_smoothing, counts
    )
    return Loss(smoothed, nll, correct, len(gold))


class _LinearCrossEntropy(torch.autograd.Function):
    """Values and, where they are asked for, gradients, in one pass over chunks of positions."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        gold: Tensor,
        smoothing: float,
        counts: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = torch.promote_types(features.dtype, torch.float32)
        nll, counted, at_gold, correct = (features.new_zeros((), dtype=wide) for _ in range(4))
        wanted = any(ctx.needs_input_grad)
        run = select_backend("auto", weight)
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
            missed = top - p.gather(1, best).log() - z  # log Σ exp = top - log p(top)
            count = None if counts is None else counts[rows].unsqueeze(1)
            nll += missed.sum()
            counted += _sum(missed, count)
            at_gold += _sum(z, count)
            correct += (best == y).sum()
            if wanted:
                p.scatter_add_(1, y, torch.full_like(z, smoothing - 1.0))
                dz = p if count is None else p.mul_(count)
                _add_gradients(gradients, dz, features, run, back, rows)
        smoothed = counted
        if smoothing:
            smoothed = counted + smoothing * (at_gold - _sum_of_means(features, weight, bias, counts))
            _add_uniform_gradients(gradients, features, weight, smoothing, counts)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(nll, correct)
        return smoothed, nll, correct

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("the loss has no second derivatives")
        return *[gradient * upstream for gradient in ctx.saved_tensors], None, None, None


def _sum(values: Tensor, counts: Tensor | None) -> Tensor:
    """The sum of values [n, ...] that count as `counts` [n, 1] say, or once each."""
    return values.sum() if counts is None else (values * counts).sum()


def _add_gradients(
    gradients: list[Tensor], dz: Tensor, features: Tensor, run: Backend, back: Any, rows: slice
) -> None:
    """Take the gradient dz [n, V] of some positions' logits back through z = W f + b; `back` has Wᵀ."""
    d_features, d_weight, d_bias = gradients
    d_bias += dz.sum(0)
    dz = dz.to(features.dtype)
    back(dz, out=d_features[rows])
    run.matrix(features[rows].t())(dz.t(), add=d_weight, out=d_weight)


def _sum_of_means(features: Tensor, weight: Tensor, bias: Tensor, counts: Tensor | None) -> Tensor:
    """Σ_n mean_v z_nv, without the logits: the mean of a product is the product of the mean."""
    number, together = _added_up(features, counts)
    return together @ weight.mean(0, dtype=together.dtype) + number * bias.mean(dtype=together.dtype)


def _added_up(features: Tensor, counts: Tensor | None) -> tuple[float | Tensor, Tensor]:
    """How many positions there are, and the sum of their features [F]."""
    if counts is None:
        return len(features), features.sum(0, dtype=torch.promote_types(features.dtype, torch.float32))
    return counts.sum(), counts @ features.to(counts.dtype)


def _add_uniform_gradients(
    gradients: list[Tensor], features: Tensor, weight: Tensor, smoothing: float, counts: Tensor | None
) -> None:
    """The gradient of -smoothing · Σ_n mean_v z_nv, the same for every piece of the vocabulary."""
    if not gradients:
        return
    d_features, d_weight, d_bias = gradients
    number, together = _added_up(features, counts)
    uniform = smoothing * weight.mean(0)
    d_features -= uniform if counts is None else torch.outer(counts, uniform)
    d_weight -= smoothing / len(weight) * together
    d_bias -= smoothing / len(weight) * number


def wide(values: Tensor) -> Tensor:
    """Numbers as float32, if they are shorter: what is summed or taken to a logarithm is not short."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def log_probs(features: Tensor, weight: Tensor, bias: Tensor, pieces: Tensor) -> Tensor:
    """log p of pieces [N] by logits = features Wᵀ + b: [N], each with its own gradient.

    Logits exist for a few positions at a time, and again on the way back.
    """

    def chosen(rows: slice, features: Tensor) -> Tensor:
        logits = wide(F.linear(features[rows], weight, bias))
        return -F.cross_entropy(logits, pieces[rows], reduction="none")

    return _by_chunks(chosen, len(pieces), features)


def divergence(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """KL(p‖q) + KL(q‖p) of the pieces after the features `one` and `other`, [N, F] both: [N]."""

    def both(rows: slice, one: Tensor, other: Tensor) -> Tensor:
        p, q = (wide(F.linear(f[rows], weight, bias)).log_softmax(-1) for f in (one, other))
        return ((p.exp() - q.exp()) * (p - q)).sum(-1)

    return _by_chunks(both, len(one), one, other)


def _by_chunks(function: Callable[..., Tensor], length: int, *features: Tensor) -> Tensor:
    """The values of a function of a few positions at a time, which keeps nothing for the way back."""
    chunks = (slice(start, start + CHUNK) for start in range(0, length, CHUNK))
    values = [checkpoint(function, rows, *features, use_reentrant=False) for rows in chunks]
    return torch.cat(values)


def perplexity(nll: float) -> float:
    """exp of the mean negative log likelihood of a word, within what a float holds."""
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
        """The sums of a batch as numbers."""
        terms = {name: [term.total.item(), term.values] for name, term in loss.terms.items()}
        return cls(loss.smoothed.item(), loss.nll.item(), loss.tokens, int(loss.correct.item()), terms)

    def add(self, other: "LossTotals") -> None:
        """Count the words of `other` too."""
        self.loss += other.loss
        self.nll += other.nll
        self.tokens += other.tokens
        self.correct += other.correct
        for name, (total, count) in other.terms.items():
            before = self.terms.get(name, [0.0, 0])
            self.terms[name] = [before[0] + total, before[1] + count]

    def sum_over(self, processes: Processes) -> "LossTotals":
        """The sums over the words of all processes."""
        if processes.count == 1:
            return self
        whole = LossTotals()
        for theirs in processes.gather(json.dumps(asdict(self)).encode()):
            whole.add(LossTotals(**json.loads(theirs)))
        return whole

    def means(self) -> dict[str, float]:
        """Loss, perplexity and accuracy of a word, and the mean of each term."""
        words = max(self.tokens, 1)
        return {
            "loss": self.loss / words,
            "perplexity": perplexity(self.nll / words),
            "accuracy": self.correct / words,
            **{name: total / max(count, 1) for name, (total, count) in self.terms.items()},
        }
