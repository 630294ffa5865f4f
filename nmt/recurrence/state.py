"""Recurrent states (NamedTuples of tensors, possibly nested): mapping, detaching, and zoneout."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

from torch import Tensor

from nmt.cells.cell import Cell

Tree = TypeVar("Tree")


def map_tensors(function: Callable[..., Tensor], *trees: Tree) -> Tree:
    """Apply `function` to the tensors at the same path in every tree.

    Trees are tensors, None, tuples and NamedTuples; None stays None.
    """
    first: Any = trees[0]
    if first is None:
        return trees[0]
    if isinstance(first, Tensor):
        return cast(Tree, function(*trees))
    if isinstance(first, tuple):
        parts = [map_tensors(function, *parts) for parts in zip(*trees, strict=True)]
        make = type(first)._make if hasattr(first, "_make") else type(first)
        return cast(Tree, make(parts))
    raise TypeError(f"a state may contain tensors, tuples and None, not {type(first).__name__}")


def detach_states(states: Tree) -> Tree:
    """Return the states without their graph: truncated back-propagation (Williams & Peng, 1990)."""
    return map_tensors(Tensor.detach, states)


class Zoneout(NamedTuple):
    """Zoneout (Krueger et al., 2017) for one cell: s' = zone∘s + (1 - zone)∘step(s), in every field.

    In training (`drawn`) a unit's zone is 1 with `probability`, else 0, drawn at every position; otherwise it
    is the expectation, `probability` itself.
    """

    probability: float
    drawn: bool

    def zones(self, cell: Cell, positions: int, batch: int) -> Tensor | None:
        """Draw the zones of all positions [T, B, P*H] for the P fields of a state; None for probability 0."""
        if not self.probability:
            return None
        units = len(cell.State._fields) * cell.hidden_size
        if self.drawn:
            return cell.b.new_empty(positions, batch, units).bernoulli_(self.probability)
        return cell.b.new_full((units,), self.probability).expand(positions, batch, units)


NO_ZONEOUT = Zoneout(0.0, drawn=False)


def blend_states(zones: Iterable[Tensor], new: Any, old: Any) -> Any:
    """Mix the new state with the old one, which keeps the share of its zones."""
    return type(new)(*(z * o + (1 - z) * n for z, n, o in zip(zones, new, old, strict=True)))
