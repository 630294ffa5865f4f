"""Findings of the doctor: the problem, its location, an example, and what to try."""

from typing import Literal, NamedTuple

Level = Literal["error", "warning", "note"]
"""An `error` must be fixed, a `warning` is often a mistake, a `note` is information."""


class Finding(NamedTuple):
    """One problem."""

    level: Level
    what: str
    where: str = ""
    example: str = ""
    advice: str = ""


def level_for_share(share: float, warning: float, error: float = 2.0) -> Level:
    """Return the level of a problem that this share of all lines, pairs or updates has."""
    if share >= error:
        return "error"
    return "warning" if share >= warning else "note"


def format_percent(share: float) -> str:
    """Format a share as 12%, 0.3% or <0.1%."""
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def format_count(count: int, noun: str) -> str:
    """Format `1 pair`, `2,000 pairs`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
