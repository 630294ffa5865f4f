"""One update: the gradients of a group of batches, clipped, and one step of the optimiser."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.training.objective import Learnt, Objective
from nmt.training.precision import Precision
from nmt.training.processes import ALONE, Processes
from nmt.training.run import Totals
from nmt.training.teacher_forcing import Forcing


class Diverged(NmtError):
    """A loss or gradient that is no number any more."""


class Outcome(NamedTuple):
    """What an update gave: the sums over its words, the norm of the gradient before clipping."""

    totals: Totals
    norm: float
    carried: DecoderState | None  # what the next batch goes on from


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A model and all that takes part in each of its updates."""

    model: Translator
    optimiser: Optimizer
    objective: Objective
    forcing: Forcing
    clip_norm: float | None
    processes: Processes = ALONE
    precision: Precision = field(default_factory=lambda: Precision("float32", "cpu"))

    def update(
        self, group: Sequence[Batch], *, rate: float, ratio: float, carried: DecoderState | None = None
    ) -> Outcome:
        """Learn from a group of batches as if it were one: its loss is the mean over all its words.

        Of each batch every process takes its rows; what is given and what is learnt is the same in all.
        """
        self.optimiser.zero_grad(set_to_none=True)
        words = sum(int(batch.tgt_lengths.sum()) for batch in group)
        totals = Totals()
        for batch in group:
            share = self.processes.share(batch)
            if share is not None:
                of_batch, carried = self.learn(share, words, ratio, carried)
                totals.add(of_batch)
        self.processes.sum_gradients(self.model.parameters())
        totals = totals.of_all(self.processes)
        if not math.isfinite(totals.loss):
            pairs = torch.cat([batch.pairs for batch in group])
            raise Diverged(f"the loss is {totals.loss} in the batch with rows {named(pairs)}")
        self.precision.scaler.unscale_(self.optimiser)
        norm = self.clip()
        if not math.isfinite(norm) and not self.precision.scaler.is_enabled():
            pairs = torch.cat([batch.pairs for batch in group])
            raise Diverged(f"the norm of the gradient is {norm} after the rows {named(pairs)}")
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        self.precision.scaler.step(self.optimiser)  # left out where scaled gradients have overflowed
        self.precision.scaler.update()
        return Outcome(totals, norm, carried)

    def learn(
        self, batch: Batch, words: int, ratio: float, carried: DecoderState | None
    ) -> tuple[Totals, DecoderState | None]:
        """Add the gradients of a batch, as its part of an update on so many words."""
        batch = to_device(batch, next(self.model.parameters()).device)
        use_gold = self.forcing.draw(ratio, batch.tgt[:, :-1])

        def work(model: Translator) -> Learnt:
            learnt = self.objective(model, batch, use_gold=use_gold, carried=carried)
            self.precision.scaler.scale(learnt.loss.smoothed / words).backward()  # type: ignore[no-untyped-call]
            return learnt

        loss, state = self.precision.computing(self.model, work)
        return Totals.of(loss), state

    def clip(self) -> float:
        """Scale the gradients down to `clip_norm` (Pascanu et al., 2013); gives the norm they had."""
        learning = [p for p in self.model.parameters() if p.grad is not None]
        norm = get_total_norm([p.grad for p in learning if p.grad is not None])
        length = norm.item()
        if self.clip_norm is not None and length > self.clip_norm:
            clip_grads_with_norm_(learning, self.clip_norm, norm)
        return length


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch where the model is; `pairs` and lengths are for us and stay."""
    return batch._replace(src=batch.src.to(device), tgt=batch.tgt.to(device))


def named(pairs: Tensor) -> str:
    """Pairs (of a stream, places in the text) by their index in the store, for a message."""
    first = ", ".join(str(index) for index in pairs[:100].tolist())
    return first if len(pairs) <= 100 else f"{first}, … ({len(pairs)} in all)"
