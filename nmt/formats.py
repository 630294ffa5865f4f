"""The version of the format of run, model and export directories, described in docs/formats.md.

It rises when an older nmt could not read a directory, or would read it wrongly. The files that carry it are
`checkpoint.json`, `model.json` and `config.json`; those of version 0.1 carry none, or 1.
"""

import re
from collections.abc import Mapping
from typing import Any

from nmt import __version__

FORMAT = 2
FIRST = 1

PROSE = "README.md"
"""The file of a model or export directory for people, which anybody may edit: checksums leave it out."""


def stamp() -> dict[str, Any]:
    """Return the entries of a file that carry the format and the version that wrote it."""
    return {"format": FORMAT, "nmt": __version__}


def find_format_problem(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why a file of this content cannot be read, and what to do; None if its format is known."""
    number, writer = values.get("format", FIRST), values.get("nmt")
    if not isinstance(number, int) or isinstance(number, bool) or number < FIRST:
        return f"its format {str(number)[:20]!r} is not a number", "restore it from a copy"
    if number <= FORMAT:
        return None
    is_version = isinstance(writer, str) and re.fullmatch(r"\d+(?:\.\d+){1,3}", writer)
    needed = f"nmt {writer}" if is_version else "a newer nmt"
    what = f"format {number} needs {needed} or later; this is nmt {__version__}, which reads up to {FORMAT}"
    return what, "install that version of recurrent-nmt"
