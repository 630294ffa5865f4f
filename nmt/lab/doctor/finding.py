"""What an examination found, for people: what it is, where it is, and what to try."""

from typing import Literal, NamedTuple

Level = Literal["wrong", "doubtful", "note"]
"""`wrong` must be mended, `doubtful` often is a mistake, `note` is good to know."""


class Finding(NamedTuple):
    """One thing that was found."""

    level: Level
    what: str
    where: str = ""
    example: str = ""
    advice: str = ""


def graded(share: float, doubtful: float, wrong: float = 2.0) -> Level:
    """How bad something is that this share of all has."""
    if share >= wrong:
        return "wrong"
    return "doubtful" if share >= doubtful else "note"


def percent(share: float) -> str:
    """A share as 12% or 0.3%."""
    return f"{share:.0%}" if share >= 0.1 or not share else f"{share:.1%}" if share >= 0.001 else "<0.1%"


def counted(count: int, noun: str) -> str:
    """`1 pair`, `2,000 pairs`."""
    ending = "es" if noun.endswith("ch") else "s"
    return f"{count:,} {noun}{ending * (count != 1)}"


def joined(parts: list[str], rest: int) -> str:
    """`4, 17 and 9 more`."""
    text = ", ".join(parts)
    return f"{text} and {rest:,} more" if rest > 0 else text
