"""A stand-in for another system, named by $STAND_IN: win32 or darwin. On PYTHONPATH, it is imported at start.

The package sees `sys`, `os`, `signal` and `subprocess` as they are there, and cannot import modules that are
missing there; the libraries, which know both systems, see the real ones. On Windows, moreover, open files
cannot be renamed or removed, and names have no reserved characters, as far as the system asks Python.
"""

import builtins
import fcntl
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

SYSTEM = os.environ["STAND_IN"]
MISSING = {
    "win32": {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "posix", "syslog"},
    "darwin": set[str](),
}[SYSTEM]
OS = (
    *("fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getpgid", "setsid", "sysconf", "uname"),
    *("nice", "setpriority", "getpriority", "mkfifo", "mknod", "wait", "wait3", "wait4", "chown", "lchown"),
    *("fchown", "fchmod", "chroot"),
    *("statvfs", "fstatvfs", "getloadavg", "killpg", "sched_getaffinity", "sched_setaffinity", "pread"),
    *("pwrite", "sendfile", "memfd_create", "openpty", "ttyname", "sync", "fdatasync", "getgroups", "pipe2"),
    *("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_DIRECTORY", "O_SYNC", "O_NOCTTY", "O_TMPFILE"),
)
SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
BINARY = 1 << 30  # O_BINARY
DEVICE = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?", re.IGNORECASE)
"""Names of devices, in every folder of Windows."""


class Seen(ModuleType):
    """A module as it is on the other system."""

    def __init__(self, real: ModuleType, hides: Callable[[str], bool], **own: Any) -> None:
        super().__init__(real.__name__)
        vars(self).update(_real=real, _hides=hides, _own=own)

    def __getattr__(self, name: str) -> Any:
        if name in self._own:
            return self._own[name]
        if self._hides(name):
            raise AttributeError(f"module {self._real.__name__!r} has no attribute {name!r}")
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def open_descriptor(path: Any, flags: int, *arguments: int) -> int:
    """Directories cannot be opened; without O_BINARY, line ends are converted."""
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", str(path))
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    assert writes or flags & BINARY, f"{path} is read as text: its line ends are converted"
    return os.open(path, flags & ~BINARY, *arguments)


def flush(descriptor: int) -> None:
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    os.fsync(descriptor)


class Process(subprocess.Popen[Any]):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        if options.pop("pass_fds", ()):
            raise ValueError("pass_fds not supported on Windows.")
        options.pop("creationflags", 0)
        super().__init__(*arguments, **options)


def refuse_link(*_: object, **__: object) -> None:
    raise OSError(22, "A required privilege is not held by the client", None)


def check_name(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: a name that is created has no reserved characters."""
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
    names = arguments[1:2] if event == "os.rename" else arguments[:1]
    if (writes or event in ("os.rename", "os.mkdir")) and isinstance(names[0], (str, os.PathLike)):
        name = os.path.basename(os.fspath(names[0]))
        if set(name) & set('<>:"|?*\\') or name.endswith((".", " ")) or DEVICE.fullmatch(name):
            raise OSError(22, "Invalid argument", name)


def check_closed(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: neither source nor target of a change of names may be open, or contain open files."""
    if event not in ("os.rename", "os.remove") or not isinstance(arguments[0], (str, os.PathLike)):
        return
    names = [os.path.abspath(path) for path in arguments[: 1 + (event == "os.rename")]]
    for link in Path("/proc/self/fd").iterdir():
        try:
            held = os.readlink(link)
        except OSError:
            continue
        if any(held == name or held.startswith(f"{name}/") for name in names):
            raise PermissionError(13, f"it is used by another process: {held}", names[0])


WINDOWS = {
    "sys": Seen(sys, lambda name: False, platform="win32"),
    "os": Seen(os, OS.__contains__, name="nt", open=open_descriptor, fsync=flush, O_BINARY=BINARY),
    "signal": Seen(
        signal,
        lambda name: name.startswith("SIG") and name not in SIGNALS,
        SIGBREAK=signal.SIGTTIN,
        CTRL_BREAK_EVENT=signal.SIGTTIN,
    ),
    "subprocess": Seen(subprocess, lambda name: False, CREATE_NEW_PROCESS_GROUP=512, Popen=Process),
}
MAC = {"sys": Seen(sys, lambda name: False, platform="darwin"), "os": Seen(os, "sched_getaffinity".__eq__)}
MODULES = WINDOWS if SYSTEM == "win32" else MAC
real_import = builtins.__import__


def import_as_there(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    if globals and str(globals.get("__name__")).partition(".")[0] == "nmt":
        if name in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in MODULES:
            return MODULES[name]
    return real_import(name, globals, locals, fromlist, level)


builtins.__import__ = import_as_there
if SYSTEM == "win32":
    os.symlink = refuse_link
    sys.addaudithook(check_closed)
    sys.addaudithook(check_name)
