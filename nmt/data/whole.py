"""Files that are there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.errors import UsageError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write a file until the block ends, which gives it its name `path`; an error removes it.

    Of a link the target is replaced. What is no regular file (a pipe, a device) gets the content when it is
    whole. UsageError, before anything is written, where no file of that name can be.
    """
    check_place(path)
    if _is_stream(path):
        with _poured_into(path) as aside:
            yield aside
        return
    target = _target(path)
    aside = aside_of(target)
    try:
        yield aside
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """UsageError where no file of that name can be written."""
    for place in (path, _target(path)):
        if not place.parent.is_dir():
            raise UsageError(f"cannot write {path}: there is no folder {place.parent}")
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")


def _is_stream(path: Path) -> bool:
    """Whether it is a pipe, a device, or a file that was opened by another: `-o /dev/stdout >> log`."""
    opened = path in (Path("/dev/stdout"), Path("/dev/stderr")) or path.parent == Path("/dev/fd")
    return opened or (path.exists() and not path.is_file())


def _target(path: Path) -> Path:
    """The file that a link leads to, so that the link stays."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def _poured_into(path: Path) -> Iterator[Path]:
    """Where to write what a pipe or a device is to get."""
    with TemporaryDirectory() as folder:
        aside = Path(folder) / path.name
        yield aside
        with aside.open("rb") as content, path.open("ab") as sink:
            shutil.copyfileobj(content, sink)


def aside_of(path: Path) -> Path:
    """Where a file stands until it is whole."""
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file to the side, and give it its name when it is on the disk."""
    with written_whole(path) as aside, aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
