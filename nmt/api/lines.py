"""Checks of the lines, constraints and paths that Python callers pass."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from reprlib import repr as shorten
from typing import Any

from nmt.decoding.arguments import check_strings, check_text, check_whole_number, replace_surrogates
from nmt.decoding.glossary import SUGGESTED, is_term, list_fields
from nmt.decoding.job import Line, LineConstraints
from nmt.errors import UsageError
from nmt.user_directories import expand_home


def check_path(what: str, path: Any) -> Path:
    """Return a path, `~` being the home directory; UsageError for what is no path."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or "\0" in name or not name:
        raise UsageError(f"{what} (got {shorten(path)})")
    return expand_home(name)


def check_lines(lines: Any, common: LineConstraints) -> Iterator[Line]:
    """Yield lines with their numbers; UsageError for what is neither a string nor a valid `Line`.

    The constraints `common` are those of every line that is a string.
    """
    if isinstance(lines, bytes) or not isinstance(lines, Iterable):
        raise UsageError(f"lines must be a string or a list of strings (got {shorten(lines)})")
    for number, line in enumerate(lines, 1):
        if isinstance(line, Line):
            yield line._replace(
                number=check_whole_number(f"the number of line {number}", line.number),
                text=replace_surrogates(check_text(f"the text of line {number}", line.text)),
                constraints=check_constraints(f" of line {number}", line.constraints),
            )
        else:
            text = replace_surrogates(check_text(f"line {number}", line))
            yield Line(number, text, constraints=common)


def check_constraints(where: str, constraints: Any) -> LineConstraints:
    """Return constraints with the types of their declaration; `where` ends their names in messages."""
    if not isinstance(constraints, LineConstraints):
        raise UsageError(f"the constraints{where} must be LineConstraints (got {shorten(constraints)})")
    seed = constraints.seed
    return LineConstraints(
        prefix=replace_surrogates(check_text(f"the prefix{where}", constraints.prefix)),
        must=tuple(map(replace_surrogates, check_strings(f"must{where}", constraints.must))),
        must_not=tuple(map(replace_surrogates, check_strings(f"must_not{where}", constraints.must_not))),
        seed=None if seed is None else check_whole_number(f"the seed{where}", seed, 0),
        glossary=check_terms(f"the glossary{where}", constraints.glossary),
    )


def check_terms(name: str, terms: Any) -> tuple[tuple[str, ...], ...]:
    """Return the terms of a glossary; UsageError if one is not a string, or blank."""
    is_list = isinstance(terms, tuple)  # of the fields of terms, as in `LineConstraints`
    given = list_fields(terms) if isinstance(terms, Mapping) else terms if is_list else [()]
    rows = [check_strings(f"the terms of {name}", fields) for fields in given]
    if any(len(fields) not in (2, 3) or fields[2:] not in ((), (SUGGESTED,)) for fields in rows):
        kinds = f'strings, or pairs ("...", "{SUGGESTED}")'
        raise UsageError(f"{name} must map source terms to translations: {kinds} (got {shorten(terms)})")
    if not all(map(is_term, rows)):
        raise UsageError(f"the terms of {name} must not be blank")
    return tuple(tuple(map(replace_surrogates, fields)) for fields in rows)
