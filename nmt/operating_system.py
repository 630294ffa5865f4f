"""Differences between operating systems: the only module with names that some system lacks."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP)  # errors of file systems that cannot flush a directory
IS_WINDOWS = sys.platform == "win32"
STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = (
    Path("/dev", name) for name in ("stdin", "stdout", "stderr")
)
"""Names of the standard streams, on every system (`stat_file`)."""
DESCRIPTORS = {STANDARD_INPUT: 0, STANDARD_OUTPUT: 1, STANDARD_ERROR: 2}
CGROUPS = Path("/sys/fs/cgroup")
START_METHOD = "fork" if sys.platform == "linux" else "spawn"
"""How worker processes start: forking a running program is safe on Linux only."""
READ_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
)
"""Flags to open a file to be read as it is, whatever it is: not through a link, nor blocking on a pipe."""
APPEND_FLAGS = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
"""Flags to add to the end of a file, not through a link."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGBREAK] if hasattr(signal, "SIGBREAK") else []))
"""Signals that ask a program to stop: Ctrl-C, `kill`, and Ctrl-Break on Windows."""
RELOAD_SIGNAL: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""The signal that asks a server to read its configuration again; None on Windows."""
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
KILLED_EXIT_CODE = -KILL if hasattr(signal, "SIGKILL") else int(KILL)
"""The exit code of a process that `kill_this_process` ended."""
COMPILER_ADVICE = {
    "linux": "install gcc (such as apt-get install gcc)",
    "darwin": "install clang (xcode-select --install)",
    "win32": "install gcc (winlibs.com) and add its folder bin to PATH",
}.get(sys.platform, "install gcc")
NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
LOW_PRIORITY = 10  # of 19: about a tenth of a core that others use
CAN_INHERIT = not NEW_GROUP  # descriptors, on all systems but Windows


def count_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lower_priority(pid: int) -> None:
    """Give a process of this user less of the CPU than others; not on Windows."""
    with suppress(ProcessLookupError):
        if sys.platform != "win32":
            os.setpriority(os.PRIO_PROCESS, pid, LOW_PRIORITY)


def kill_this_process() -> NoReturn:
    """End the process at once: nothing is flushed or cleaned up."""
    os.kill(os.getpid(), KILL)
    raise SystemExit(KILLED_EXIT_CODE)


def kill_process(number: int) -> None:
    """End a process at once, if it has not ended."""
    with suppress(ProcessLookupError, PermissionError):  # the latter on Windows
        os.kill(number, KILL)


def start_process(
    command: list[str],
    *,
    log: int,
    output: int,
    environment: dict[str, str],
    inherited: int,
    detached: bool = True,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process without input that gets the descriptor `inherited`.

    It writes to the descriptors `output` and `log`. If it is `detached`, Ctrl-C does not reach it, nor does
    a signal to the group of this process. On Windows it is always detached and inherits no descriptor.
    """
    return subprocess.Popen(
        command,
        pass_fds=[inherited] if CAN_INHERIT else [],
        start_new_session=detached,
        creationflags=NEW_GROUP,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=log,
        env=environment,
        cwd=folder,
    )


