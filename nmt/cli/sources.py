"""Where the lines of a translation come from."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nmt.cli.options import Command
from nmt.data.text import COMPRESSIONS, read_lines_leniently
from nmt.decoding import io as json_lines
from nmt.decoding import shards
from nmt.decoding.job import Line, add_constraints, number_lines
from nmt.errors import DataError, UsageError


@contextmanager
def reading(path: Path | None) -> Iterator[BinaryIO]:
    """A file, or standard input."""
    if path is None:
        yield sys.stdin.buffer
        return
    if path.suffix in COMPRESSIONS[1:]:
        raise UsageError(
            f"{path} is compressed: unpack it into standard input (zcat {path} | nmt translate ...)"
        )
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    with stream:
        yield stream


class Source(NamedTuple):
    """What a job reads."""

    lines: Iterator[Line]
    total: int | None  # lines, if they can be counted beforehand
    stretch: shards.ShardRange | None  # where they stand in their file, if they are a shard of it


@contextmanager
def opened(command: Command) -> Iterator[Source]:
    """The lines to translate, with what is wished of them."""
    with reading(command.source) as stream:
        shard = shards.parse_shard(command.shard) if command.shard else None
        stretch = shards.find_shard(stream, shard) if shard else None
        total = None if command.quiet else _count(command.source, stretch)
        yield Source(_lines(stream, command, stretch), total, stretch)


def _lines(stream: BinaryIO, command: Command, stretch: shards.ShardRange | None) -> Iterator[Line]:
    first = stretch.first if stretch else 1
    raw = shards.read_shard(stream, stretch) if stretch else stream
    texts = read_lines_leniently(raw, top=first == 1)
    if command.json:
        return (json_lines.read(number, *text, command.field) for number, text in enumerate(texts, first))
    wishes = {"prefix": command.prefix, "must": command.must, "must_not": command.must_not}
    files = {name: path for name, path in wishes.items() if path}
    lines = number_lines(texts, first)
    return add_constraints(lines, files, first, to_the_end=stretch is None) if files else lines


def _count(path: Path | None, stretch: shards.ShardRange | None) -> int | None:
    """For the progress bar; a pipe cannot be read twice."""
    if path is None or not path.is_file():
        return None
    with path.open("rb") as stream:
        if stretch:
            return sum(1 for _ in shards.read_shard(stream, stretch))
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
