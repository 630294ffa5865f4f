"""The description of a translation job: its model, its options, and the lines to translate."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nmt.data.text import read_lines
from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.decoding.mbr import Utility
from nmt.decoding.model import Model
from nmt.decoding.options import Options
from nmt.errors import DataError


class Tokenizer(Protocol):
    """What the job asks of a vocabulary."""

    def encode(self, line: str, /) -> list[int]: ...

    def decode(self, ids: Sequence[int], /) -> str: ...

    def pieces(self, ids: Sequence[int], /) -> list[str]: ...

    def fingerprint(self) -> str: ...


class Job(NamedTuple):
    """All that the translations of lines follow from."""

    model: Model
    source: Tokenizer
    target: Tokenizer
    options: Options
    attends: bool = True  # whether the model has attention
    longest_part: int = LONGEST_PART  # source pieces; longer lines go in parts
    read_ahead: int = READ_AHEAD  # batches of lines; 0 translates each line as it comes
    n_best: int = 1  # candidates of each line
    aligned: bool = False  # whether the best one is aligned with its source
    copy_unknown: bool = False  # whether unk is written as the source word it looked at most
    utility: Utility | None = None  # by which the output of least risk is put first

    def settings(self) -> dict[str, Any]:
        """What decides what comes out besides models and functions, in plain JSON values."""
        options = {name: value for name, value in asdict(self.options).items() if name != "batch"}
        return options | {"longest_part": self.longest_part, "copy_unknown": self.copy_unknown}


WINDOW_CHARACTERS = 1_000_000  # a window closes here too, so that long lines do not fill the memory


class LineConstraints(NamedTuple):
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
    wishes: LineConstraints = LineConstraints()
    record: dict[str, Any] | None = None  # the JSON object it came in
    error: str | None = None  # why it cannot be translated


class JobProgress(NamedTuple):
    """How far a job has come: all these lines are written, and none after them."""

    lines: int = 0
    notes: int = 0  # on these lines
    digest: str = hashlib.sha256().hexdigest()  # of these lines as they were read


class Window(NamedTuple):
    """Lines that are translated together."""

    lines: list[Line]
    digest: str  # of all lines up to the last of these


def _digest_text(line: Line) -> str:
    """The text of a line that checkpoints hold the digest of: the same in every version."""
    number, text, notes, wishes, record, error = line
    prefix, must, must_not, seed = wishes
    return (
        f"Line(number={number!r}, text={text!r}, notes={notes!r}, wishes=Wishes(prefix={prefix!r}, "
        f"must={must!r}, must_not={must_not!r}, seed={seed!r}), record={record!r}, error={error!r})"
    )


class LineReader:
    """Lines in order, with a sum over all that were read."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._sum = hashlib.sha256()

    def __iter__(self) -> Iterator[Line]:
        for line in self._lines:
            self._sum.update(_digest_text(line).encode("utf-8", "surrogatepass"))
            yield line

    def skip(self, done: JobProgress) -> None:
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


def number_lines(texts: Iterable[tuple[str, str | None]], first: int = 1) -> Iterator[Line]:
    """Plain lines; each comes with a note on how it was read, or None."""
    for number, (text, note) in enumerate(texts, first):
        yield Line(number, text, (note,) if note else ())


def add_constraints(
    lines: Iterable[Line], files: Mapping[str, Path], first: int, *, to_the_end: bool
) -> Iterator[Line]:
    """Lines, of which the first is number `first`, with constraints from files named by their fields.

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
