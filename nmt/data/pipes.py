"""Lines of a pipe, which can be asked whether another line has arrived."""

import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import BinaryIO

from nmt.data.text import check_line_length

PAUSE = 0.05  # seconds without input after which the lines so far are answered
BLOCK = 1 << 16


class PipeLines(Iterator[bytes]):
    """The lines of a pipe, terminal or socket, with their ends."""

    def __init__(self, stream: BinaryIO) -> None:
        self._descriptor = stream.fileno()
        self._lines, self._rest, self._ended = deque[bytes](), bytearray(), False
        self._complete = 0  # number of lines

    def fileno(self) -> int:
        """Return the file descriptor, to wait for input."""
        return self._descriptor

    def __next__(self) -> bytes:
        while not self._lines and not self._ended:
            self._read()
        if not self._lines:
            raise StopIteration
        return self._lines.popleft()

    def is_ready(self, seconds: float = 0.0) -> bool:
        """Return True if a whole line, or the end of the input, arrives within this time."""
        end = time.monotonic() + seconds
        while not self._lines and not self._ended:
            if not wait([self._descriptor], max(0.0, end - time.monotonic())):
                return False
            self._read()
        return True

    def _read(self) -> None:
        block = os.read(self._descriptor, BLOCK)
        self._rest += block
        self._ended = not block
        if b"\n" in block or self._ended:
            *lines, last = bytes(self._rest).split(b"\n")
            self._lines += [line + b"\n" for line in lines]
            self._lines += [last] if self._ended and last else []
            self._rest = bytearray(last)
            self._complete += len(lines)
        check_line_length(self._rest, None, f"line {self._complete + 1}")


def open_pipe(stream: BinaryIO) -> PipeLines | None:
    """Return the lines of a stream that can be waited for; None for a file, and where the system cannot."""
    try:
        kind = os.fstat(stream.fileno()).st_mode
        lines = None if stat.S_ISREG(kind) or os.name != "posix" else PipeLines(stream)
        if lines:
            wait([lines.fileno()], 0.0)
    except (OSError, ValueError):  # no descriptor, or one that cannot be waited for
        return None
    return lines
