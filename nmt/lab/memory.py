"""What a cell remembers: synthetic tasks whose answer lies k positions back."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.cells import find_cell
from nmt.recurrence.layer import Layer, make_cells

NOTHING = -100
"""In what is to be written: no answer is asked for here."""
DIGITS, FIRST, FILLERS, KINDS = 5, 8, 20, 4
TESTED = 512
"""Sequences of each gap on which a cell is tested."""


class Sequences(NamedTuple):
    """What is read and what is to be written at each position, [T, B]; NOTHING where nothing is."""

    read: Tensor
    write: Tensor


class Task(NamedTuple):
    """A task: how many symbols are read and written, and a draw of sequences by generator, gap and number."""

    symbols: int
    answers: int
    chance: float  # of the best answer where nothing has been read
    draw: Callable[[torch.Generator, int, int], Sequences]


def _drawn(generator: torch.Generator, below: int, *shape: int) -> Tensor:
    return torch.randint(below, shape, generator=generator)


def _asked(read: Sequence[Tensor], answer: Tensor) -> Sequences:
    """Parts [n, B] of what is read, one after the other; the answer [1, B] is due at the last position."""
    whole = torch.cat(list(read))
    write = torch.full_like(whole, NOTHING)
    write[-1:] = answer
    return Sequences(whole, write)


def copy(generator: torch.Generator, gap: int, batch: int) -> Sequences:
    """A symbol, a gap of blanks, then it is asked for (after Arjovsky et al., 2016, who use ten symbols)."""
    symbol = _drawn(generator, FIRST, 1, batch)
    return _asked([symbol, _filled(FIRST, gap, batch), _filled(FIRST + 1, 1, batch)], symbol)


def adding(generator: torch.Generator, gap: int, batch: int) -> Sequences:
    """The sum of the two digits that are marked among others (Hochreiter & Schmidhuber, 1997, task 4).

    The first digit is marked, and the one after the gap. Digits stand for real numbers, so that an answer is
    right or wrong.
    """
    digits = _drawn(generator, DIGITS, gap + 2, batch)
    marked = digits.clone()
    marked[[0, -1]] += DIGITS
    return _asked([marked], digits[[0, -1]].sum(0, keepdim=True))


def agreement(generator: torch.Generator, gap: int, batch: int) -> Sequences:
    """The last word follows from the first: "I grew up in France ... I speak fluent French"."""
    country = _drawn(generator, FIRST, 1, batch)
    words = FIRST + _drawn(generator, FILLERS, gap, batch)
    return _asked([country, words, _filled(FIRST + FILLERS, 1, batch)], country)


def brackets(generator: torch.Generator, gap: int, batch: int) -> Sequences:
    """Which bracket or quote is still to be closed: within it others are opened and closed at once."""
    kind = _drawn(generator, KINDS, 1, batch)
    letter = 2 * KINDS
    inner = _drawn(generator, KINDS, gap // 2, batch)
    pairs = torch.stack([inner, inner + KINDS], 1).flatten(0, 1)
    plain = _drawn(generator, 2, gap // 2, batch).bool().repeat_interleave(2, 0)
    within = torch.cat([pairs.where(plain, letter), _filled(letter, gap % 2, batch)])
    return _asked([kind, within, _filled(letter + 1, 1, batch)], kind)


def _filled(symbol: int, positions: int, batch: int) -> Tensor:
    return torch.full((positions, batch), symbol)


TASKS = {
    "copy": Task(FIRST + 2, FIRST, 1 / FIRST, copy),
    "adding": Task(2 * DIGITS, 2 * DIGITS - 1, 1 / DIGITS, adding),
    "agreement": Task(FIRST + FILLERS + 1, FIRST, 1 / FIRST, agreement),
    "brackets": Task(2 * KINDS + 2, KINDS, 1 / KINDS, brackets),
}


class Learner(nn.Module):
    """One layer of a cell between a row of ones and zeros for each symbol, and the answers."""

    def __init__(self, cell: str, task: Task, hidden: int) -> None:
        super().__init__()
        self.symbols = task.symbols
        cells = make_cells([find_cell(cell)], [task.symbols], hidden, layer_norm=False, gate_bias={})
        self.layer = Layer(cells)
        self.output = nn.Linear(hidden, task.answers)

    def forward(self, read: Tensor) -> Tensor:
        """Symbols [T, B] to logits [T, B, answers]."""
        h, _ = self.layer(F.one_hot(read, self.symbols).float(), None)
        logits: Tensor = self.output(h)
        return logits


class Study(NamedTuple):
    """How cells are put to the test."""

    gaps: tuple[int, ...]
    hidden: int
    updates: int
    batch: int = 32
    rate: float = 1e-2  # of Adam at first; it falls to 0 in a straight line
    clip_norm: float = 1.0


class Learnt(NamedTuple):
    """How well a cell has learnt a task: shares of right answers by seed, and in each by gap."""

    task: str
    cell: str
    seeds: list[list[float]]

    @property
    def means(self) -> list[float]:
        """Over the seeds, by gap."""
        return [statistics.fmean(of_gap) for of_gap in zip(*self.seeds, strict=True)]

    @property
    def deviations(self) -> list[float]:
        """Standard deviations over the seeds, by gap; none of one seed."""
        if len(self.seeds) == 1:
            return []
        return [statistics.stdev(of_gap) for of_gap in zip(*self.seeds, strict=True)]


def learnt(
    cells: Sequence[str], tasks: Sequence[str], study: Study, seeds: int, say: Callable[[str], object]
) -> Iterator[Learnt]:
    """Every cell on every task with the seeds from 1; `say` is told what is at work."""
    for task in tasks:
        for cell in cells:
            found = []
            for seed in range(1, seeds + 1):
                say(f"{task}: {cell}, seed {seed} of {seeds}")
                found.append(accuracies(cell, TASKS[task], study, seed))
            yield Learnt(task, cell, found)


def accuracies(cell: str, task: Task, study: Study, seed: int) -> list[float]:
    """The share of right answers for each gap, after learning from sequences of all of them in turn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        learner = Learner(cell, task, study.hidden)
    generator = torch.Generator().manual_seed(seed)
    _learn(learner, _sequences(task, study, generator), study)
    return [_accuracy(learner, task.draw(generator, gap, TESTED)) for gap in study.gaps]


def _sequences(task: Task, study: Study, generator: torch.Generator) -> Iterator[Sequences]:
    """The batches of a learner's life: of one gap each, drawn anew."""
    for _ in range(study.updates):
        gap = study.gaps[int(_drawn(generator, len(study.gaps)))]
        yield task.draw(generator, gap, study.batch)


def _learn(learner: Learner, batches: Iterator[Sequences], study: Study) -> None:
    optimiser = torch.optim.Adam(learner.parameters(), lr=study.rate)
    for update, (read, write) in enumerate(batches):
        optimiser.param_groups[0]["lr"] = study.rate * (1 - update / study.updates)
        optimiser.zero_grad()
        loss = F.cross_entropy(learner(read).flatten(0, 1), write.flatten(), ignore_index=NOTHING)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learner.parameters(), study.clip_norm)
        optimiser.step()


@torch.no_grad()
def _accuracy(learner: Learner, sequences: Sequences) -> float:
    asked = sequences.write != NOTHING
    right = learner(sequences.read).argmax(-1) == sequences.write
    return float(right[asked].float().mean())
