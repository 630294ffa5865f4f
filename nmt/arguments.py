"""Checks of values that Python callers pass; the command line and recipes check theirs as they are read."""

import math
import sys
from collections.abc import Collection, Iterable, Mapping
from numbers import Real
from operator import index
from reprlib import repr as shorten
from typing import Any

import numpy as np

from nmt.errors import UsageError


def check_whole_number(name: str, value: Any, least: int | None = None) -> int:
    """Return a whole number, which may be one of numpy, as an `int`; UsageError for anything else."""
    try:
        number = None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        number = None
    if number is None or not -sys.maxsize <= number <= sys.maxsize:
        raise UsageError(f"{name} must be a whole number (got {shorten(value)})")
    if least is not None and number < least:
        raise UsageError(f"{name} must be {least} or more (got {number})")
    return number


def check_number(name: str, value: Any) -> float:
    """Return a finite number; UsageError for anything else."""
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    try:
        is_finite = is_number and math.isfinite(value)
    except OverflowError:  # an integer beyond floating point
        is_finite = False
    if not is_finite:
        raise UsageError(f"{name} must be a finite number (got {shorten(value)})")
    return value if type(value) in (int, float) else float(value)


def check_flag(name: str, value: Any) -> bool:
    """Return True or False; UsageError for anything else."""
    if not isinstance(value, bool | np.bool_):
        raise UsageError(f"{name} must be True or False (got {shorten(value)})")
    return bool(value)


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise UsageError for a value that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise UsageError(f"{name} must be one of: {', '.join(choices)} (got {shorten(value)})")


def check_text(name: str, value: Any) -> str:
    """Return a string; UsageError for anything else."""
    if not isinstance(value, str):
        raise UsageError(f"{name} must be a string (got {shorten(value)})")
    return value


CHECKS = {int: check_whole_number, float: check_number, bool: check_flag, str: check_text}
"""The check for the values of each type."""


def check_strings(name: str, values: Any) -> tuple[str, ...]:
    """Return a list of strings as a tuple; UsageError for anything else, a single string too."""
    if isinstance(values, str) or not is_list(values):
        raise UsageError(f"{name} must be a list of strings (got {shorten(values)})")
    return tuple(check_text(f"each of {name}", value) for value in values)


def is_list(values: Any) -> bool:
    """Return True for what has values in an order: lists, generators, arrays and columns of one dimension.

    Not for tables, whose iterators give names of columns (pandas), nor for mappings and sets.
    """
    is_other = isinstance(values, bytes | Mapping | set | frozenset)
    return isinstance(values, Iterable) and not is_other and len(getattr(values, "shape", (0,))) == 1


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which strings can contain and UTF-8 cannot, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
