"""What a cell derives from its declaration, and a user's own cell."""

from pathlib import Path

import pytest
import torch

from nmt.cells import CELLS, find_named_cell
from nmt.errors import UsageError
from nmt.recurrence.layer import StackSettings, build_cells
from nmt.trust import trust_file


@pytest.mark.parametrize("name", CELLS)
def test_the_first_part_of_a_state_is_h(name: str) -> None:
    assert CELLS[name].State._fields[0] == "h"


def test_a_forget_gate_starts_open_and_other_biases_at_zero() -> None:
    cell = CELLS["lstm"](3, 2)
    assert cell.b[cell.rows("f")].tolist() == [1.0, 1.0]
    assert cell.b.sum().item() == 2.0


def test_the_coupled_gate_starts_on_the_side_of_keeping() -> None:
    cell = CELLS["lstm-coupled"](3, 2)
    assert (cell.b[cell.rows("i")] < 0).all()


def test_a_cell_without_recurrent_products_has_no_matrix_for_them() -> None:
    cell = CELLS["mingru"](3, 2, layer_norm=True)
    assert {name: tuple(p.shape) for name, p in cell.named_parameters()} == {
        "W": (4, 3),
        "b": (4,),
        "gain_W": (4,),
    }


def test_a_normalised_state_has_little_influence_at_first() -> None:
    """The gain of U h: what is random in a new cell should not be as large as its input."""
    torch.manual_seed(0)
    cell = CELLS["gru"](3, 64, layer_norm=True)
    x, h = torch.randn(2, 8, 64)
    products = (
        cell.normalise(h @ cell.U.T, cell.gain_U).std(),
        cell.normalise(x[:, :3] @ cell.W.T, cell.gain_W).std(),
    )
    assert products[0] < products[1] / 5


def test_a_product_that_does_not_read_the_input_has_its_bias_by_name() -> None:
    cell = CELLS["rhn"](3, 2, gate_bias={"t3": -5.0})
    assert [cell.find_recurrent_bias(gate).tolist() for gate in ("h3", "t2", "t3")] == [
        [0, 0],
        [-2, -2],
        [-5, -5],
    ]
    assert cell.W.shape == (4, 3) and cell.U.shape == (12, 2)


def test_a_recipe_sets_a_bias_by_the_name_of_the_gate() -> None:
    cell = CELLS["gru"](3, 2, gate_bias={"z": 2.5})
    assert cell.b[cell.rows("z")].tolist() == [2.5, 2.5]


def test_recurrent_weights_start_orthogonal_gate_by_gate() -> None:
    cell = CELLS["lstm"](3, 6)
    for gate in cell.gates:
        block = cell.U[cell.rows(gate)]
        torch.testing.assert_close(block @ block.T, torch.eye(6), atol=1e-5, rtol=0)


def test_a_bias_for_a_gate_that_no_cell_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no cell here has a gate 'forget'"):
        build_cells(StackSettings(hidden=2, gate_bias={"forget": 1.0}), [3])


def test_different_cells_take_the_biases_of_their_own_gates() -> None:
    lstm, gru = build_cells(
        StackSettings(cell=["lstm", "gru"], layers=2, hidden=2, gate_bias={"f": 3.0, "z": 4.0}), [3, 2]
    )
    assert lstm.b[lstm.rows("f")].tolist() == [3.0, 3.0]
    assert gru.b[gru.rows("z")].tolist() == [4.0, 4.0]


MINIMAL = """
from typing import NamedTuple
from torch import Tensor, sigmoid, tanh
from nmt.cells.cell import Cell

class Minimal(Cell):
    gates = ("f", "n")
    class State(NamedTuple):
        h: Tensor
    def step(self, x, s, U):
        f = sigmoid(x.f + U.f(s.h))
        n = tanh(x.n + U.n(f * s.h))
        return self.State(h=(1 - f) * s.h + f * n)
"""


def test_a_users_cell_is_found_by_file_and_class(tmp_path: Path) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text(MINIMAL, encoding="utf-8")
    assert find_named_cell(f"{file}:Minimal").gates == ("f", "n")


def test_a_missing_cell_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        find_named_cell(f"{tmp_path}/absent.py:Minimal")


def test_a_missing_cell_class_is_named(tmp_path: Path) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text(MINIMAL, encoding="utf-8")
    with pytest.raises(UsageError, match="has no class Maximal"):
        find_named_cell(f"{file}:Maximal")


def test_a_cell_file_that_fails_to_load_says_why(tmp_path: Path) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text("import no_such_module_here\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no_such_module_here"):
        find_named_cell(f"{file}:Minimal")


def test_a_cell_without_gates_is_told_what_to_declare(tmp_path: Path) -> None:
    file = tmp_path / "my_cells.py"
    file.write_text("from nmt.cells.cell import Cell\nclass Empty(Cell):\n    pass\n", encoding="utf-8")
    with pytest.raises(UsageError, match="does not declare `gates`"):
        find_named_cell(f"{file}:Empty")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            "return self.State(h=tanh(x.n + U.q(s.h)))",
            r"Wrong fails: AttributeError: .*'q'.*cells.py, line 10",
        ),
        ("return tanh(x.n)", "the step of Wrong returns a Tensor, not a Wrong.State"),
        ("return self.State(h=x.n.sum(1))", r"returns h of shape \[1\], not \[B, H\]"),
    ],
)
def test_a_step_that_cannot_be_run_is_said_when_the_model_is_made(
    step: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "my_cells.py"
    body = MINIMAL[: MINIMAL.index("        f = ")].replace("Minimal", "Wrong")
    file.write_text(body.strip() + "\n        " + step + "\n", encoding="utf-8")
    trust_file(file)
    with pytest.raises(UsageError, match=message):
        build_cells(StackSettings(cell=f"{file}:Wrong", hidden=2), [3])
