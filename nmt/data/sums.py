"""SHA-256 sums of large files that seldom change: a file is read again only where it may be another."""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from nmt.data.download import sha256_of
from nmt.data.whole import write_whole
from nmt.errors import DataError

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
