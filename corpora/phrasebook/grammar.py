"""The grammar: the families of sentences and the number of pairs from each, without duplicates.

A family is a function from a sampler to a pair; its docstring is an example. The name of the function is the
seed of the sampler, so renaming a family changes the corpus.
"""

from collections.abc import Callable, Iterator

import adjectives
import anaphora
import compound
import dates_and_times
import embedded
import long_distance
import quantities
import simple
import situations
from clauses import Pair
from sampler import Sampler

Family = Callable[[Sampler], Pair]
MODULES = (
    simple,
    adjectives,
    situations,
    quantities,
    dates_and_times,
    compound,
    embedded,
    anaphora,
    long_distance,
)
FAMILIES: dict[Family, int] = {
    family: share for module in MODULES for family, share in module.FAMILIES.items()
}
# a family without new sentences stops after this many draws per pair
MAX_DRAWS_PER_PAIR = 20


def sentences() -> Iterator[Pair]:
    """Yield all pairs of the grammar, each Korean sentence once."""
    seen: set[str] = set()
    for family, wanted in FAMILIES.items():
        rng, found = Sampler(family.__name__), 0
        for _ in range(wanted * MAX_DRAWS_PER_PAIR):
            pair = family(rng)
            if pair.ko not in seen:
                seen.add(pair.ko)
                found += 1
                yield pair
            if found == wanted:
                break
