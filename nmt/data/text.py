"""Text on disk, line by line.

A line ends at "\\n" and nowhere else: what other programs may take for a line end (U+2028, U+0085, a lone
"\\r", form feeds, NUL) stays inside it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import BinaryIO

from xopen import xopen

from nmt.errors import DataError, NmtError

COMPRESSIONS = ("", ".gz", ".bz2", ".xz", ".zst")
BOM = b"\xef\xbb\xbf"


def bare_name(name: str) -> str:
    """The name of a file without its compression's ending."""
    return next((name.removesuffix(end) for end in COMPRESSIONS if end and name.endswith(end)), name)


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or compressed, without their ends; DataError names file and line."""
    for number, raw in enumerate(_raw_lines(path), 1):
        try:
            yield raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: {_describe_bad_byte(error)}; "
                f"convert the file (iconv -f LATIN1 -t UTF-8, say) or fix the line"
            ) from None


def _raw_lines(path: Path) -> Iterator[bytes]:
    with open_file(path) as stream:
        yield from _strip_line_ends(stream)


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """A file, plain or compressed, as bytes; DataError if it is missing or cannot be read to its end."""
    try:
        with xopen(path, "rb", threads=0) as stream:
            yield stream
    except NmtError:
        raise
    except FileNotFoundError:
        raise DataError(f"no file {path}") from None
    except Exception as error:  # every decompressor has error classes of its own
        why = getattr(error, "strerror", None) or error
        advice = "if it is damaged or cut short, fetch or pack it again"
        raise DataError(f"cannot read {path}: {why}; {advice}") from error


def _strip_line_ends(stream: Iterable[bytes], *, top: bool = True) -> Iterator[bytes]:
    """Lines without their ends, the first without a byte-order mark if it is the file's first."""
    for number, line in enumerate(stream):
        text = line.removeprefix(BOM) if top and number == 0 else line
        yield text.removesuffix(b"\n").removesuffix(b"\r")


def read_lines_leniently(stream: Iterable[bytes], *, top: bool = True) -> Iterator[tuple[str, str | None]]:
    """Every line of a stream as text, and a note if bytes that are not UTF-8 were replaced by U+FFFD.

    `top` says that the stream begins where its file does, so that a byte-order mark is no text.
    """
    for raw in _strip_line_ends(stream, top=top):
        try:
            yield raw.decode("utf-8"), None
        except UnicodeDecodeError as error:
            yield raw.decode("utf-8", "replace"), f"{_describe_bad_byte(error)} and was replaced by U+FFFD"


def _describe_bad_byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} is not UTF-8"


def sample_lines(lines: Iterable[str], size: int, seed: int) -> list[str]:
    """`size` lines drawn evenly, or all of fewer (reservoir sampling: Vitter, 1985, algorithm R)."""
    rng, sample = Random(seed), list[str]()
    for seen, line in enumerate(lines, 1):
        if len(sample) < size:
            sample.append(line)
        elif (slot := int(rng.random() * seen)) < size:
            sample[slot] = line
    return sample
