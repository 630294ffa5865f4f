"""Zoneout: units that now and then keep their old state (Krueger et al., 2017)."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor

from nmt.cells.cell import Cell


class Zoneout(NamedTuple):
    """Zoneout for one cell: s' = zone∘s + (1 - zone)∘step(s), unit by unit and for every part of the state.

    In training (`drawn`) a unit's zone is 1 with `probability`, else 0, drawn anew at every position;
    otherwise it is the expectation, `probability` itself.
    """

    probability: float
    drawn: bool

    def zones(self, cell: Cell, positions: int, batch: int) -> Tensor | None:
        """The zones of all positions [T, B, P*H], the P parts of the state side by side; None for never."""
        if not self.probability:
            return None
        units = len(cell.State._fields) * cell.hidden_size
        if self.drawn:
            return cell.b.new_empty(positions, batch, units).bernoulli_(self.probability)
        return cell.b.new_full((units,), self.probability).expand(positions, batch, units)


NO_ZONEOUT = Zoneout(0.0, drawn=False)


def blend(zones: Iterable[Tensor], new: Any, old: Any) -> Any:
    """The next state, of which each old part keeps the share that its zone gives it."""
    return type(new)(*(z * o + (1 - z) * n for z, n, o in zip(zones, new, old, strict=True)))
