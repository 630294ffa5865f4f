"""The grammar: every family of sentences with its share, dealt without repeats."""

from collections.abc import Callable, Iterator

import counting
import describing
import farapart
import linked
import simple
from clauses import Pair
from dealing import Dealer

Family = Callable[[Dealer], Pair]
FAMILIES: dict[Family, int] = {
    **simple.FAMILIES, **describing.FAMILIES, **counting.FAMILIES, **linked.FAMILIES, **farapart.FAMILIES,
}  # fmt: skip
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
