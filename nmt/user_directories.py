"""Directories of the user: where caches and state are kept, and which directories can be trusted."""

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from nmt.operating_system import find_user_id, is_writable_by_others


def cache_directory() -> Path:
    """Return the user's cache directory: $XDG_CACHE_HOME/nmt, or ~/.cache/nmt on Linux.

    Where it does not exist and cannot be created, a directory in `temporary_directory`.
    """
    return _find_directory(lambda: platformdirs.user_cache_path("nmt", appauthor=False), "cache")


def state_directory() -> Path:
    """Return the user's state directory: $XDG_STATE_HOME/nmt, or ~/.local/state/nmt on Linux.

    Where it does not exist and cannot be created, a directory in `temporary_directory`.
    """
    return _find_directory(lambda: platformdirs.user_state_path("nmt", appauthor=False), "state")


def _find_directory(usual: Callable[[], Path], name: str) -> Path:
    # Without a home directory, platformdirs raises RuntimeError; its older versions return `~/.cache`.
    with suppress(OSError, RuntimeError):
        directory = usual()
        if directory.is_absolute():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return directory
    directory = temporary_directory() / name
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


@cache
def temporary_directory() -> Path:
    """Return a private directory in the system's temporary directory, the same in every process of a user.

    If that name is taken by another user, is a link or is open to others: a new one for this process.
    """
    user = find_user_id()
    directory = Path(tempfile.gettempdir(), "nmt" if user is None else f"nmt-{user}")
    with suppress(OSError):
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
        is_ours = user is None or (status.st_uid == user and not status.st_mode & 0o077)
        if is_ours and stat.S_ISDIR(status.st_mode) and os.access(directory, os.W_OK):
            return directory
    return Path(tempfile.mkdtemp(prefix="nmt-"))


def find_exposure(directory: Path) -> str | None:
    """Return why others may have written to a directory: a clause for a message; None if only the user can.

    The directory must belong to the user or to root, and neither it nor a directory above may be writable by
    others (above it, the sticky bit is enough, as in /tmp). A group that contains only the user is no other.
    Always None on Windows, where a mode does not say who may write.
    """
    user = find_user_id()
    if user is None:
        return None
    directory = directory.resolve()
    status = directory.stat()
    if status.st_uid not in (user, 0):
        return f"{directory} belongs to another user (uid {status.st_uid})"
    if is_writable_by_others(status):
        return f"others may write to {directory}"
    for parent in directory.parents:
        status = parent.stat()
        if not status.st_mode & stat.S_ISVTX and is_writable_by_others(status):
            return f"others may write to {parent}"
    return None
