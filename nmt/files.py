"""Files that are written whole or not at all, and checksums."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.errors import DataError, UsageError


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


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SETTLED = 2_000_000_000
"""Nanoseconds: a file changed this shortly before it was read may change again within a tick of its clock."""

Entry = tuple[str, list[int]]
"""The sum of a file, and its size, times and inode when it was read."""


def checksums(files: Iterable[Path], memory: Path) -> list[str]:
    """The SHA-256 of each file, as `memory` has it where size, times and inode are as they were.

    What is read anew is remembered there. Raises DataError for a file that cannot be read.
    """
    names, known = [str(path.absolute()) for path in files], _remembered(memory)
    found = {name: _read(name, known.get(name)) for name in dict.fromkeys(names)}
    settled = {name: entry for name, (entry, lasts) in found.items() if lasts}
    if any(known.get(name) != entry for name, entry in settled.items()):
        with suppress(OSError):  # a folder that cannot be written to costs time, no more
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_whole(memory, (json.dumps(known | settled, indent=1) + "\n").encode())
    return [found[name][0][0] for name in names]


def _read(name: str, known: Entry | None) -> tuple[Entry, bool]:
    """The entry of a file, and whether one can rely on it next time."""
    path = Path(name)
    try:
        now, stat = time.time_ns(), path.stat()
        seen = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        if known is not None and known[1] == seen:
            return known, True
        return (sha256_of(path), seen), now - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def _remembered(memory: Path) -> dict[str, Entry]:
    try:
        return {name: (digest, seen) for name, (digest, seen) in json.loads(memory.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
