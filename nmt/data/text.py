"""Text files, line by line. A line ends at "\\n" only: characters that other programs may treat as a line end
(U+2028, U+0085, a lone "\\r", form feeds, NUL) are part of the line."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from xopen import xopen

from nmt.errors import DataError, NmtError
from nmt.operating_system import STANDARD_INPUT
from nmt.text_encoding import (
    BYTE_ORDER_MARKS,
    DECOMPRESSORS,
    ESCAPE,
    NUL,
    ByteSurvey,
    find_binary_kind,
    find_mac_line_ends,
    survey_lines,
)

_log = logging.getLogger(__name__)

COMPRESSIONS = ("", *DECOMPRESSORS)
MAGIC = {ending: magic for ending, (magic, _) in DECOMPRESSORS.items()}
"""The first bytes of each kind of compressed file."""
BOM = b"\xef\xbb\xbf"
LONGEST_LINE = 16 << 20  # bytes; what is longer is not text, or has no end


def strip_compression(name: str) -> str:
    """Return the name of a file without the suffix of its compression."""
    return next((name.removesuffix(end) for end in COMPRESSIONS if end and name.endswith(end)), name)


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, plain or compressed, without line ends; DataError if it is not."""
    is_checked = False
    with open_file(path) as file:
        stream = iterate_lines(file, path)
        for number, raw in enumerate(stream, 1):
            if number == 1:
                _check_first_line(raw, path)
            if not is_checked and (NUL in raw or ESCAPE in raw):
                is_checked = True  # such a line can be text, so the whole file decides
                if problem := survey_file(path, [raw]).describe():
                    raise DataError(f"{path}: {problem}")
            try:
                yield _strip_line_end(raw, top=number == 1).decode("utf-8")
            except UnicodeDecodeError as error:
                problem = survey_file(path, chain([raw], stream)).describe() or "correct the line"
                raise DataError(f"{path}, line {number}: {_describe_bad_byte(error)}; {problem}") from None


def survey_file(path: Path, rest: Iterable[bytes]) -> ByteSurvey:
    """Survey a whole text file; of a pipe, which cannot be read twice, the `rest` of its lines."""
    if not path.is_file():
        return survey_lines(rest, None)
    with open_file(path) as stream:
        return survey_lines(iterate_lines(stream, path), path)


def count_lines(path: Path) -> int | None:
    """Count the lines of a file, plain or compressed; None for a pipe, which cannot be read twice."""
    if not path.is_file():
        return None
    with open_file(path) as stream:
        return sum(1 for _ in iterate_lines(stream, path))


def iterate_lines(stream: BinaryIO, path: Path | None, *, first: int = 1) -> Iterator[bytes]:
    """Yield the lines of a stream, the first of which has the number `first`, with their line ends.

    Raises DataError for a line longer than LONGEST_LINE, without reading the rest of it.
    """
    for number, raw in enumerate(iter(partial(stream.readline, LONGEST_LINE + 1), b""), first):
        check_line_length(raw, path, f"line {number}")
        yield raw


def check_line_length(raw: bytes | bytearray, path: Path | None, where: str) -> None:
    """Raise DataError if a line, or the part of it that was read, is too long to be one of a text."""
    if len(raw) > LONGEST_LINE:
        raise DataError(
            f"{path or 'the input'}, {where}: longer than {LONGEST_LINE:,} bytes: check that it is a "
            "text with line ends (\\n)"
        )


def _check_first_line(raw: bytes, path: Path | None) -> None:
    """Raise DataError if the first line of a file or a stream (without a path) is not one of a text."""
    problem = find_binary_kind(raw, path) or find_mac_line_ends(raw, path)
    if not problem and raw.startswith(tuple(BYTE_ORDER_MARKS)):
        problem = (survey_file(path, [raw]) if path else survey_lines([raw], None)).describe()
    if problem:
        raise DataError(f"{path or 'the input'}: {problem}")


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file, plain or compressed, as bytes; DataError if it is missing or cannot be read to its end."""
    try:
        _check_compression(path)
        given = os.fdopen(os.dup(0), "rb") if path == STANDARD_INPUT else path
        with xopen(given, "rb", threads=0) as stream:
            yield stream
    except NmtError:
        raise
    except FileNotFoundError:
        raise DataError(f"no file {path}") from None
    except Exception as error:  # each decompressor has different error classes
        why = getattr(error, "strerror", None) or error
        advice = "if it is damaged or truncated, download or compress it again"
        raise DataError(f"cannot read {path}: {why}; {advice}") from error


def _check_compression(path: Path) -> None:
    """Raise DataError if a file with the ending of a compressed one is none."""
    magic = MAGIC.get(path.suffix, b"")
    if not magic or not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(len(magic))
    if not magic.startswith(head):
        raise DataError(
            f"cannot read {path}: it is not compressed, or otherwise than its name says (it begins with "
            f"{head!r}); rename it without {path.suffix} if it is plain text"
        )


def _strip_line_end(line: bytes, *, top: bool) -> bytes:
    """Remove the line end, and at the `top` of a file the byte-order mark."""
    text = line.removeprefix(BOM) if top else line
    return text.removesuffix(b"\n").removesuffix(b"\r")


def read_lines_leniently(
    stream: Iterable[bytes], *, top: bool = True, path: Path | None = None
) -> Iterator[tuple[str, str | None]]:
    """Yield every line of a stream, with a note if bytes that are not UTF-8 were replaced by U+FFFD.

    With `top` the stream starts at the beginning of its file, where a byte-order mark is skipped; DataError
    if it begins as no text does. If most of the text is not UTF-8, a warning describes it: for a file, whose
    `path` is given, at the first such line, for a stream at its end.
    """
    path = path if path and path.is_file() else None
    survey = ByteSurvey(None)
    for number, line in enumerate(stream):
        is_first = top and number == 0
        if is_first:
            _check_first_line(line, path)
        if survey.path is None:
            survey.add(line)
        if path and not survey.path and survey.is_suspicious:
            survey = survey_file(path, [line])
            _warn(survey)
        raw = _strip_line_end(line, top=is_first)
        try:
            yield raw.decode("utf-8"), None
        except UnicodeDecodeError as error:
            yield raw.decode("utf-8", "replace"), f"{_describe_bad_byte(error)} and was replaced by U+FFFD"
    if path is None:
        _warn(survey)


def _warn(survey: ByteSurvey) -> None:
    """Log a warning if most of a text is not UTF-8; single lines have notes of their own."""
    if not survey.is_mostly_utf8 and (problem := survey.describe()):
        _log.warning(f"{survey.path or 'the input'}: {problem}")


def _describe_bad_byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} is not UTF-8"