def request_stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to a process of `start_process`; on Windows Ctrl-Break, since SIGTERM kills there."""
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))


def send_socket(channel: socket.socket, connection: socket.socket) -> None:
    """Send a connected socket to the process at the other end of a channel (`START_METHOD` is fork)."""
    if sys.platform != "win32":
        socket.send_fds(channel, [b"s"], [connection.fileno()])


def receive_socket(channel: socket.socket) -> socket.socket | None:
    """Wait for a socket of `send_socket`; return None if the other end is closed."""
    if sys.platform == "win32":
        return None
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    return socket.socket(fileno=descriptors[0]) if descriptors else None


def fork_process(run: Callable[[], None]) -> None:
    """Run a function in a copy of this process, which has one thread and does not wait for its end."""
    if sys.platform == "win32":
        raise NotImplementedError
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets ended children
    if os.fork() == 0:
        try:
            run()
        finally:
            os._exit(0)


def lock_descriptor(descriptor: int, *, blocking: bool = False) -> bool:
    """Lock an open file until it is closed; return False if another process holds the lock.

    The system releases it when the process, and every process that inherited the descriptor, has ended. On
    file systems without locks it returns True.
    """
    import filelock  # here: commands that lock nothing start without it

    with suppress(OSError):
        return filelock.lock_descriptor(descriptor, blocking=blocking)
    return True


def flush_to_disk(path: Path) -> None:
    """Flush a file, or the names in a directory, to disk. Windows does so for files open for writing only."""
    if IS_WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def lock(path: Path, *, blocking: bool) -> int:
    """Lock a file or directory and return a descriptor, for `unlock`; not through a link.

    Raises BlockingIOError if another process holds the lock, unless it waits (`blocking`). A forked process
    does not keep the lock of one that is killed. On Windows, where nothing that is open can be renamed, a
    file next to it is locked.
    """
    if IS_WINDOWS:
        path.lstat()
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT)
    else:
        descriptor = os.open(path, READ_FLAGS)
    _locked[descriptor] = path
    if not lock_descriptor(descriptor, blocking=blocking):
        unlock(descriptor)
        raise BlockingIOError(f"{path} is locked")
    return descriptor


def unlock(descriptor: int) -> None:
    """Release a lock."""
    if path := _locked.pop(descriptor, None):
        os.close(descriptor)
        if IS_WINDOWS:
            with suppress(OSError):  # another process waits for it
                os.unlink(f"{path}.lock")


def _unlock_all() -> None:
    for descriptor in [*_locked]:
        unlock(descriptor)


_locked = dict[int, Path]()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_unlock_all)


def stat_file(path: Path) -> os.stat_result:
    """Return the status of a file, or of a standard stream by its name."""
    return os.fstat(DESCRIPTORS[path]) if path in DESCRIPTORS else path.stat()


def is_open_descriptor(path: Path) -> bool:
    """Return True for the name of a standard output or of a descriptor, as in `-o /dev/stdout >> log`."""
    return path in (STANDARD_OUTPUT, STANDARD_ERROR) or path.parent == Path("/dev/fd")


def create_link(link: Path, target: str) -> None:
    """Create a link to a file next to it; where that is not possible, a file that contains its name.

    Windows replaces no link to a directory, and lets only administrators create one; FAT disks have none.
    """
    if not IS_WINDOWS:
        with suppress(OSError):
            link.symlink_to(target)
            return
    link.write_bytes(target.encode() + b"\n")


def find_user_id() -> int | None:
    """Return the id of the user; None on Windows, where files have access lists instead of a mode."""
    return os.getuid() if hasattr(os, "getuid") else None


def is_writable_by_others(status: os.stat_result) -> bool:
    """Return True if users other than the owner may write, by the mode of a file or directory."""
    by_group = bool(status.st_mode & stat.S_IWGRP) and not is_private_group(status.st_gid)
    return by_group or bool(status.st_mode & stat.S_IWOTH)


def is_private_group(group: int) -> bool:
    """Return True for the user's own group, which distributions create with the user for `umask 002`."""
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return entry.gr_gid == user.pw_gid and entry.gr_name == user.pw_name and {*entry.gr_mem} <= {user.pw_name}


def find_peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def describe_processor() -> str:
    """Return the instructions that the processor has, as Linux lists them; empty on other systems."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return ""


def find_load() -> float:
    """Return how many programs have been running on average in the last minute; 0 where that is unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def find_total_memory() -> int | None:
    """Return the bytes of memory of the machine; None if that is unknown, as on Windows."""
    if sys.platform == "win32":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def list_free_memory() -> Iterator[int]:
    """Yield what the machine, the control groups (containers) and `ulimit -v` leave: on Linux only."""
    if sys.platform != "linux":
        return
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        yield from (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if not controllers:
                yield from _cgroup_limits(CGROUPS / name.lstrip("/"), "memory.max", "memory.current")
            elif "memory" in controllers.split(","):
                folder = CGROUPS / "memory" / name.lstrip("/")
                yield from _cgroup_limits(folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
    import resource

    with suppress(OSError, ValueError, IndexError):
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
            yield max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))


def _cgroup_limits(folder: Path, limit: str, usage: str) -> Iterator[int]:
    """Yield what a control group and those around it leave; the cache of files can be dropped."""
    for group in (folder, *folder.parents):
        if not group.is_relative_to(CGROUPS):
            return
        with suppress(OSError, ValueError):  # the outermost group has no limit, and `max` means none
            maximum, used = (int((group / name).read_text(encoding="utf-8")) for name in (limit, usage))
            stat = (group / "memory.stat").read_text(encoding="utf-8").splitlines()
            cache = sum(
                int(line.split()[1]) for line in stat if line.startswith(("inactive_file ", "active_file "))
            )
            yield max(0, maximum - used + cache)
