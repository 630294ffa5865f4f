"""What is to be translated: lines, what is wished of each, and how far a job has come with them."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from nmt.errors import DataError

WINDOW_CHARACTERS = 1_000_000  # a window closes here too, so that long lines do not fill the memory


class Wishes(NamedTuple):
    """What is asked of the translation of one line."""

    prefix: str = ""  # it begins so
    must: tuple[str, ...] = ()  # phrases it holds
    must_not: tuple[str, ...] = ()  # phrases it does not hold
    seed: int | None = None  # of its sampling, in the place of the job's


class Line(NamedTuple):
    """One line to be translated."""

    number: int  # in its file, from 1
    text: str
    notes: tuple[str, ...] = ()  # what the user should know about how it was read
    wishes: Wishes = Wishes()
    record: dict[str, Any] | None = None  # the JSON object it came in
    error: str | None = None  # why it cannot be translated


class Done(NamedTuple):
    """How far a job has come: all these lines are written, and none after them."""

    lines: int = 0
    notes: int = 0  # on these lines
    digest: str = hashlib.sha256().hexdigest()  # of these lines as they were read


class Window(NamedTuple):
    """Lines that are translated together."""

    lines: list[Line]
    digest: str  # of all lines up to the last of these


class Reader:
    """Lines in order, with a sum over all that were read."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._sum = hashlib.sha256()

    def __iter__(self) -> Iterator[Line]:
        for line in self._lines:
            self._sum.update(repr(line).encode("utf-8", "surrogatepass"))
            yield line

    def skip(self, done: Done) -> None:
        """Pass over what was translated before; DataError if it is not what was read then."""
        read = sum(1 for _, _line in zip(range(done.lines), self, strict=False))
        if read < done.lines or self._sum.hexdigest() != done.digest:
            raise DataError(
                f"the input is not what it was: the {done.lines:,} lines that are translated already differ "
                f"from its first {read:,}; without --resume the job begins anew"
            )

    def windows(self, size: int) -> Iterator[Window]:
        """Windows of `size` lines, fewer where they are long."""
        lines: list[Line] = []
        characters = 0
        for line in self:
            lines.append(line)
            characters += len(line.text)
            if len(lines) == size or characters >= WINDOW_CHARACTERS:
                yield Window(lines, self._sum.hexdigest())
                lines, characters = [], 0
        if lines:
            yield Window(lines, self._sum.hexdigest())


def numbered(texts: Iterable[tuple[str, str | None]], first: int = 1) -> Iterator[Line]:
    """Plain lines; each comes with a note on how it was read, or None."""
    for number, (text, note) in enumerate(texts, first):
        yield Line(number, text, (note,) if note else ())
