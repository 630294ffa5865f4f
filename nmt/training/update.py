"""One update: the gradients of a group of batches, clipped, and one step of the optimiser."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from nmt.data.batches import Batch
from nmt.errors import DataError
from nmt.model.decoder import DecoderState
from nmt.model.translator import Translator
from nmt.training import hardware as memory
from nmt.training.distributed import SINGLE_PROCESS, Processes
from nmt.training.hardware import Precision
from nmt.training.loss import LossTotals
from nmt.training.objectives.likelihood import LossOutput, Objective
from nmt.training.objectives.noise import weight_noise
from nmt.training.snapshot import load_torch_generator_tensors, torch_generator_tensors
from nmt.training.teacher_forcing import TeacherForcing


class GradientResult(NamedTuple):
    """What the gradients of a group of batches were made of."""

    totals: LossTotals  # sums over its words
    carried: DecoderState | None  # what the next batch goes on from
    parts: int  # that each batch was learnt in


class BadUpdate(NamedTuple):
    """Why an update is not made."""

    why: str
    spike: bool  # the loss is finite and too high; else loss or gradient is no finite number

    def __str__(self) -> str:
        return self.why


class UpdateResult(NamedTuple):
    """What an update gave, or why the weights were left as they were."""

    totals: LossTotals  # sums over its words
    norm: float  # of the gradient before clipping
    carried: DecoderState | None  # what the next batch goes on from
    parts: int  # that each batch was learnt in, for want of memory
    fault: BadUpdate | None  # why it was not made


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A model and all that takes part in each of its updates."""

    model: Translator
    optimiser: Optimizer
    objective: Objective
    forcing: TeacherForcing
    clip_norm: float | None
    weight_noise: float = 0.0  # its standard deviation
    processes: Processes = SINGLE_PROCESS
    precision: Precision = field(default_factory=lambda: Precision("float32", "cpu"))

    def update(
        self,
        group: Sequence[Batch],
        *,
        rate: float,
        ratio: float,
        carried: DecoderState | None = None,
        limit: float = math.inf,
    ) -> UpdateResult:
        """Learn from a group of batches as if it were one: its loss is the mean over all its words.

        Where that is over `limit`, or no finite number, or the gradient is none, nothing is learnt.
        Of each batch every process takes its rows; what is given and what is learnt is the same in all.
        """
        totals, carried, parts = self.gradients(group, ratio, carried)
        self.processes.sum_gradients(self.model.parameters())
        totals, parts = totals.of_all(self.processes), int(self.processes.largest(parts))
        scaler = self.precision.scaler
        scaler.unscale_(self.optimiser)
        norm = self.clip()
        fault = _fault(totals, 0.0 if self.precision.may_overflow() else norm, limit)
        if fault is None:
            for parameters in self.optimiser.param_groups:
                parameters["lr"] = rate
            scaler.step(self.optimiser)  # left out where scaled gradients have overflowed
        scaler.update()
        return UpdateResult(totals, norm, carried, parts, fault)

    def gradients(self, group: Sequence[Batch], ratio: float, carried: DecoderState | None) -> GradientResult:
        """This process's gradients of a group; where memory runs out, anew with every batch in more parts.

        What is drawn begins anew too, so that it hangs on the number of parts alone.
        """
        parts, most = 1, max(len(batch.src) for batch in group)
        generators = torch_generator_tensors()
        while True:
            try:
                return self.gradients_in(parts, group, ratio, carried)
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
                if parts >= most:
                    raise DataError(memory.too_large_message(group)) from error
            parts *= 2  # outside of `except`, whose error holds the tensors of the attempt
            self.optimiser.zero_grad(set_to_none=True)
            memory.free_memory()
            load_torch_generator_tensors(generators)

    def gradients_in(
        self, parts: int, group: Sequence[Batch], ratio: float, carried: DecoderState | None
    ) -> GradientResult:
        """The gradients of a group with every batch in so many parts, one after another."""
        self.optimiser.zero_grad(set_to_none=True)
        words = sum(int(batch.tgt_lengths.sum()) for batch in group)
        totals = LossTotals()
        for batch in group:
            share = self.processes.share(batch)
            if share is None:
                continue
            after = []
            for part, before in memory.split_batch(share, carried, parts):
                of_part, state = self.learn(part, words, ratio, before)
                totals.add(of_part)
                after.append(state)
            carried = memory.join_states(after)
        return GradientResult(totals, carried, parts)

    def learn(
        self, batch: Batch, words: int, ratio: float, carried: DecoderState | None
    ) -> tuple[LossTotals, DecoderState | None]:
        """Add the gradients of a batch, as its part of an update on so many words."""
        batch = to_device(batch, next(self.model.parameters()).device)
        teacher_forced = self.forcing.draw(ratio, batch.tgt[:, :-1])

        def work(model: Translator) -> LossOutput:
            learnt = self.objective(model, batch, teacher_forced=teacher_forced, carried=carried)
            self.precision.scaler.scale(learnt.loss.smoothed / words).backward()  # type: ignore[no-untyped-call]
            return learnt

        with weight_noise(self.model, self.weight_noise):
            loss, state = self.precision.computing(self.model, work)
        return LossTotals.of(loss), state

    def clip(self) -> float:
        """Scale the gradients down to `clip_norm` (Pascanu et al., 2013); gives the norm they had."""
        learning = [p for p in self.model.parameters() if p.grad is not None]
        norm = get_total_norm([p.grad for p in learning if p.grad is not None])
        length = norm.item()
        if self.clip_norm is not None and length > self.clip_norm:
            clip_grads_with_norm_(learning, self.clip_norm, norm)
        return length


def _fault(totals: LossTotals, norm: float, limit: float) -> BadUpdate | None:
    """What keeps an update from being made."""
    loss = totals.loss / max(totals.tokens, 1)
    if not math.isfinite(loss):
        return BadUpdate(f"the loss is {loss}", spike=False)
    if not math.isfinite(norm):
        return BadUpdate(f"the norm of the gradient is {norm}", spike=False)
    if loss > limit:
        return BadUpdate(f"the loss {loss:.4g} is a spike: over {limit:.4g}", spike=True)
    return None


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch where the model is; `pairs` and lengths are for us and stay."""
    weights, links = (None if t is None else t.to(device) for t in (batch.weights, batch.links))
    return batch._replace(src=batch.src.to(device), tgt=batch.tgt.to(device), weights=weights, links=links)
