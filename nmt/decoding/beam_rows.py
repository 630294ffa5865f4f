"""The live hypotheses of the batch, and which of their continuations are kept."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.hypothesis import Node
from nmt.decoding.model import Ints

Doubles = NDArray[np.float64]


class BeamRows(NamedTuple):
    """Live hypotheses, those of a lane together and best first; all sentences have equally many lanes."""

    nodes: list[Node]  # R of them
    parents: Ints  # [R] the row of the last state that each continues; -1 where it starts
    totals: Doubles  # [R] log probabilities
    lanes: Ints  # [R] ascending


class Selection(NamedTuple):
    """Continuations that are kept, in the order of their lanes, best first."""

    rows: Ints  # [N]
    columns: Ints  # [N]

    def by_lane(self, lanes: Ints) -> "Selection":
        """In the order of their rows' lanes; what was chosen in one lane stays in order."""
        order = np.argsort(lanes[self.rows], kind="stable")
        return Selection(self.rows[order], self.columns[order])


def select_per_group(keys: Doubles, lanes: Ints, width: int) -> Selection:
    """The `width` continuations of each lane with the highest keys [R, C]; -inf is never chosen.

    Of equal ones that of the row before comes first, then that of the column before.
    """
    if not len(lanes):
        return Selection(lanes, lanes)
    columns = keys.shape[1]
    starts = np.searchsorted(lanes, np.arange(lanes[-1] + 1))
    ranks = np.arange(len(lanes)) - starts[lanes]
    grid = np.full((len(starts), int(ranks.max()) + 1, columns), -np.inf)
    grid[lanes, ranks] = keys
    flat = grid.reshape(len(starts), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :width]
    lane, place = np.nonzero(np.take_along_axis(flat, order, axis=1) > -np.inf)
    rank, column = np.divmod(order[lane, place], columns)
    return Selection(starts[lane] + rank, column)
