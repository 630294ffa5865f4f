"""Recurrent neural machine translation whose cells are written as their gate equations.

Shape letters used in comments and docstrings everywhere:
B sentences in a batch, S source positions, T target positions, E embedding, H hidden,
G gates, V vocabulary, K beam width.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.api.language_model import LanguageModel as LanguageModel
    from nmt.api.runs import Run as Run
    from nmt.api.runs import load_recipe as load_recipe
    from nmt.api.runs import train as train
    from nmt.api.scoring import score as score
    from nmt.api.translator import Translator as Translator
    from nmt.cells.cell import Cell as Cell
    from nmt.decoding.job import Line as Line
    from nmt.decoding.job import LineConstraints as LineConstraints
    from nmt.recurrence.recurrent import Recurrent as Recurrent

__version__ = "0.2.0"

MODULES = {
    **{"Translator": "nmt.api.translator", "LanguageModel": "nmt.api.language_model"},
    **dict.fromkeys(("Run", "load_recipe", "train"), "nmt.api.runs"),
    "score": "nmt.api.scoring",
    **{"Cell": "nmt.cells.cell", "Recurrent": "nmt.recurrence.recurrent"},
    **dict.fromkeys(("Line", "LineConstraints"), "nmt.decoding.job"),
}
"""The module of each name that `import nmt` offers."""


def __getattr__(name: str) -> Any:
    """Import a name when it is first used; MissingPackage if that needs a library that is not installed."""
    if name not in MODULES:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    from nmt.errors import report_missing_packages

    with report_missing_packages():
        value = getattr(import_module(MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
