from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nmt.cells import CELLS
from nmt.cli.app import app
from tests.grid import mark_slow


def nmt(*words: str) -> Result:
    return CliRunner().invoke(app, ["cell", *words])


def test_ls_names_every_cell_with_what_it_is() -> None:
    lines = nmt("ls").stdout.splitlines()
    first = [line.split() for line in lines if not line.startswith(" ")]  # the others go on from these
    assert [words[0] for words in first] == list(CELLS)
    assert all(len(words) > 3 for words in first)


def test_show_prints_equations_sizes_and_steps() -> None:
    result = nmt("show", "gru", "--input", "3", "--hidden", "4")
    assert result.exit_code == 0
    for part in (
        "n = tanh(x.n + U.n(r * s.h))",
        "[12, 3]",  # W
        "product      [8, 4] by s.h: gates r z, added to x in place",
        "product      [4, 4] by v1: gates n, added to x in place",
        "product      [4, 4] by d gates n: d v1",
        f"{2 * 12 * (3 + 4)} floating-point operations",
        f"{(3 + 1 + 1) * 4} numbers kept",  # pre-activations, h, and r∘h
    ):
        assert part in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines() if "#" not in line)


@pytest.mark.parametrize("name", mark_slow(CELLS, default=("lstm", "gru-reset-after", "rhn", "sru")))
def test_every_cell_of_the_table_passes_its_checks(name: str) -> None:
    result = nmt("check", name, "--rounds", "0")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("ok  ") >= 6
    assert "FAILED" not in result.stdout


def test_the_speed_is_a_ratio() -> None:
    sizes = ("--input", "4", "--hidden", "4", "--batch", "2", "--positions", "3", "--rounds", "1")
    assert "times the speed of torch.nn.LSTM" in nmt("check", "rnn", *sizes).stdout


LEAKY = """
from typing import NamedTuple
from torch import Tensor, tanh
from nmt.cells.cell import Cell

class Leaky(Cell):
    gates = ("h",)
    class State(NamedTuple):
        h: Tensor
    def step(self, x, s, U):
        return self.State(h=tanh(x.h + U.h(s.h).{wrong}))
"""


@pytest.mark.parametrize(
    ("wrong", "questions"),
    [
        ("detach()", ["gradients equal finite differences"]),  # a path that back-propagation misses
        ("roll(1, 0)", ["padding changes nothing", "the order of the batch changes nothing"]),
    ],
)
def test_a_wrong_cell_fails_the_checks_that_it_should(
    wrong: str, questions: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text(LEAKY.format(wrong=wrong), encoding="utf-8")
    result = nmt("check", f"{file}:Leaky", "--rounds", "0")
    assert result.exit_code == 1
    assert f"{file}:Leaky" in result.stderr
    for question in questions:
        assert f"FAILED  {question}" in result.stdout


def test_a_cell_that_is_not_there_is_named() -> None:
    result = nmt("show", "no.py:Cell")
    assert result.exit_code == 2
    assert "there is no file no.py" in result.stderr
