"""Recurrent neural machine translation whose cells are written as their gate equations.

Shape letters used in comments and docstrings everywhere:
B sentences in a batch, S source positions, T target positions, E embedding, H hidden,
G gates, V vocabulary, K beam width.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.api import Translator as Translator

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Import `nmt.Translator` when it is first used."""
    if name == "Translator":
        return import_module("nmt.api").Translator
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
