"""Chance that repeats: shuffled decks, so that every item comes equally often."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dealer:
    """Deals from named decks; a deck is shuffled again when it is used up."""

    def __init__(self, seed: str) -> None:
        """A dealer whose every choice follows from its seed."""
        self.chance = Random(seed)
        self.decks: dict[str, list[int]] = {}

    def one(self, deck: str, items: Sequence[T]) -> T:
        """The next item of a deck; the same deck name must always come with the same items."""
        deck = f"{deck}/{len(items)}"
        if not self.decks.get(deck):
            self.decks[deck] = self.shuffled(len(items))
        return items[self.decks[deck].pop()]

    def two(self, deck: str, items: Sequence[T]) -> tuple[T, T]:
        """Two different items."""
        first = self.one(deck, items)
        second = self.one(deck, items)
        while second == first:
            second = self.one(deck, items)
        return first, second

    def below(self, share: float) -> bool:
        """True with that probability."""
        return self.chance.random() < share

    def shuffled(self, size: int) -> list[int]:
        """The numbers below size in random order; of chance only random() repeats in all Pythons."""
        order = list(range(size))
        for i in range(size - 1, 0, -1):
            j = int(self.chance.random() * (i + 1))
            order[i], order[j] = order[j], order[i]
        return order
