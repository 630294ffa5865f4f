"""The grammar: every family of sentences with its share, dealt without repeats."""

from collections.abc import Callable, Iterator

import calendar_and_clock
import counting
import describing
import embedded
import farapart
import linked
import recalling
import simple
import situations
from clauses import Pair
from dealing import Dealer

Family = Callable[[Dealer], Pair]
ROOMS = (simple, describing, situations, counting, calendar_and_clock, linked, embedded, recalling, farapart)
FAMILIES: dict[Family, int] = {family: share for room in ROOMS for family, share in room.FAMILIES.items()}
# a family that has run dry stops after so many deals per pair
PATIENCE = 20


def sentences() -> Iterator[Pair]:
    """All pairs of the grammar, each Korean sentence once."""
    seen: set[str] = set()
    for family, wanted in FAMILIES.items():
        deal, found = Dealer(family.__name__), 0
        for _ in range(wanted * PATIENCE):
            pair = family(deal)
            if pair.ko not in seen:
                seen.add(pair.ko)
                found += 1
                yield pair
            if found == wanted:
                break
