"""An update: the gradients of a group of batches, clipped, and a step of the optimiser."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from nmt.data.batches import Batch
from nmt.errors import DataError, is_out_of_memory
from nmt.model.decoder import DecoderState
from nmt.model.translator import TranslationModel
from nmt.settings import Positive, Settings, Weight
from nmt.training.distributed import SINGLE_PROCESS, Processes
from nmt.training.hardware import Precision, join_states, split_batch
from nmt.training.loss import LossTotals
from nmt.training.objectives.likelihood import LossOutput, Objective
from nmt.training.objectives.noise import add_weight_noise
from nmt.training.snapshot import collect_torch_generator_tensors, load_torch_generator_tensors
from nmt.training.teacher_forcing import TeacherForcing


@dataclass(frozen=True, kw_only=True)
class UpdateSettings(Settings):
    """The gradient of an update."""

    clip_norm: Positive | None = 1.0
    """Maximum norm of the gradient; null for no clipping."""
    weight_noise: Weight = 0.0
    """Standard deviation of the noise added to each weight for a batch (Graves, 2011)."""


class BadUpdate(NamedTuple):
    """The reason not to apply an update."""

    reason: str
    is_spike: bool  # the loss is finite but too high; else the loss or the gradient is not finite


class UpdateResult(NamedTuple):
    """The result of an update, which is not applied if it is bad."""

    totals: LossTotals
    norm: float  # of the gradient before clipping
    carried: DecoderState | None  # for the next batch
    parts: int  # into which each batch was split if memory ran out
    bad_update: BadUpdate | None


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A model with its optimiser, objective and everything else for an update."""

    model: TranslationModel
    optimiser: Optimizer
    objective: Objective
    forcing: TeacherForcing
    settings: UpdateSettings = UpdateSettings()
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
        """Train on a group of batches as if it were one; its loss is the mean over all its words.

        The weights do not change if the loss is over `limit`, or the loss or the gradient is not finite.
        Every process takes its rows of each batch; arguments and result are the same in all.
        """
        totals, carried, parts = self.compute_gradients(group, ratio, carried)
        self.processes.sum_gradients(self.model.parameters())
        totals, parts = totals.sum_over(self.processes), int(self.processes.maximum(parts))
        scaler = self.precision.scaler
        scaler.unscale_(self.optimiser)
        norm = self.gradient_norm().item()
        overflows = scaler.is_enabled() and scaler.get_scale() >= 1.0  # an overflow is then due to the scale
        bad_update = _check_update(totals, 0.0 if overflows else norm, limit)
        if bad_update is None:
            for parameters in self.optimiser.param_groups:
                parameters["lr"] = rate
            self.clip_gradients(norm)
            scaler.step(self.optimiser)  # does nothing if scaled gradients have overflowed
        scaler.update()
        return UpdateResult(totals, norm, carried, parts, bad_update)

    def compute_gradients(
        self, group: Sequence[Batch], ratio: float, carried: DecoderState | None
    ) -> tuple[LossTotals, DecoderState | None, int]:
        """Compute this process's gradients; if memory runs out, retry with batches split into more parts.

        Returns the totals, the state for the next batch, and the number of parts of each batch. Random
        generators are reset for each try, so that the result depends only on the number of parts.
        """
        parts, most = 1, max(len(batch.src) for batch in group)
        generators = collect_torch_generator_tensors()
        while True:
            try:
                return *self.compute_in_parts(parts, group, ratio, carried), parts
            except IndexError as error:
                raise DataError(
                    "a batch contains a token that is not in the vocabulary, so the encoded data belongs to "
                    "another one; delete `data` in the run directory and run the same command again"
                ) from error
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if parts >= most:
                    batch = max(group, key=lambda batch: batch.src.shape[1] + batch.tgt.shape[1])
                    raise DataError(
                        "out of memory even with one pair at a time: the longest have "
                        f"{batch.src.shape[1]} and {batch.tgt.shape[1] - 1} tokens. "
                        "Use a smaller data.max_length or model, or a larger machine"
                    ) from error
            parts *= 2  # outside of `except`, whose error keeps the tensors of the failed try alive
            self.optimiser.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()  # does nothing without a GPU
            load_torch_generator_tensors(generators)

    def compute_in_parts(
        self, parts: int, group: Sequence[Batch], ratio: float, carried: DecoderState | None
    ) -> tuple[LossTotals, DecoderState | None]:
        """Compute the gradients with every batch split into this many parts."""
        self.optimiser.zero_grad(set_to_none=True)
        words = sum(int(batch.tgt_lengths.sum()) for batch in group)
        totals = LossTotals()
        for batch in group:
            rows = self.processes.local_rows(batch)
            if rows is None:
                continue
            states = []
            for part, before in split_batch(rows, carried, parts):
                part_totals, state = self.accumulate(part, words, ratio, before)
                totals.add(part_totals)
                states.append(state)
            carried = join_states(states)
        return totals, carried

    def accumulate(
        self, batch: Batch, words: int, ratio: float, carried: DecoderState | None
    ) -> tuple[LossTotals, DecoderState | None]:
        """Add the gradients of a batch to those of an update on `words` words."""
        batch = to_device(batch, next(self.model.parameters()).device)
        teacher_forced = self.forcing.draw(ratio, batch.tgt[:, :-1])

        def backward(model: TranslationModel) -> LossOutput:
            output = self.objective(model, batch, teacher_forced, carried)
            self.precision.scaler.scale(output.loss.smoothed / words).backward()  # type: ignore[no-untyped-call]
            return output

        with add_weight_noise(self.model, self.settings.weight_noise):
            loss, state = self.precision.run(self.model, backward)
        return LossTotals.from_loss(loss), state

    def gradient_norm(self) -> Tensor:
        """Return the norm of the gradient."""
        return get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])

    def clip_gradients(self, norm: float) -> None:
        """Clip the gradient to `clip_norm` (Pascanu et al., 2013), given its norm.

        A fused optimiser divides by its `grad_scale` while it reads the gradient, which saves a pass.
        """
        most = self.settings.clip_norm
        ratio = None if most is None or norm <= most else torch.tensor(norm / most)
        if (
            self.optimiser.defaults.get("fused") and not self.precision.scaler.is_enabled()
        ):  # which sets it, too
            self.optimiser.grad_scale = ratio  # type: ignore[attr-defined]
        elif ratio is not None and most is not None:
            clip_grads_with_norm_([*self.model.parameters()], most, torch.tensor(norm))


def _check_update(totals: LossTotals, norm: float, limit: float) -> BadUpdate | None:
    """Return the reason not to apply an update, if there is one."""
    loss = totals.loss / max(totals.tokens, 1)
    for name, value in (("loss", loss), ("gradient norm", norm)):
        if not math.isfinite(value):
            kind = "NaN" if math.isnan(value) else "infinite"
            return BadUpdate(f"the {name} became {kind}", is_spike=False)
    if loss > limit:
        return BadUpdate(f"the loss rose to {loss:.4g}, above the limit of {limit:.4g}", is_spike=True)
    return None


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to a device; `pairs` and lengths stay on the CPU."""
    weights, alignments = (None if t is None else t.to(device) for t in (batch.weights, batch.alignments))
    return batch._replace(
        src=batch.src.to(device), tgt=batch.tgt.to(device), weights=weights, alignments=alignments
    )
