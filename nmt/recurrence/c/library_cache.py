"""Compiled libraries in `kernels` of the user's cache, each with its SHA-256 in its name.

A library is code: it is loaded only if its checksum is right, and only from a directory that nobody but the
user can write to. Concurrent processes may build the same one; each is renamed when it is complete.
"""

import ctypes
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from nmt.errors import warn_once
from nmt.files import file_sha256, replace_file
from nmt.user_directories import cache_directory, find_exposure, temporary_directory

log = logging.getLogger(__name__)


def load_library(key: str, build: Callable[[Path], Path]) -> ctypes.CDLL:
    """Load the library stored under a key, or build it if there is none or it is damaged.

    `build` gets an empty directory and returns a file there. Directories that are read-only or full are
    skipped, as are those that code cannot run from (`noexec`); raises OSError if there is no other.
    """
    directories = [*_private_directories()]
    problem = OSError("there is no private directory for it")
    for attempt in (_load_stored, partial(_build, build)):
        for directory in directories:
            try:
                if library := attempt(directory, key):
                    return library
            except OSError as error:
                problem = OSError(f"{directory}: {error.strerror or error}")
    raise problem


def _private_directories() -> Iterator[Path]:
    """Yield the directories for libraries: in the user's cache, and in the temporary directory."""
    for parent in (cache_directory, temporary_directory):
        with suppress(OSError):
            directory = parent() / "kernels"
            directory.mkdir(mode=0o700, exist_ok=True)
            exposure = find_exposure(directory)
            if exposure is None:
                yield directory
            else:
                warn_once(
                    log,
                    f"compiled kernels are not kept in {directory}: {exposure}; make it yours alone, or set "
                    "XDG_CACHE_HOME to a directory that only you can write to",
                )


def _load_stored(directory: Path, key: str) -> ctypes.CDLL | None:
    """Load the library of a key; if there is none, remove damaged ones and return None."""
    for path in directory.glob(f"{key}-*.so"):
        with suppress(FileNotFoundError):  # another process has removed it
            if file_sha256(path) == path.stem.removeprefix(f"{key}-"):
                return ctypes.CDLL(str(path))
            path.unlink()
    return None


def _build(build: Callable[[Path], Path], directory: Path, key: str) -> ctypes.CDLL:
    """Build a library, load it, and store it in a directory."""
    with TemporaryDirectory(dir=directory) as scratch:
        file = build(Path(scratch))
        file.chmod(0o600)
        stored = directory / f"{key}-{file_sha256(file)}.so"
        library = ctypes.CDLL(str(file))  # before it is stored: what cannot be loaded is not kept
        with suppress(OSError):  # of a full disk: the library is loaded
            replace_file(file, stored)
    return library
