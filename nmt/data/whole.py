"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import DataError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write a file until the block ends, which gives it its name `path`; an error removes it.

    DataError, before anything is written, where no file of that name can be.
    """
    if not path.parent.is_dir():
        raise DataError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise DataError(f"cannot write {path}: it is a folder")
    aside = aside_of(path)
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Where a file stands until it is whole."""
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file to the side, and give it its name when it is on the disk."""
    with written_whole(path) as aside, aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
