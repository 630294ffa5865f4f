"""Selection of the best translation of each line from n-best lists, by comparison with a reference."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from nmt.data.text import read_lines
from nmt.errors import DataError

FIELD = " ||| "


def read_candidates(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number, from 0, and the text of each translation of an n-best list in Moses format."""
    last = 0
    for number, line in enumerate(read_lines(file), 1):
        index, *fields = line.split(FIELD)
        if not (index.isascii() and index.isdigit() and fields):
            raise DataError(f"{file}:{number}: not a line of an n-best list, such as '0 ||| text ||| ...'")
        if int(index) < last:
            raise DataError(f"{file}:{number}: the translations of line {index} follow those of line {last}")
        last = int(index)
        yield last, FIELD.join(fields[:-2]) if len(fields) > 2 else fields[0]


def group_candidates(file: Path, count: int) -> Iterator[list[str]]:
    """Yield the translations of each of `count` lines, none for a line that the list leaves out."""
    index, texts = 0, list[str]()
    for number, text in read_candidates(file):
        if number >= count:
            raise DataError(
                f"{file}: has translations of line {number}, counted from 0, but there are {count} lines"
            )
        for _ in range(number - index):
            yield texts
            texts = []
        index = number
        texts.append(text)
    for _ in range(count - index):
        yield texts
        texts = []


def select_candidates(
    lists: Sequence[Iterable[Sequence[str]]], refs: Sequence[str], utility: Callable[[str, str], float]
) -> Iterator[tuple[str, float]]:
    """Yield the translation of each line that is best by `utility`, the first of equals, and its utility.

    A line without translations gets an empty one.
    """
    for ref, *found in zip(refs, *lists, strict=True):
        texts = dict.fromkeys(text for candidates in found for text in candidates) or [""]
        scored = [(utility(text, ref), text) for text in texts]
        value, best = max(scored, key=lambda item: item[0])
        yield best, value
