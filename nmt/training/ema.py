"""Averages of weights: an exponential moving average during training, and the mean of checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from nmt.errors import DataError, UsageError
from nmt.training.checkpoint import Tensors, read_model
from nmt.training.snapshot import collect_model_tensors, load_model_tensors

RAW = "weights/"


class EvaluationWeights:
    """The weights that are validated and saved: the trained ones θ, or with a decay their moving average.

    The exponential moving average (Polyak & Juditsky, 1992) after update u is

        m_u = d m_(u-1) + (1 - d) θ_u        d = min(decay, (1 + u) / (10 + u))

    The smaller d of the first updates discounts the random initial weights. θ is saved with the trainer.
    """

    def __init__(self, model: nn.Module, decay: float | None) -> None:
        self.model, self.decay = model, decay
        self.parameters = dict(model.named_parameters()) if decay is not None else {}  # those averaged
        self.means = self._copy()

    def update(self, update: int) -> None:
        """Update the average after an update."""
        for name, parameter in self.parameters.items():
            decay = min(self.decay or 0.0, (1 + update) / (10 + update))
            self.means[name].lerp_(parameter.detach(), 1 - decay)

    @contextmanager
    def apply(self) -> Iterator[None]:
        """Load these weights into the model within the context."""
        raw = self._copy()
        self._load(self.means)
        try:
            yield
        finally:
            self._load(raw)

    def capture(self) -> tuple[Tensors, Tensors]:
        """Return the weights to save, and further tensors that training needs."""
        raw = collect_model_tensors(self.model)
        return raw | self.means, {f"{RAW}{name}": raw[name] for name in self.means}

    def restore(self, model: Tensors, trainer: Tensors) -> None:
        """Restore what `capture` returned; DataError if it belongs to a different model."""
        load_model_tensors(self.model, model)
        for name, mean in self.means.items():
            mean.copy_(model[name])
        self._load({name: trainer[f"{RAW}{name}"] for name in self.means})

    def _copy(self) -> Tensors:
        return {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def _load(self, values: Tensors) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])


def average_weights(checkpoints: Sequence[Path]) -> Tensors:
    """Return the mean of checkpoints, summed in float64; DataError if one is damaged or of another model."""
    if not checkpoints:
        raise UsageError("no checkpoints to average")
    first, _ = read_model(checkpoints[0])
    sums = {name: tensor.double() for name, tensor in first.items()}
    for directory in checkpoints[1:]:
        tensors, _ = read_model(directory)
        shapes, others = ({name: t.shape for name, t in part.items()} for part in (first, tensors))
        if names := sorted(n for n in shapes | others if shapes.get(n) != others.get(n)):
            raise DataError(
                f"{directory}: not the same model as {checkpoints[0]}: {names[0]} "
                f"({len(names)} tensors differ)"
            )
        for name, tensor in tensors.items():
            sums[name] += tensor
    return {name: (sums[name] / len(checkpoints)).to(tensor.dtype) for name, tensor in first.items()}
