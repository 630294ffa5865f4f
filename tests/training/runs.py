"""A tiny translator from torch's own parts, ten tiny batches, and a run put together from them."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from nmt.data.batches import Batch
from nmt.model.decoder import DecoderOutput
from nmt.settings import Duration
from nmt.training.console import Progress
from nmt.training.guards import Guards
from nmt.training.logging import MetricsLog
from nmt.training.loop import Trainer
from nmt.training.objectives.likelihood import Likelihood, LikelihoodSettings
from nmt.training.optimisers import OptimiserSettings, build_optimiser
from nmt.training.schedules import SCHEDULES, LearningRateSettings, Schedule
from nmt.training.settings import TrainingSettings, TranslationTrainingSettings, TranslationValidationSettings
from nmt.training.teacher_forcing import FORCINGS, TeacherForcing, TeacherForcingSettings
from nmt.training.update import Learner, UpdateSettings
from nmt.training.validation import ValidationResult, evaluation_mode, sum_losses

PAD, BOS, EOS, WORDS = 0, 1, 2, 12
LEARNER = {field.name for field in fields(Learner)} - {"settings"}
UPDATE = {field.name for field in fields(UpdateSettings)}
VALIDATION = {field.name for field in fields(TranslationValidationSettings)}


class Tiny(nn.Module):
    """A GRU cell that reads the mean of the source, with dropout, so that the generators matter."""

    def __init__(self) -> None:
        super().__init__()
        self.pad = PAD
        self.embedding = nn.Embedding(WORDS, 6)
        self.cell = nn.GRUCell(6, 6)
        self.decoder = nn.Module()
        self.decoder.output = nn.Linear(6, WORDS)
        self.decoder.output.weight = self.embedding.weight
        self.dropout = nn.Dropout(0.2)

    def encode(self, src: Tensor) -> Tensor:
        real = (src != PAD).unsqueeze(2)
        return (self.embedding(src) * real).sum(1) / real.sum(1)

    def unroll(
        self,
        memory: Tensor,
        tgt_in: Tensor,
        teacher_forced: Tensor | None = None,
        *,
        sample: bool = False,
        state: None,
        return_weights: bool = False,
    ) -> DecoderOutput:
        h, features = memory, []
        for t, y in enumerate(tgt_in.unbind(1)):
            if t and teacher_forced is not None:
                own = self.decoder.output(h).detach().softmax(-1)
                own = own.multinomial(1).squeeze(1) if sample else own.argmax(-1)
                y = y.where(teacher_forced[:, t], own)
            h = self.cell(self.dropout(self.embedding(y)), h)
            features.append(h)
        return DecoderOutput(torch.stack(features, 1), None)  # type: ignore[arg-type]


def make_batch(index: int) -> Batch:
    """Three pairs of different lengths, the same every time."""
    generator = torch.Generator().manual_seed(index)
    lengths = [2 + index % 3, 3, 1]
    src, tgt = torch.full((3, 6), PAD), torch.full((3, 7), PAD)
    for row, length in enumerate(lengths):
        words = torch.randint(4, WORDS, (length,), generator=generator)
        src[row, : length + 1] = torch.cat([words, torch.tensor([EOS])])
        tgt[row, : length + 2] = torch.cat([torch.tensor([BOS]), words.flip(0), torch.tensor([EOS])])
    counted = torch.tensor(lengths) + 1
    return Batch(src, counted, tgt, counted, torch.arange(3 * index, 3 * index + 3))


class TenBatches:
    """Epochs of ten batches, in an order that is a function of the epoch."""

    def count(self, epoch: int) -> int:
        return 10

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        order = torch.randperm(10, generator=torch.Generator().manual_seed(epoch)).tolist()
        return (make_batch(index) for index in order[start:])

    def corpus_lines(self, batch: Batch) -> list[tuple[str, int]]:
        return [("", pair + 1) for pair in batch.pairs.tolist()]


def make_schedule(
    name: str = "constant", *, span: float = 100.0, size: int = 4, peak: float = 0.01, **changes: Any
) -> Schedule:
    return SCHEDULES[name](LearningRateSettings(schedule=name, peak=peak, **changes), span=span, size=size)


def make_forcing(
    name: str = "always", *, warmup: float = 0.0, span: float = 10.0, **changes: Any
) -> TeacherForcing:
    return FORCINGS[name](TeacherForcingSettings(schedule=name, **changes), warmup=warmup, span=span)


def make_guards(**changes: Any) -> Guards:
    return Guards(**{"skip": 0, "window": 5, "rollbacks": 2, **changes})


def make_settings(**changes: Any) -> TrainingSettings:
    """Settings of training; those of validation are given by their own names, too."""
    of_validation = {name: changes.pop(name) for name in [*changes] if name in VALIDATION}
    rollback = changes.pop("rollback", "none")
    return TranslationTrainingSettings(
        stop_after=changes.pop("stop_after", Duration(3, "e")),
        guards=changes.pop("guards", make_guards()),
        learning_rate=LearningRateSettings(rollback=rollback),
        validation=TranslationValidationSettings(metric=of_validation.pop("metric", "loss"), **of_validation),
        **changes,
    )


def validate(model: Any, name: str) -> ValidationResult:
    """The loss, and a BLEU that is some function of the weights."""
    with evaluation_mode(model):
        scores = sum_losses(model, [make_batch(index) for index in range(20, 23)]).means()
    scores["bleu"] = 100 * scores["accuracy"]
    return ValidationResult(scores, [{"src": "ein Hund", "ref": "a dog", "hyp": "a cat"}])


def make_learner(**parts: Any) -> Learner:
    """A learner of a new tiny model, or of the one that is given."""
    torch.manual_seed(7)
    model = parts.pop("model", None) or Tiny()
    name = parts.pop("optimiser", "adam")
    settings = OptimiserSettings(optimiser=name, betas=(0.9, 0.98), momentum=0.9, weight_decay=1e-4)
    optimiser = build_optimiser(model, settings)
    forcing = parts.pop("forcing", None) or make_forcing()
    everything = {
        "model": model,
        "optimiser": optimiser,
        "objective": Likelihood(
            settings=LikelihoodSettings(label_smoothing=0.1), sample=forcing.settings.feedback == "sample"
        ),
        "forcing": forcing,
        "settings": UpdateSettings(**{name: parts.pop(name) for name in [*parts] if name in UPDATE}),
    }
    return Learner(**{**everything, **parts})


def make_training(run: Path, **parts: Any) -> Trainer:
    """A run in a folder, from new objects only, as a new process would make it."""
    of_learner = {name: parts.pop(name) for name in [*parts] if name in LEARNER}
    everything = {
        "learner": make_learner(**of_learner),
        "epochs": TenBatches(),
        "validator": validate,
        "schedule": make_schedule(),
        "settings": make_settings(**parts.pop("settings", {})),
        "checkpoints": run / "checkpoints",
        "metrics": MetricsLog(run / "metrics.jsonl"),
        "log_every": 3,
        "progress": Progress(run / "train.log", Console(quiet=True)),
    }
    return Trainer(**{**everything, **parts})
