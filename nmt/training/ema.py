"""Averages of weights: an exponential moving average during training, and the mean of checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from nmt.errors import DataError, UsageError
from nmt.training.checkpoint import Tensors, read_model
from nmt.training.snapshot import load_model_tensors, model_tensors

RAW = "weights/"


class EvaluationWeights:
    """The weights that are validated and saved: here the trained ones themselves."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def update(self, update: int) -> None:
        """Follow the trained weights after an update."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model these weights within the context."""
        yield

    def capture(self) -> tuple[Tensors, Tensors]:
        """Return the weights to save, and further tensors that training needs."""
        return model_tensors(self.model), {}

    def restore(self, model: Tensors, trainer: Tensors) -> None:
        """Restore what `capture` returned; DataError if it belongs to a different model."""
        load_model_tensors(self.model, model)


class MovingAverage(EvaluationWeights):
    """An exponential moving average of the weights θ (Polyak & Juditsky, 1992):

        m_u = d m_(u-1) + (1 - d) θ_u        d = min(decay, (1 + u) / (10 + u))

    The smaller d of the first updates forgets the random initial weights. θ is saved with the trainer.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay
        self.parameters = dict(model.named_parameters())
        self.means = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}

    def update(self, update: int) -> None:
        decay = min(self.decay, (1 + update) / (10 + update))
        for name, parameter in self.parameters.items():
            self.means[name].lerp_(parameter.detach(), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        raw = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._load(self.means)
        try:
            yield
        finally:
            self._load(raw)

    def capture(self) -> tuple[Tensors, Tensors]:
        raw, others = super().capture()
        return raw | self.means, others | {f"{RAW}{name}": raw[name] for name in self.means}

    def restore(self, model: Tensors, trainer: Tensors) -> None:
        super().restore(model, trainer)
        for name, mean in self.means.items():
            mean.copy_(model[name])
        self._load({name: trainer[f"{RAW}{name}"] for name in self.means})

    @torch.no_grad()
    def _load(self, values: Tensors) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])


def evaluation_weights(model: nn.Module, decay: float | None) -> EvaluationWeights:
    """Return the trained weights themselves, or with a decay their moving average."""
    return EvaluationWeights(model) if decay is None else MovingAverage(model, decay)


def mean_weights(checkpoints: Sequence[Path]) -> Tensors:
    """Return the mean of checkpoints, summed in float64; DataError if one is damaged or of another model."""
    if not checkpoints:
        raise UsageError("no checkpoints to average")
    first, _ = read_model(checkpoints[0])
    sums = {name: tensor.double() for name, tensor in first.items()}
    for directory in checkpoints[1:]:
        tensors, _ = read_model(directory)
        _check_same_shapes(first, tensors, checkpoints[0], directory)
        for name, tensor in tensors.items():
            sums[name] += tensor
    return {name: (sums[name] / len(checkpoints)).to(tensor.dtype) for name, tensor in first.items()}


def _check_same_shapes(first: Tensors, other: Tensors, first_path: Path, other_path: Path) -> None:
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in (first, other)]
    names = sorted(name for name in first.keys() | other.keys() if shapes[0].get(name) != shapes[1].get(name))
    if names:
        raise DataError(
            f"{other_path}: not the same model as {first_path}: {names[0]} ({len(names)} tensors differ)"
        )
