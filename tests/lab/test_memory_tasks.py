"""Synthetic memory tasks: their batches, and the accuracies of cells."""

import math

import pytest
import torch

from nmt.console import format_clock
from nmt.lab.memory_tasks import (
    BRACKETS,
    DIGITS,
    NO_TARGET,
    TASKS,
    MemoryModel,
    MemoryResult,
    MemorySettings,
    measure_accuracies,
    measure_memory,
)

SMALL = MemorySettings((2, 3), hidden=8, updates=5)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lines(task: str, gap: int, batch: int = 64) -> list[tuple[list[int], list[int], list[int]]]:
    """What is read, at which positions an answer is due, and the answers, sequence by sequence."""
    read, write = TASKS[task].draw(generator(), gap, batch)
    rows = zip(read.t().tolist(), write.t().tolist(), strict=True)
    return [
        (
            symbols,
            [t for t, a in enumerate(answers) if a != NO_TARGET],
            [a for a in answers if a != NO_TARGET],
        )
        for symbols, answers in rows
    ]


@pytest.mark.parametrize("gap", [1, 2, 7])
def test_copy_asks_for_the_first_symbol_after_a_gap_of_blanks(gap: int) -> None:
    for symbols, due, answers in lines("copy", gap):
        assert len(symbols) == gap + 2
        assert (due, answers) == ([gap + 1], symbols[:1])
        assert len({*symbols[1:-1]}) == 1
        assert len({symbols[0], symbols[1], symbols[-1]}) == 3


@pytest.mark.parametrize("gap", [1, 2, 7])
def test_adding_marks_two_digits_with_the_gap_between_them(gap: int) -> None:
    for symbols, due, answers in lines("adding", gap):
        marked = [t for t, symbol in enumerate(symbols) if symbol >= DIGITS]
        assert marked == [0, gap + 1]
        assert due == [gap + 1]
        assert answers == [sum(symbols[t] - DIGITS for t in marked)]


@pytest.mark.parametrize("gap", [1, 2, 7])
def test_agreement_asks_for_the_first_word_after_others(gap: int) -> None:
    for symbols, due, answers in lines("agreement", gap):
        assert len(symbols) == gap + 2
        assert (due, answers) == ([gap + 1], symbols[:1])
        assert symbols[0] not in symbols[1:]


@pytest.mark.parametrize("gap", [1, 2, 7])
def test_brackets_ask_for_the_only_one_that_is_open(gap: int) -> None:
    for symbols, due, answers in lines("brackets", gap):
        open_now: list[int] = []
        for symbol in symbols[:-1]:
            if symbol < BRACKETS:
                open_now.append(symbol)
            elif symbol < 2 * BRACKETS:
                assert open_now.pop() == symbol - BRACKETS
        assert len(symbols) == gap + 2
        assert (due, answers) == ([gap + 1], open_now)


@pytest.mark.parametrize("task", TASKS)
def test_symbols_and_answers_are_within_what_a_task_declares(task: str) -> None:
    read, write = TASKS[task].draw(generator(), 9, 512)
    answers = write[write != NO_TARGET]
    assert (int(read.min()), int(read.max())) >= (0, 0)
    assert int(read.max()) < TASKS[task].symbols
    assert set(answers.tolist()) == set(range(TASKS[task].answers))
    best = answers.bincount().max().item() / len(answers)
    assert best == pytest.approx(TASKS[task].chance, abs=0.06)


def test_a_learner_s_answer_reads_no_later_symbol() -> None:
    learner, task = MemoryModel("lstm", TASKS["copy"], 4), TASKS["copy"]
    read = task.draw(generator(), 4, 3).inputs
    changed = read.clone()
    changed[-1] = 0
    with torch.no_grad():
        assert torch.equal(learner(read)[:-1], learner(changed)[:-1])


def test_the_same_seed_gives_the_same_accuracies_and_draws_nothing_else() -> None:
    before = torch.get_rng_state()
    first, again, other = (measure_accuracies("gru", TASKS["brackets"], SMALL, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert torch.equal(before, torch.get_rng_state())


def test_every_cell_meets_every_task_with_every_seed() -> None:
    said: list[str] = []
    seconds = iter(range(100_000))
    clock = lambda: float(next(seconds))  # noqa: E731
    found = list(measure_memory(["rnn", "gru"], ["copy", "adding"], SMALL, 2, said.append, clock))
    assert [(of.task, of.cell) for of in found] == [
        ("copy", "rnn"), ("copy", "gru"), ("adding", "rnn"), ("adding", "gru")
    ]  # fmt: skip
    assert all(len(of.seeds) == 2 and len(of.means) == 2 for of in found)
    updates = SMALL.updates
    assert len(said) == 8 * updates
    assert said[0].startswith(f"copy: rnn, seed 1 of 2, update 1 of {8 * updates:,}, ETA ")
    assert said[updates].startswith("copy: rnn, seed 2 of 2, ")
    assert said[-1].endswith("ETA 0:00")
    assert said[updates].endswith(f"ETA {format_clock(7 * updates - 1)}")  # an update takes a second


def test_means_and_deviations_are_over_the_seeds() -> None:
    found = MemoryResult("copy", "gru", [[1.0, 0.5], [0.5, 0.5]])
    assert found.means == [0.75, 0.5]
    assert found.deviations == pytest.approx([math.sqrt(0.125), 0.0])
    assert MemoryResult("copy", "gru", [[1.0, 0.5]]).deviations == []


def test_a_gru_learns_to_hold_a_symbol() -> None:
    settings = MemorySettings((2, 5), hidden=16, updates=100, batch=16, rate=2e-2)
    assert min(measure_accuracies("gru", TASKS["copy"], settings, 1)) > 0.95


@pytest.mark.slow
def test_a_gru_holds_over_200_positions_what_a_plain_rnn_loses() -> None:
    """Training differs by processor, so the margins are wide.

    With seeds 1 to 5 the RNN reaches 1.00 near and 0.00 to 0.91 far; with seeds 1 to 12 the GRU, at the
    higher rate that only it bears, reaches 1.00 near and far, except for one seed: it may try a second one.
    """
    settings = MemorySettings((10, 200), hidden=32, updates=300)
    rnn = measure_accuracies("rnn", TASKS["copy"], settings, 1)
    assert rnn[0] > 0.95
    assert rnn[1] < 0.95
    settings = MemorySettings((10, 200), hidden=32, updates=400, batch=16, rate=2e-2)
    assert any(min(measure_accuracies("gru", TASKS["copy"], settings, seed)) > 0.95 for seed in (1, 2))


@pytest.mark.slow
def test_gated_cells_close_a_bracket_after_200_positions() -> None:
    """One of two seeds, since training differs by processor.

    Nothing is claimed of the plain RNN: with seed 1 it failed on one processor; on another, five of six seeds
    closed every bracket.
    """
    settings = MemorySettings((10, 200), hidden=32, updates=500)
    for cell in ("lstm", "gru"):
        assert any(measure_accuracies(cell, TASKS["brackets"], settings, seed)[1] > 0.9 for seed in (1, 2))
