"""One update: the gradients of a group of batches, clipped, and one step of the optimiser."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.training.objective import forced_loss
from nmt.training.run import Totals
from nmt.training.teacher_forcing import Forcing


class Diverged(NmtError):
    """A loss or gradient that is no number any more."""


class Outcome(NamedTuple):
    """What an update gave: the sums over its words, the norm of the gradient before clipping."""

    totals: Totals
    norm: float
    carried: DecoderState | None  # what the next batch goes on from


def make_update(
    model: Translator,
    optimiser: Optimizer,
    group: Sequence[Batch],
    *,
    rate: float,
    forcing: Forcing,
    ratio: float,
    carried: DecoderState | None = None,
    label_smoothing: float,
    clip_norm: float | None,
) -> Outcome:
    """Learn from a group of batches as if it were one: its loss is the mean over all its words."""
    optimiser.zero_grad(set_to_none=True)
    words = sum(int(batch.tgt_lengths.sum()) for batch in group)
    device = next(model.parameters()).device
    totals = Totals()
    for batch in group:
        batch = to_device(batch, device)
        use_gold = forcing.draw(ratio, batch.tgt[:, :-1])
        loss, carried = forced_loss(
            model,
            batch,
            label_smoothing=label_smoothing,
            carried=carried,
            use_gold=use_gold,
            sample=forcing.feedback == "sample",
        )
        totals.add(Totals.of(loss))
        if not math.isfinite(totals.loss):
            raise Diverged(f"the loss is {totals.loss} in the batch with rows {named(batch.pairs)}")
        (loss.smoothed / words).backward()  # type: ignore[no-untyped-call]
    norm = _clip(model, clip_norm)
    if not math.isfinite(norm):
        pairs = torch.cat([batch.pairs for batch in group])
        raise Diverged(f"the norm of the gradient is {norm} after the rows {named(pairs)}")
    for parameters in optimiser.param_groups:
        parameters["lr"] = rate
    optimiser.step()
    return Outcome(totals, norm, carried)


def _clip(model: nn.Module, clip_norm: float | None) -> float:
    """Scale the gradients down to `clip_norm` (Pascanu et al., 2013); gives the norm they had."""
    learning = [p for p in model.parameters() if p.grad is not None]
    norm = get_total_norm([p.grad for p in learning if p.grad is not None])
    length = norm.item()
    if clip_norm is not None and length > clip_norm:
        clip_grads_with_norm_(learning, clip_norm, norm)
    return length


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch where the model is; `pairs` and lengths are for us and stay."""
    return batch._replace(src=batch.src.to(device), tgt=batch.tgt.to(device))


def named(pairs: Tensor) -> str:
    """Pairs (of a stream, places in the text) by their index in the store, for a message."""
    first = ", ".join(str(index) for index in pairs[:100].tolist())
    return first if len(pairs) <= 100 else f"{first}, … ({len(pairs)} in all)"
