"""Standard input, output and error of the command: open, in UTF-8, and flushed before the command ends."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

from nmt.errors import DataError

STREAMS = ("stdin", "stdout", "stderr")
"""Names of the standard streams by their file descriptors."""


def restart_in_utf8() -> None:
    """Restart the command in Python's UTF-8 mode if the locale has another encoding.

    Text, recipes and the file names in them are UTF-8 whatever the locale is. A program that calls the
    command from Python is not restarted.
    """
    program = Path(sys.argv[0])
    is_command = program.name == "nmt" or program.parts[-2:] == ("nmt", "__main__.py")
    if sys.getfilesystemencoding() != "utf-8" and is_command:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def open_streams() -> None:
    """Open the null device for closed streams (`<&-`, `2>&-`), and use UTF-8 for all.

    Otherwise the next file that is opened would get the descriptor of a closed stream, and everything that
    libraries print there. Raises DataError if standard output is closed.
    """
    closed = [name for name in STREAMS if getattr(sys, name) is None]
    for name in closed:
        descriptor = STREAMS.index(name)
        _open_null_device(descriptor)
        setattr(sys, name, os.fdopen(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))
    for name in STREAMS:
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper):
            errors = "backslashreplace" if name == "stderr" else "surrogateescape"
            stream.reconfigure(encoding="utf-8", errors=errors)
    if "stdout" in closed:
        raise DataError("standard output is closed: redirect it, to /dev/null if the output is not wanted")


def _open_null_device(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)


def flush_output() -> bool:
    """Flush stdout; if that fails, abandon it and return False."""
    try:
        sys.stdout.flush()
    except OSError:
        abandon_output()
        return False
    return True


def abandon_output() -> None:
    """Redirect stdout to the null device: nobody reads it, or it is full, and Python flushes it at exit."""
    with suppress(OSError, ValueError):  # in a test, stdout may be no file
        _open_null_device(sys.stdout.fileno())
