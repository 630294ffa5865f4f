"""Recurrent cells, each written as the equations of one step, and the table of their names."""

import re
from pathlib import Path

from nmt.cells.cell import Cell
from nmt.cells.elementwise import LRN, QRNN, SRU, SSRU, IndRNN, MinGRU, MinLSTM
from nmt.cells.gru import GRU, ResetAfterGRU
from nmt.cells.lstm import LSTM, CoupledLSTM, MultiplicativeLSTM, PeepholeLSTM
from nmt.cells.minimal import ATR, MGU, NoResetGRU
from nmt.cells.rnn import RHN, RNN, ReluRNN
from nmt.errors import UsageError, suggestion
from nmt.trust import load_module, trust_file

CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "rnn-relu": ReluRNN,
    "rhn": RHN,
    "lstm": LSTM,
    "lstm-peephole": PeepholeLSTM,
    "lstm-coupled": CoupledLSTM,
    "mlstm": MultiplicativeLSTM,
    "gru": GRU,
    "gru-reset-after": ResetAfterGRU,
    "gru-no-reset": NoResetGRU,
    "mgu": MGU,
    "atr": ATR,
    "indrnn": IndRNN,
    "qrnn": QRNN,
    "sru": SRU,
    "ssru": SSRU,
    "lrn": LRN,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
}
CELL_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")
"""The name of a user-defined cell."""


def find_cell(name: str) -> type[Cell]:
    """Find the class of a cell: a name of the table, or `FILE.py:Class` for a user-defined one.

    Raises DataError if the file is not trusted (`nmt.trust`), before any of it runs, and UsageError if the
    file, the class or a part of its declaration is missing.
    """
    if name in CELLS:
        return CELLS[name]
    if not (match := CELL_FILE.fullmatch(name)):
        raise UsageError(f"no cell '{name}', {suggestion(name, list(CELLS))}")
    file, class_name = match["file"], match["name"]
    cell = getattr(load_module(Path(file)), class_name, None)
    if cell is None:
        raise UsageError(f"cell {name}: {file} has no class {class_name}")
    if not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise UsageError(f"cell {name}: {class_name} is not a subclass of nmt.cells.cell.Cell")
    check_declaration(cell, name)
    return cell


def check_declaration(cell: type[Cell], name: str) -> None:
    """Raise UsageError for a cell class that lacks a part of its declaration."""
    for attribute in ("gates", "State", "step"):
        if not hasattr(cell, attribute):
            raise UsageError(f"cell {name}: {cell.__name__} does not declare `{attribute}`")


def find_named_cell(name: str) -> type[Cell]:
    """Find the class of a cell that the user has named for this command, whose file is therefore trusted."""
    if match := CELL_FILE.fullmatch(name):
        trust_file(Path(match["file"]))
    return find_cell(name)


def cell_name(kind: type[Cell]) -> str:
    """Return a cell's name in the table, else the name of its class."""
    return next((name for name, known in CELLS.items() if known is kind), kind.__name__)
