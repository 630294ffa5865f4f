"""Synthetic memory tasks, whose answer depends on the input k positions earlier, and accuracies of cells."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.console import format_clock
from nmt.recurrence.layer import Layer, StackSettings, build_cells

NO_TARGET = -100  # the target of positions without an answer
DIGITS, SYMBOLS, FILLERS, BRACKETS = 5, 8, 20, 4
TEST_SEQUENCES = 512  # per gap


class TaskBatch(NamedTuple):
    """Input symbols and target answers, [T, B]; NO_TARGET if there is none."""

    inputs: Tensor
    targets: Tensor


class MemoryTask(NamedTuple):
    """A synthetic task, and the function that draws a batch by generator, gap and size."""

    symbols: int  # of the input
    answers: int
    chance: float  # accuracy of the best constant answer
    draw: Callable[[torch.Generator, int, int], TaskBatch]


def _draw(generator: torch.Generator, below: int, *shape: int) -> Tensor:
    return torch.randint(below, shape, generator=generator)


def _build_batch(answer: Tensor, *parts: Tensor) -> TaskBatch:
    """Concatenate parts [n, B] of the input; the answer [1, B] is the target of the last position."""
    inputs = torch.cat(parts)
    targets = torch.full_like(inputs, NO_TARGET)
    targets[-1:] = answer
    return TaskBatch(inputs, targets)


def _repeat_symbol(symbol: int, positions: int, batch: int) -> Tensor:
    return torch.full((positions, batch), symbol)


def draw_copy(generator: torch.Generator, gap: int, batch: int) -> TaskBatch:
    """Recall a symbol after a gap of blanks (after Arjovsky et al., 2016, who use ten symbols)."""
    symbol = _draw(generator, SYMBOLS, 1, batch)
    return _build_batch(
        symbol, symbol, _repeat_symbol(SYMBOLS, gap, batch), _repeat_symbol(SYMBOLS + 1, 1, batch)
    )


def draw_adding(generator: torch.Generator, gap: int, batch: int) -> TaskBatch:
    """Add two marked digits among others (Hochreiter & Schmidhuber, 1997, task 4).

    The first digit is marked, and the one after the gap. Digits replace real numbers, so that an answer is
    either correct or not.
    """
    digits = _draw(generator, DIGITS, gap + 2, batch)
    marked = digits.clone()
    marked[[0, -1]] += DIGITS
    return _build_batch(digits[[0, -1]].sum(0, keepdim=True), marked)


def draw_agreement(generator: torch.Generator, gap: int, batch: int) -> TaskBatch:
    """Predict the last word from the first: "I grew up in France ... I speak fluent French"."""
    country = _draw(generator, SYMBOLS, 1, batch)
    words = SYMBOLS + _draw(generator, FILLERS, gap, batch)
    return _build_batch(country, country, words, _repeat_symbol(SYMBOLS + FILLERS, 1, batch))


def draw_brackets(generator: torch.Generator, gap: int, batch: int) -> TaskBatch:
    """Find the bracket that is still open; inside it others are opened and closed immediately."""
    kind = _draw(generator, BRACKETS, 1, batch)
    letter = 2 * BRACKETS
    inner = _draw(generator, BRACKETS, gap // 2, batch)
    pairs = torch.stack([inner, inner + BRACKETS], 1).flatten(0, 1)
    plain = _draw(generator, 2, gap // 2, batch).bool().repeat_interleave(2, 0)
    last = _repeat_symbol(letter, gap % 2, batch), _repeat_symbol(letter + 1, 1, batch)
    return _build_batch(kind, kind, pairs.where(plain, letter), *last)


TASKS = {
    "copy": MemoryTask(SYMBOLS + 2, SYMBOLS, 1 / SYMBOLS, draw_copy),
    "adding": MemoryTask(2 * DIGITS, 2 * DIGITS - 1, 1 / DIGITS, draw_adding),
    "agreement": MemoryTask(SYMBOLS + FILLERS + 1, SYMBOLS, 1 / SYMBOLS, draw_agreement),
    "brackets": MemoryTask(2 * BRACKETS + 2, BRACKETS, 1 / BRACKETS, draw_brackets),
}


class MemoryModel(nn.Module):
    """One layer of a cell between one-hot symbols and the answers."""

    def __init__(self, cell: str, task: MemoryTask, hidden: int) -> None:
        super().__init__()
        self.symbols = task.symbols
        self.layer = Layer(build_cells(StackSettings(cell=cell, hidden=hidden), [task.symbols]))
        self.output = nn.Linear(hidden, task.answers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map symbols [T, B] to logits [T, B, answers]."""
        h, _ = self.layer(F.one_hot(inputs, self.symbols).float(), None)
        logits: Tensor = self.output(h)
        return logits


class MemorySettings(NamedTuple):
    """Settings of a memory test."""

    gaps: tuple[int, ...]
    hidden: int
    updates: int
    batch: int = 32
    rate: float = 1e-2  # initial learning rate of Adam; it decays linearly to 0
    clip_norm: float = 1.0


class MemoryResult(NamedTuple):
    """Accuracies of a cell on a task, by seed and gap."""

    task: str
    cell: str
    seeds: list[list[float]]

    @property
    def means(self) -> list[float]:
        """The mean over seeds, by gap."""
        return [statistics.fmean(of_gap) for of_gap in zip(*self.seeds, strict=True)]

    @property
    def deviations(self) -> list[float]:
        """The standard deviation over seeds, by gap; empty for one seed."""
        if len(self.seeds) == 1:
            return []
        return [statistics.stdev(of_gap) for of_gap in zip(*self.seeds, strict=True)]


def measure_memory(
    cells: Sequence[str],
    tasks: Sequence[str],
    settings: MemorySettings,
    seeds: int,
    report: Callable[[str], object],
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[MemoryResult]:
    """Test every cell on every task with the seeds from 1; `report` is called with progress and time left."""
    start, done, total = clock(), 0, len(tasks) * len(cells) * seeds * settings.updates

    def count(subject: str) -> None:
        nonlocal done
        done += 1
        remaining = (clock() - start) * (total - done) / done
        report(f"{subject}, update {done:,} of {total:,}, ETA {format_clock(remaining)}")

    for task in tasks:
        for cell in cells:
            by_seed = []
            for seed in range(1, seeds + 1):
                advance = partial(count, f"{task}: {cell}, seed {seed} of {seeds}")
                by_seed.append(measure_accuracies(cell, TASKS[task], settings, seed, advance))
            yield MemoryResult(task, cell, by_seed)


def measure_accuracies(
    cell: str,
    task: MemoryTask,
    settings: MemorySettings,
    seed: int,
    advance: Callable[[], object] = lambda: None,
) -> list[float]:
    """Train on all gaps in random order, each batch of one gap, and measure the accuracy at each.

    `advance` is called after each update.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MemoryModel(cell, task, settings.hidden)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.rate)
    for update in range(settings.updates):
        gap = settings.gaps[int(_draw(generator, len(settings.gaps)))]
        inputs, targets = task.draw(generator, gap, settings.batch)
        optimiser.param_groups[0]["lr"] = settings.rate * (1 - update / settings.updates)
        optimiser.zero_grad()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=NO_TARGET)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        advance()
    accuracies = []
    with torch.no_grad():
        for gap in settings.gaps:
            inputs, targets = task.draw(generator, gap, TEST_SEQUENCES)
            correct = (model(inputs).argmax(-1) == targets)[targets != NO_TARGET]
            accuracies.append(correct.float().mean().item())
    return accuracies
