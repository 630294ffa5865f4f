"""Text files, line by line. A line ends at "\\n" only: characters that other programs may treat as a line end
(U+2028, U+0085, a lone "\\r", form feeds, NUL) are part of the line."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import BinaryIO

from xopen import xopen

from nmt.errors import DataError, NmtError

COMPRESSIONS = ("", ".gz", ".bz2", ".xz", ".zst")
MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\0", ".zst": b"\x28\xb5\x2f\xfd"}
"""The first bytes of each kind of compressed file."""
BOM = b"\xef\xbb\xbf"


def strip_compression(name: str) -> str:
    """Return the name of a file without the suffix of its compression."""
    return next((name.removesuffix(end) for end in COMPRESSIONS if end and name.endswith(end)), name)


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, plain or compressed, without line ends; DataError if not UTF-8."""
    with open_file(path) as stream:
        for number, raw in enumerate(_strip_line_ends(stream), 1):
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}, line {number}: {_describe_bad_byte(error)}; "
                    f"convert the file (for example iconv -f LATIN1 -t UTF-8) or fix the line"
                ) from None


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file, plain or compressed, as bytes; DataError if it is missing or cannot be read to its end."""
    try:
        _check_compression(path)
        with xopen(path, "rb", threads=0) as stream:
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


def _strip_line_ends(stream: Iterable[bytes], *, top: bool = True) -> Iterator[bytes]:
    """Yield lines without line ends, and without the byte-order mark at the beginning of a file."""
    for number, line in enumerate(stream):
        text = line.removeprefix(BOM) if top and number == 0 else line
        yield text.removesuffix(b"\n").removesuffix(b"\r")


def read_lines_leniently(stream: Iterable[bytes], *, top: bool = True) -> Iterator[tuple[str, str | None]]:
    """Yield every line of a stream, with a note if bytes that are not UTF-8 were replaced by U+FFFD.

    With `top` the stream starts at the beginning of its file, where a byte-order mark is skipped.
    """
    for raw in _strip_line_ends(stream, top=top):
        try:
            yield raw.decode("utf-8"), None
        except UnicodeDecodeError as error:
            yield raw.decode("utf-8", "replace"), f"{_describe_bad_byte(error)} and was replaced by U+FFFD"


def _describe_bad_byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} is not UTF-8"


def sample_lines(lines: Iterable[str], size: int, seed: int) -> list[str]:
    """Draw `size` lines uniformly, or all of fewer (reservoir sampling: Vitter, 1985, algorithm R)."""
    rng, sample = Random(seed), list[str]()
    for seen, line in enumerate(lines, 1):
        if len(sample) < size:
            sample.append(line)
        elif (slot := int(rng.random() * seen)) < size:
            sample[slot] = line
    return sample
