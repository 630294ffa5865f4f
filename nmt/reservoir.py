"""Uniform samples of streams whose length is not known beforehand."""

from collections.abc import Iterable
from random import Random
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Reservoir(Generic[ItemT]):
    """A uniform sample of at most `size` items of a stream (Vitter, 1985, algorithm R)."""

    def __init__(self, size: int, seed: int) -> None:
        self.items: list[ItemT] = []
        self._size, self._seen, self._random = size, 0, Random(seed)

    def add(self, item: ItemT) -> None:
        """Add an item to the sample, perhaps in the place of another, or discard it."""
        self._seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (slot := int(self._random.random() * self._seen)) < self._size:
            self.items[slot] = item


def sample_lines(lines: Iterable[str], size: int, seed: int) -> list[str]:
    """Draw `size` lines uniformly, or all of fewer."""
    sample = Reservoir[str](size, seed)
    for line in lines:
        sample.add(line)
    return sample.items
