"""Wishes for the translations of a text that lie in files beside it, line by line."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from nmt.data.text import read_lines
from nmt.decoding.lines import Line
from nmt.errors import DataError


def wished(
    lines: Iterable[Line], files: Mapping[str, Path], first: int, *, to_the_end: bool
) -> Iterator[Line]:
    """Lines, of which the first is number `first`, with wishes from files named by the fields of `Wishes`.

    Raises DataError if a file has fewer lines than the text or, where the text is read `to_the_end`, more.
    """
    beside = {name: islice(read_lines(path), first - 1, None) for name, path in files.items()}
    for line in lines:
        wishes: dict[str, Any] = {
            name: _wish(name, next(texts, None), files[name], line) for name, texts in beside.items()
        }
        yield line._replace(wishes=line.wishes._replace(**wishes))
        first = line.number + 1
    for name, texts in beside.items():
        if to_the_end and next(texts, None) is not None:
            raise DataError(f"{files[name]} has more lines than the text, which ends after {first - 1:,}")


def _wish(name: str, text: str | None, path: Path, line: Line) -> str | tuple[str, ...]:
    if text is None:
        raise DataError(f"{path} ends before line {line.number:,} of the text: a line is needed for each")
    return text if name == "prefix" else tuple(phrase for phrase in text.split("\t") if phrase.strip())
