"""What a cell's equations ask for: which recurrent products read the same operand."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nmt.cells.cell import Cell
from nmt.errors import UsageError


def plan(cell: Cell) -> list[tuple[str, ...]]:
    """Gates whose recurrent products can be one matrix product, in the order of the step.

    `step` is run once on a zero state and watched: LSTM gives [(i, f, g, o)], Cho's GRU
    [(r, z), (n,)] because n reads r∘h, which is known only after r.
    """
    operands: list[Tensor] = []
    groups: list[list[str]] = []

    def watch(gate: str) -> Any:
        def product(v: Tensor) -> Tensor:
            for operand, group in zip(operands, groups, strict=True):
                if operand is v:
                    group.append(gate)
                    return torch.zeros_like(v)
            operands.append(v)
            groups.append([gate])
            return torch.zeros_like(v)

        return product

    with torch.no_grad():
        x = cell.split(cell.b.new_zeros(1, len(cell.b)))
        _check(cell, cell.step(x, cell.initial_state(1), cell.by_product(*map(watch, cell.recurrent))))
    return [tuple(dict.fromkeys(sorted(group, key=cell.recurrent.index))) for group in groups]


_KNOWN: dict[type[Cell], tuple[tuple[str, ...], ...]] = {}


def known_plan(cell: Cell) -> tuple[tuple[str, ...], ...]:
    """The plan of the cell's class, watched once: a search binds its cells anew at every position."""
    if type(cell) not in _KNOWN:
        _KNOWN[type(cell)] = tuple(plan(cell))
    return _KNOWN[type(cell)]


def try_step(cell: Cell) -> None:
    """Run a cell's step once; UsageError names the cell, the line and the reason if it cannot be run."""
    with blaming(cell, "fails"):
        plan(cell)


@contextmanager
def blaming(cell: Cell, what: str, advice: str = "") -> Iterator[None]:
    """What goes wrong inside a cell's step becomes a UsageError that names the cell and the line."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        where = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == "step"]
        if not where:
            raise
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the step of {type(cell).__name__} {what}: {type(error).__name__}: {reason} "
            f"({where[-1].filename}, line {where[-1].lineno}){advice}"
        ) from error


def _check(cell: Cell, state: Any) -> None:
    """A step gives the cell's State, every part [B, H]."""
    name = type(cell).__name__
    if not isinstance(state, cell.State):
        raise UsageError(f"the step of {name} gives a {type(state).__name__}, not a {name}.State")
    for part, value in state._asdict().items():
        if value.shape != (1, cell.hidden_size):
            raise UsageError(f"the step of {name} gives {part} of shape {list(value.shape)}, not [B, H]")
