"""The weights that are judged and kept: those that learn, or their moving average."""

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
    """The weights that learn, judged and kept as they are."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def follow(self, update: int) -> None:
        """The weights are now those after this update."""

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Within the block the model has the weights that are to be judged."""
        yield

    def capture(self) -> tuple[Tensors, Tensors]:
        """The weights that are kept, and what else the trainer needs of them."""
        return model_tensors(self.model), {}

    def restore(self, kept: Tensors, trainer: Tensors) -> None:
        """Put everything back to where `capture` saw it; DataError if it is of another model."""
        load_model_tensors(self.model, kept)


class MovingAverage(EvaluationWeights):
    """An exponential moving average of the weights θ (Polyak & Juditsky, 1992) is judged and kept:

        m_u = d m_(u-1) + (1 - d) θ_u        d = min(decay, (1 + u) / (10 + u))

    so that the first weights, which are random, are soon forgotten. θ stays with the trainer.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay
        self.learning = dict(model.named_parameters())
        self.means = {name: parameter.detach().clone() for name, parameter in self.learning.items()}

    def follow(self, update: int) -> None:
        decay = min(self.decay, (1 + update) / (10 + update))
        for name, parameter in self.learning.items():
            self.means[name].lerp_(parameter.detach(), 1 - decay)

    @contextmanager
    def judged(self) -> Iterator[None]:
        raw = {name: parameter.detach().clone() for name, parameter in self.learning.items()}
        self._load(self.means)
        try:
            yield
        finally:
            self._load(raw)

    def capture(self) -> tuple[Tensors, Tensors]:
        raw, others = super().capture()
        return raw | self.means, others | {f"{RAW}{name}": raw[name] for name in self.means}

    def restore(self, kept: Tensors, trainer: Tensors) -> None:
        super().restore(kept, trainer)
        for name, mean in self.means.items():
            mean.copy_(kept[name])
        self._load({name: trainer[f"{RAW}{name}"] for name in self.means})

    @torch.no_grad()
    def _load(self, values: Tensors) -> None:
        for name, parameter in self.learning.items():
            parameter.copy_(values[name])


def evaluation_weights(model: nn.Module, decay: float | None) -> EvaluationWeights:
    """A model's weights as they are, or with a decay their moving average."""
    return EvaluationWeights(model) if decay is None else MovingAverage(model, decay)


def mean_weights(checkpoints: Sequence[Path]) -> Tensors:
    """The mean weights, summed in float64; DataError if a checkpoint is torn or of another model."""
    if not checkpoints:
        raise UsageError("no checkpoint to average")
    first, _ = read_model(checkpoints[0])
    sums = {name: tensor.double() for name, tensor in first.items()}
    for directory in checkpoints[1:]:
        tensors, _ = read_model(directory)
        _check_same(first, tensors, checkpoints[0], directory)
        for name, tensor in tensors.items():
            sums[name] += tensor
    means = {name: total / len(checkpoints) for name, total in sums.items()}
    return {name: means[name].to(tensor.dtype) for name, tensor in first.items()}


def _check_same(first: Tensors, other: Tensors, here: Path, there: Path) -> None:
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in (first, other)]
    odd = sorted(name for name in first.keys() | other.keys() if shapes[0].get(name) != shapes[1].get(name))
    if odd:
        raise DataError(f"{there}: not the model of {here}: {odd[0]} differs ({len(odd)} tensors do)")
