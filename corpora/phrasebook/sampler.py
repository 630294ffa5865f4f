"""Reproducible random choices without replacement, so that every item is used equally often."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Sampler:
    """Random choices from named lists; a list is reshuffled when all of its items have been used."""

    def __init__(self, seed: str) -> None:
        """Create a sampler whose choices depend only on the seed."""
        self.random = Random(seed)
        self.remaining: dict[str, list[int]] = {}

    def choice(self, name: str, items: Sequence[T]) -> T:
        """Return the next item of a named list; a name must always be used with the same items."""
        name = f"{name}/{len(items)}"
        if not self.remaining.get(name):
            self.remaining[name] = self.permutation(len(items))
        return items[self.remaining[name].pop()]

    def choose_two(self, name: str, items: Sequence[T]) -> tuple[T, T]:
        """Return two different items."""
        first = self.choice(name, items)
        second = self.choice(name, items)
        while second == first:
            second = self.choice(name, items)
        return first, second

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return self.random.random() < probability

    def permutation(self, size: int) -> list[int]:
        """Return the numbers below size in random order; only `random()` is portable."""
        order = list(range(size))
        for i in range(size - 1, 0, -1):
            j = int(self.random.random() * (i + 1))
            order[i], order[j] = order[j], order[i]
        return order
