"""Zoneout: old values that stay, in training by chance and otherwise in the mean, for every cell alike."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.cells import CELLS
from nmt.cells.cell import Cell
from nmt.recurrence.fused import bind_cell
from nmt.recurrence.layer import DropoutSettings, Layer
from nmt.recurrence.reference import BoundCell
from nmt.recurrence.state import NO_ZONEOUT, Zoneout
from tests.grid import CELL_GRID
from tests.recurrence.test_scan import DERIVED, ENGINES, B, Delay, E, H, T, by_steps, make, outcome, padding

ZONEOUTS = {"drawn": Zoneout(0.3, drawn=True), "expected": Zoneout(0.3, drawn=False)}


def check_engines(cell: Cell, x: Tensor, run: Callable[..., Any], dropout: float, zoneout: Zoneout) -> None:
    expected = outcome(cell, "reference", x, run, dropout, zoneout)
    for engine in DERIVED:
        for derived, reference in zip(outcome(cell, engine, x, run, dropout, zoneout), expected, strict=True):
            torch.testing.assert_close(derived, reference, rtol=0, atol=1e-10)


@pytest.mark.parametrize("real", [None, padding()], ids=["whole", "padded"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("kind", ZONEOUTS)
@pytest.mark.parametrize("name", CELL_GRID)
def test_a_scan_of_every_engine_equals_the_reference(
    name: str, kind: str, reverse: bool, real: Tensor | None
) -> None:
    x = torch.randn(T, B, E, dtype=torch.float64)

    def run(bound: BoundCell, x: Tensor, s: Any) -> tuple[Tensor, Any]:
        return bound.scan(x, s, real, reverse=reverse)

    check_engines(make(name), x, run, 0.2, ZONEOUTS[kind])


@pytest.mark.parametrize("kind", ZONEOUTS)
@pytest.mark.parametrize("name", CELL_GRID)
def test_single_steps_of_every_engine_equal_the_reference(name: str, kind: str) -> None:
    cell, x = make(name, layer_norm=True), torch.randn(T, B, E, dtype=torch.float64)
    check_engines(cell, x, by_steps, 0.2, ZONEOUTS[kind])


def test_a_users_cell_zones_out_too() -> None:
    cell, x = Delay(E, H).double(), torch.randn(T, B, E, dtype=torch.float64)
    torch.nn.init.normal_(cell.u)
    check_engines(cell, x, lambda bound, x, s: bound.scan(x, s), 0.0, Zoneout(0.5, drawn=True))


@pytest.mark.parametrize("learning", [True, False], ids=["training", "search"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_expectation_by_hand(engine: str, learning: bool) -> None:
    cell = CELLS["rnn-relu"](1, 1).double()
    for parameter, value in zip(cell.parameters(), (2.0, 0.5, 1.0), strict=True):  # W, U, b
        torch.nn.init.constant_(parameter, value)
    x = torch.tensor([[[1.0]], [[2.0]]], dtype=torch.float64)
    layer = Layer([cell], DropoutSettings(zoneout=0.25), engine=engine).eval()
    with torch.set_grad_enabled(learning):
        h, (final,) = layer(x, None)
    # relu(2·1 + 0.5·0 + 1) = 3, of which 3/4; relu(2·2 + 0.5·2.25 + 1) = 6.125, 3/4 of it and 1/4 of 2.25
    assert h.flatten().tolist() == [2.25, 5.15625]
    assert final.h.item() == 5.15625


@pytest.mark.parametrize("engine", ENGINES)
def test_in_training_every_part_of_the_state_is_old_or_new_unit_by_unit(engine: str) -> None:
    cell = CELLS["lstm"](4, 400)
    x, s = torch.randn(1, 2, 4), cell.State(*torch.randn(2, 2, 400))
    plain, zoned = (
        bind_cell(cell, 2, engine=engine, zoneout=z) for z in (NO_ZONEOUT, Zoneout(0.3, drawn=True))
    )
    _, new = plain.scan(plain.project(x), s)
    _, mixed = zoned.scan(zoned.project(x), s)
    kept = [m == o for m, o in zip(mixed, s, strict=True)]
    for m, n, k in zip(mixed, new, kept, strict=True):
        torch.testing.assert_close(m[~k], n[~k])
        assert 0.25 < k.double().mean() < 0.35
    assert not torch.equal(*kept)


def test_zones_are_drawn_anew_at_every_position() -> None:
    zones = Zoneout(0.5, drawn=True).zones(make("lstm"), T, B)
    assert zones.shape == (T, B, 2 * H)
    assert not torch.equal(zones[0], zones[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_padding_holds_the_state_exactly(engine: str) -> None:
    layer = Layer([make("lstm")], DropoutSettings(zoneout=0.4), engine=engine)
    h, (final,) = layer(torch.randn(T, B, E, dtype=torch.float64), padding())
    for row, length in enumerate(padding().sum(0).tolist()):
        assert torch.equal(final.h[row], h[length - 1, row])
        assert torch.equal(h[length:, row], h[length - 1, row].expand(T - length, H))


@pytest.mark.parametrize("zoneout", [NO_ZONEOUT, Zoneout(0.0, drawn=True), Zoneout(0.3, drawn=False)])
@pytest.mark.parametrize("engine", ENGINES)
def test_without_chance_nothing_is_drawn(engine: str, zoneout: Zoneout) -> None:
    cell = make("gru")
    before = torch.get_rng_state()
    bound = bind_cell(cell, B, engine=engine, zoneout=zoneout)
    x = bound.project(torch.randn(T, B, E, dtype=torch.float64, generator=torch.Generator()))
    bound.step(x[0], cell.initial_state(B))
    bound.scan(x, cell.initial_state(B))
    assert torch.equal(torch.get_rng_state(), before)
