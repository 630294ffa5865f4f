"""The cells of the default run: one of each structure. Tests of the others are marked slow."""

from collections.abc import Container, Iterable
from typing import Any

import pytest

from nmt.cells import CELLS

STRUCTURES = (
    "lstm",  # one product, two fields
    "lstm-peephole",  # vectors
    "gru",  # a product that reads a gate
    "gru-reset-after",  # a bias inside a product
    "rhn",  # products without an input
    "qrnn",  # no product, linear
    "sru",  # no product, not linear
)


def mark_slow(values: Iterable[Any], *, default: Container[Any]) -> list[Any]:
    """Mark the values that are not in the default run; a tuple is the values of several parameters."""
    return [
        value
        if value in default
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
        for value in values
    ]


CELL_GRID = mark_slow(CELLS, default=STRUCTURES)
