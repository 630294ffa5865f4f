"""What a cell's equations ask for: which recurrent products read the same operand."""

from typing import Any

import torch
from torch import Tensor

from nmt.cells.cell import Cell


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
        x = cell.split(cell.U.new_zeros(1, cell.U.shape[0]))
        cell.step(x, cell.initial_state(1), cell.by_gate(*map(watch, cell.gates)))
    return [tuple(dict.fromkeys(sorted(group, key=cell.gates.index))) for group in groups]
