"""What a search did at one position, for those who want to look at it."""

from collections.abc import Callable
from typing import NamedTuple

from nmt.decoding.candidates import Candidates
from nmt.decoding.rows import Rows


class Expansion(NamedTuple):
    """One position of a search: the hypotheses that were alive, what could follow, and what was kept.

    A node of `before` is the very node that an earlier expansion has grown. `grown` has those that end here,
    too; their `parents` are rows of `before` and of `found`.
    """

    before: Rows
    found: Candidates
    grown: Rows


Record = Callable[[Expansion], None]
"""Takes what the search did at each position."""
