"""Cell classes of notebooks are written to a file with what they use, or refused."""

import linecache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.api.cell_source import name_cell
from nmt.cells import CELLS, find_named_cell
from nmt.errors import UsageError
from tests.recurrence.test_recurrent import Leaky

IMPORTS = """
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor as T
from torch import tanh

import nmt
"""
SQUASH = """
LEAK, unused = 0.25, object()

def squash(v):
    return F.softsign(v) * SCALE

SCALE = 2
"""
CELL = """
class Base(nmt.Cell):
    gates = ("n",)

    class State(NamedTuple):
        h: T


class Slow(Base):
    '''A leaky unit.'''

    bias = {"n": math.log(2)}

    def step(self, x, s, U):
        return self.State(h=LEAK * squash(x.n + U.n(s.h)) + (1 - LEAK) * tanh(s.h))
"""
numbers = count()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run_cells(*cells: str) -> dict[str, Any]:
    """Run code as the cells of a notebook."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        file = f"<notebook-{next(numbers)}>"
        linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
        exec(compile(cell, file, "exec"), scope)
    return scope


def test_a_class_of_a_notebook_becomes_a_file_with_what_it_uses() -> None:
    kind = run_cells(IMPORTS, SQUASH, CELL)["Slow"]
    name = name_cell(kind)
    assert name == name_cell(kind)
    text = Path(name.rpartition(":")[0]).read_text(encoding="utf-8")
    assert "unused" not in text
    assert "from torch import Tensor as T" in text
    again = find_named_cell(name)
    torch.manual_seed(1)
    cell, x = kind(3, 4), torch.randn(2, 3)
    other = again(3, 4)
    other.load_state_dict(cell.state_dict())
    assert torch.equal(cell(x).h, other(x).h)
    assert again.bias == kind.bias


SHADOWED = """
x, s, U, h, bias, gates = nmt, object(), [], {}, object(), object()
"""


def test_parameters_may_have_the_names_of_variables_of_the_notebook() -> None:
    kind = run_cells(IMPORTS, SQUASH, SHADOWED, CELL.replace("x.n +", "(h := x.n) +"))["Slow"]
    path = name_cell(kind).rpartition(":")[0]
    assert "object" not in Path(path).read_text(encoding="utf-8")


def test_decorators_are_kept() -> None:
    kind = run_cells(
        IMPORTS, "from typing import final", SQUASH, CELL.replace("class Slow", "@final\nclass Slow")
    )
    name = name_cell(kind["Slow"])
    assert find_named_cell(name).__final__


def test_classes_of_the_package_and_of_modules_have_names() -> None:
    assert name_cell(CELLS["gru"]) == "gru"
    assert name_cell(Leaky) == f"{Path(__file__).parents[1] / 'recurrence' / 'test_recurrent.py'}:Leaky"


LOST = "\nstate = {}\n" + CELL.replace("math.log(2)", "state.get(0, 1)")
INNER = """
def build():
    class Inner(nmt.Cell):
        def step(self, x, s, U): ...
    return Inner

Slow = build()
"""


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([LOST], "it uses state, which is no import, constant, function or cell"),
        ([INNER], "it is defined in a function or a class"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_what_to_do(cells: list[str], reason: str) -> None:
    kind = run_cells(IMPORTS, SQUASH, *cells)["Slow"]
    with pytest.raises(UsageError) as refused:
        name_cell(kind)
    assert reason in str(refused.value)
    assert "write it into a file, and name it as" in str(refused.value)


def test_code_without_a_source_is_refused() -> None:
    scope = run_cells(IMPORTS, SQUASH)
    exec(compile(CELL, "<stdin>", "exec"), scope)
    with pytest.raises(UsageError, match="the source of Slow is not known"):
        name_cell(scope["Slow"])
