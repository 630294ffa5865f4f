"""Gradients through time: how much of a loss's gradient reaches earlier states (Bengio et al., 1994)."""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import get_total_norm

from nmt.data.batches import Batch
from nmt.model.translator import TranslationModel
from nmt.recurrence.recording import CellPath, record_states
from nmt.recurrence.state import detach_states
from nmt.training.objectives.likelihood import Likelihood

VANISHED, EXPLODED = 0.01, 100.0  # shares of the gradient at lag 0 that are the limits


class GradientProfile(NamedTuple):
    """The gradient that reaches a cell's state, by lag.

    In a decoder lag k is the norm of d loss_t / d h_(t-k) of a sentence, the mean over sentences and t. In an
    encoder it is that of d loss / d h of the sentence's whole loss, k positions before the last that the
    direction reads, where backpropagation through the recurrence begins.
    """

    cell: CellPath
    path: str  # the field of the state; "c alone": steps propagate gradients through c only
    norms: list[float]
    shares: list[float]  # of the norm at lag 0 of the same losses

    @property
    def vanished(self) -> int | None:
        """The first lag whose share is below VANISHED."""
        return next((lag for lag, share in enumerate(self.shares) if share < VANISHED), None)

    @property
    def exploded(self) -> int | None:
        """The first lag whose share is above EXPLODED or NaN."""
        return next((lag for lag, share in enumerate(self.shares) if not share <= EXPLODED), None)


class ClippingStatistics(NamedTuple):
    """The norms of the weights' gradients of some batches, and the norm that they are clipped to.

    Clipping scales all lags alike, so it does not bring back gradients that have vanished.
    """

    norms: list[float]
    limit: float | None

    @property
    def factors(self) -> list[float]:
        """The factor that each batch's gradient is multiplied by."""
        return [1.0 if self.limit is None else min(1.0, self.limit / norm) for norm in self.norms]


Profiles = dict[tuple[CellPath, str], list[Tensor]]
"""By cell and field: norms [lags + 1, B], NaN where there is no such position."""
Norms = Iterator[tuple[tuple[CellPath, str], Tensor]]


def measure_gradient_profiles(
    model: TranslationModel, batches: Sequence[Batch], *, lags: int
) -> list[GradientProfile]:
    """Measure the gradients that reach the states of every cell, up to `lags` positions back.

    A norm that is NaN counts as infinite.
    """
    model = copy.deepcopy(model).eval()
    model.decoder.recompute = 0
    cells = list(model.recurrent_cells())
    for one in cells:
        one.layer.engine = "reference"
    lags = min(lags, max(side.shape[1] for batch in batches for side in (batch.src, batch.tgt)))
    profiles: list[GradientProfile] = []
    for side in dict.fromkeys(one.path.side for one in cells):
        states = [one.cell.State._fields for one in cells if one.path.side == side]
        several = dict.fromkeys(field for fields in states if len(fields) > 1 for field in fields)
        for only in (None, *several):
            profiles += _measure_side(model, batches, lags, side, only)
    order = [one.path for one in cells]
    return sorted(profiles, key=lambda profile: order.index(profile.cell))


def measure_clipping(
    model: TranslationModel, batches: Iterable[Batch], limit: float | None
) -> ClippingStatistics:
    """Measure the gradient of each batch's mean loss per token, which an update clips (Pascanu et al., 2013).

    Without dropout and label smoothing. The state is carried over where a text continues.
    """
    norms, carried, model = [], None, copy.deepcopy(model).eval()
    for batch in batches:
        model.zero_grad()
        output = Likelihood()(model, batch, None, carried)
        carried = output.carried
        (output.loss.smoothed / batch.tgt_lengths.sum()).backward()  # type: ignore[no-untyped-call]
        norms.append(get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item())
    return ClippingStatistics(norms, limit)


def _measure_side(
    model: TranslationModel, batches: Sequence[Batch], lags: int, side: str, only: str | None
) -> Iterator[GradientProfile]:
    """Profile the cells of a side; with `only`, their steps propagate gradients through that field alone."""
    profiles, carried, output = Profiles(), None, model.decoder.output
    for batch in batches:
        with record_states(model.recurrent_cells(), {side: only}) as states:
            unrolled = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], state=carried)
        carried = detach_states(unrolled.state) if batch.is_continued else None
        logits = F.linear(unrolled.features, output.weight, output.bias).transpose(1, 2)
        losses = F.cross_entropy(logits, batch.tgt[:, 1:], ignore_index=model.pad, reduction="none")
        fields = {
            (path, name): [getattr(s, name) for s in of_cell]
            for path, of_cell in states.items()
            for name in of_cell[0]._fields
            if path.side == side and only in (None, name)
        }
        norms = _measure_encoder if side == "encoder" else _measure_decoder
        for key, values in norms(fields, batch, losses, lags):
            profiles.setdefault(key, []).append(values)
    for (path, name), of_batches in profiles.items():
        mean, shares = _average_norms(torch.cat(of_batches, 1))
        yield GradientProfile(path, name if only is None else f"{name} alone", mean, shares)


def _average_norms(norms: Tensor) -> tuple[list[float], list[float]]:
    """Return mean norms [lags + 1] and shares of the first; lags that no sentence has are omitted."""
    there = ~norms.isnan()
    norms = norms[there.any(1)].double()
    sent = norms[:1].where(~norms.isnan(), math.nan).nansum(1)
    arrived = norms.nansum(1)
    return norms.nanmean(1).tolist(), (arrived / sent).where(arrived > 0, 0.0).tolist()


def _measure_decoder(fields: Profiles, batch: Batch, losses: Tensor, lags: int) -> Norms:
    """Return the norms of the gradients of each token's loss with respect to the states before it."""
    for t in range(min(losses.shape[1], 2 * lags + 1)):
        first = max(0, t - lags)
        mask = t < batch.tgt_lengths
        for key, norms in _compute_norms(losses[:, t], {key: s[first : t + 1] for key, s in fields.items()}):
            filled = norms.new_full((lags + 1, norms.shape[1]), math.nan)
            filled[: len(norms)] = norms.flip(0)
            yield key, filled[:, mask]


def _measure_encoder(fields: Profiles, batch: Batch, losses: Tensor, lags: int) -> Norms:
    """Return the norms of the gradients of a sentence's loss, from the last state of each direction."""
    length = batch.src_lengths
    steps = torch.arange(lags + 1).unsqueeze(1)
    for (path, name), norms in _compute_norms(losses, fields):
        if path.direction == "backward":
            norms, index = norms.flip(0), steps.expand(-1, len(length))
        else:
            index = length - 1 - steps
        mask = (index >= 0) & (index < length)
        values = norms.gather(0, index.clamp(0, len(norms) - 1))
        yield (path, name), values.where(mask, math.nan)


def _compute_norms(losses: Tensor, fields: Profiles) -> Norms:
    """Return norms [positions, B] of the gradients of the summed losses; sentences are independent."""
    flat = [value for values in fields.values() for value in values]
    gradients = iter(torch.autograd.grad(losses.sum(), flat, retain_graph=True, materialize_grads=True))
    for key, values in fields.items():
        norms = torch.stack([next(gradients).norm(dim=-1) for _ in values])
        yield key, norms.nan_to_num(nan=math.inf, posinf=math.inf)
