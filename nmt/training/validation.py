"""Validation: the loss under teacher forcing, and scores of free-running translations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from nmt.data.batches import Batch
from nmt.model.translator import TranslationModel
from nmt.training.distributed import SINGLE_PROCESS, Processes
from nmt.training.loss import LossTotals
from nmt.training.objectives.likelihood import Likelihood
from nmt.training.update import to_device


class ValidationResult(NamedTuple):
    """The result of a validation: scores by metric (`loss` always), perplexity, and some outputs."""

    scores: dict[str, float]
    samples: Sequence[Mapping[str, str]]  # texts by name: `src`, `ref` and `hyp`, or `text`
    gates: Mapping[str, float] = {}  # their statistics, if requested


ValidateFunction = Callable[[TranslationModel, str], ValidationResult]
"""A function that validates a model, given the name of the checkpoint."""


@dataclass
class TranslationValidator:
    """An evaluation of a model on the validation pairs.

    `batches` returns all of them once; `translate` translates lines by free-running search; `score` compares
    the translations of `src` with `ref`. Without `translate` only the losses are computed.
    Translations are written to `directory`, one file per validation. Several processes share the work.
    """

    batches: Callable[[], Iterable[Batch]]
    src: Sequence[str]
    ref: Sequence[str]
    translate: Callable[[Sequence[str]], list[str]] | None
    score: Callable[[list[str]], dict[str, float]]
    directory: Path
    samples: int
    processes: Processes = SINGLE_PROCESS

    def __call__(self, model: TranslationModel, name: str) -> ValidationResult:
        """Validate; the mode of the model and the random generators are restored."""
        with evaluation_mode(model):
            scores = sum_losses(model, self.batches(), self.processes).means()
            free_running = sum_losses(model, self.batches(), self.processes, free_running=True)
            scores["free_loss"] = free_running.means()["loss"]
            if self.translate is None:
                return ValidationResult(scores, [])
            hyps = self.processes.map_shared(self.src, self.translate)
        if self.processes.is_first:
            self._write(name, hyps)
        scores |= self.score(hyps)
        count = min(self.samples, len(hyps))
        indices = [i * len(hyps) // count for i in range(count)]  # the same pairs at every validation
        samples = [{"src": self.src[i], "ref": self.ref[i], "hyp": hyps[i]} for i in indices]
        return ValidationResult(scores, samples)

    def _write(self, name: str, hyps: list[str]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{hyp}\n" for hyp in hyps)
        (self.directory / f"{name}.hyp").write_text(text, encoding="utf-8", newline="\n")


def sum_losses(
    model: TranslationModel,
    batches: Iterable[Batch],
    processes: Processes = SINGLE_PROCESS,
    *,
    free_running: bool = False,
) -> LossTotals:
    """Sum the loss of all target words under teacher forcing, or with the model reading its own words."""
    totals, carried, likelihood = LossTotals(), None, Likelihood()
    device = next(model.parameters()).device
    for rows in map(processes.local_rows, batches):
        if rows is None:
            continue
        batch = to_device(rows, device)
        forced = torch.zeros_like(batch.tgt[:, :-1], dtype=torch.bool) if free_running else None
        loss, carried = likelihood(model, batch, forced, carried)
        totals.add(LossTotals.from_loss(loss))
    return totals.sum_over(processes)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients, and restore mode and random generators at the end."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        model.train(was_training)
