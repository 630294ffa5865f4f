"""A directory that is written to belongs to one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import UsageError

LOCK = ".lock"


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold a directory's lock; gives its file descriptor. UsageError while another process holds it.

    The system lets the lock go when the process ends, however it ends, and every process that the descriptor
    was passed on to.
    """
    with (directory / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "?"
            raise UsageError(
                f"another process ({holder}, or one that it began) is at work in {directory}"
            ) from None
        except OSError:
            pass  # a file system without locks: better to train unguarded than not at all
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()
