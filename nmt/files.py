"""Files: atomic writes, SHA-256 checksums, paths as users write them, files that come with the package."""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path
from stat import S_IMODE
from tempfile import TemporaryDirectory
from typing import Literal

from nmt.errors import DataError, UsageError
from nmt.operating_system import IS_WINDOWS, flush_to_disk, is_open_descriptor, lock, unlock

DISK_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
HUB_PREFIX = "hf:"
BLOCK = 1 << 24  # bytes hashed per call: frequent returns to Python slow down other threads


@contextmanager
def atomic_file(path: Path, *, blocking: bool = False) -> Iterator[Path]:
    """Yield the path to write to; when the block ends, that file is flushed to disk and renamed to `path`.

    If the block raises, nothing is left behind. A symbolic link is followed. A pipe or a device receives the
    content once it is complete. Raises UsageError before anything is written if `path` cannot be a file, or
    if another process is writing it, unless it waits (`blocking`); DataError if the disk is full.
    """
    check_writable(path)
    if is_stream(path):
        with TemporaryDirectory() as directory:
            content = Path(directory) / path.name
            yield content
            with content.open("rb") as file, path.open("ab") as stream:
                shutil.copyfileobj(file, stream)
        return
    target = _target(path)
    side = temporary_file(target)
    with _create_temporary(side, path, blocking=blocking):
        yield side
        replace_file(side, target)


@contextmanager
def _create_parents(path: Path) -> Iterator[None]:
    """Create the directories that a path is in, and remove the new ones if the block raises."""
    absent = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from None
    try:
        yield
    except BaseException:
        for parent in absent:
            with suppress(OSError):
                parent.rmdir()
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically, as `atomic_file` does; of several processes, each waits for the one before."""
    with atomic_file(path, blocking=True) as side:
        side.write_bytes(content)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory to fill; when the block ends, it is flushed to disk and renamed to `path`.

    A directory of that name is replaced. If the block raises, nothing is left behind; the remains of a
    killed process are removed by the next call. Raises UsageError if another process is writing it, DataError
    if the disk is full.
    """
    side = path.with_name(f".{path.name}.partial")
    with _create_parents(side), _create_temporary(side, path, is_directory=True):
        yield side
        mode = S_IMODE(side.stat().st_mode)  # by the umask, which libraries that write 0600 do not heed
        for file in side.rglob("*"):
            _set_mode(file, mode if file.is_dir() else mode & 0o666)
        for file in (*side.rglob("*"), side):
            flush_to_disk(file)
        old = path.with_name(f".{path.name}.replaced")
        remove_path(old)
        if path.exists():
            _set_mode(side, S_IMODE(path.stat().st_mode))
            path.rename(old)
        side.rename(path)
        remove_path(old)
        flush_to_disk(path.parent)


@contextmanager
def _create_temporary(
    side: Path, output: Path, *, is_directory: bool = False, blocking: bool = False
) -> Iterator[None]:
    """Create a temporary file or directory and hold its lock; if the block raises, remove it.

    What a killed process has left there is removed first. Errors of writing get the name of the output.
    """
    remove = remove_path if is_directory else Path.unlink
    try:
        while True:
            is_new = _create(side, is_directory=is_directory)
            with lock_path(side, output, blocking=blocking) as is_locked:
                if is_new and is_locked:
                    try:
                        yield
                    except BaseException:
                        with suppress(OSError):
                            remove(side)
                        raise
                    return
                if is_locked or side.is_symlink():
                    remove(side)
    except (OSError, DataError) as error:
        if full := _write_error(error, side, output):
            raise full from error
        raise


def _create(path: Path, *, is_directory: bool) -> bool:
    """Create a file or directory; return False if there is one."""
    try:
        path.mkdir() if is_directory else path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@contextmanager
def lock_path(path: Path, output: Path, *, blocking: bool = False) -> Iterator[bool]:
    """Hold the lock of a file or directory of `output`, which the system releases if the process is killed.

    Raises UsageError while another process holds it, unless it waits (`blocking`). Yields False if the path
    is a link, or has been removed or replaced by the time that it is locked.
    """
    with ExitStack() as stack:
        is_same = False
        if not path.is_symlink():
            with suppress(FileNotFoundError):
                try:
                    descriptor = lock(path, blocking=blocking)
                except BlockingIOError:
                    raise UsageError(
                        f"another process is writing {output}: wait for its end, or choose another output"
                    ) from None
                stack.callback(unlock, descriptor)
                is_same = IS_WINDOWS or os.path.samestat(os.fstat(descriptor), path.lstat())
        yield is_same


def replace_file(side: Path, path: Path) -> None:
    """Flush the file `side` to disk and rename it to `path`; a file that it replaces leaves it its mode."""
    if path.exists():
        _set_mode(side, S_IMODE(path.stat().st_mode))
    flush_to_disk(side)
    side.replace(path)
    flush_to_disk(path.parent)


def _set_mode(file: Path, mode: int) -> None:
    """Set the permissions of a file, where its file system has any."""
    if not file.is_symlink():
        with suppress(OSError):
            file.chmod(mode)


def _write_error(error: OSError | DataError, side: Path, path: Path) -> DataError | None:
    """Return the error of a full disk, or of a file that cannot be written, with its final name."""
    if isinstance(error, DataError):  # of a file that was written atomically inside the directory
        message = str(error).replace(str(side), str(path))
        return DataError(message) if message != str(error) else None
    names = [str(name) for name in (error.filename2, error.filename) if str(name).startswith(str(side))]
    if error.errno not in DISK_FULL and not names:
        return None
    file = names[0].replace(str(side), str(path)) if names else path
    return DataError(f"cannot write {file}: {error.strerror}")


def remove_path(path: Path) -> None:
    """Remove a file, a link or a directory with all it contains, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def temporary_file(path: Path) -> Path:
    """Return the hidden path that a file is written to before it is renamed."""
    return path.with_name(f".{path.name}.part")


def part_file(path: Path) -> Path:
    """Return `path.part`: an incomplete file that a later call or job resumes."""
    return path.with_name(f"{path.name}.part")


def check_writable(path: Path) -> None:
    """Raise UsageError if no file of that name can be written."""
    for file in (path, _target(path)):
        if not file.parent.is_dir():
            raise UsageError(f"cannot write {path}: no such directory: {file.parent}")
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a directory")


def is_stream(path: Path) -> bool:
    """Return True for a pipe, a device, or a file opened by the shell: `-o /dev/stdout >> log`."""
    return is_open_descriptor(path) or (path.exists() and not path.is_file())


def _target(path: Path) -> Path:
    """Follow a symbolic link, so that the link is kept and its target is replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb", buffering=0) as file:
        return stream_sha256(file)


def stream_sha256(file: FileIO | BufferedReader) -> str:
    """Return the SHA-256 of the rest of an open file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(BLOCK, max(os.fstat(file.fileno()).st_size, 1))))
    while size := file.readinto(buffer):
        digest.update(buffer[:size])
    return digest.hexdigest()


SETTLED = 2_000_000_000  # nanoseconds: a file changed since may change again within a tick of its clock
Entry = tuple[str, list[int]]  # the SHA-256 of a file, and its size, times and inode when it was read


def cached_sha256(files: Iterable[Path], cache: Path, settled: int = SETTLED) -> list[str]:
    """Return the SHA-256 of each file, from `cache` where its size, times and inode are unchanged.

    Checksums of files that were last changed more than `settled` nanoseconds ago are added to the cache.
    Raises DataError for a file that cannot be read.
    """
    names, known = [str(path.absolute()) for path in files], _read_cache(cache)
    digests, fresh = dict[str, str](), dict[str, Entry]()
    for name in dict.fromkeys(names):
        path = Path(name)
        try:
            now, stat = time.time_ns(), path.stat()
            state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            if name in known and known[name][1] == state:
                digests[name] = known[name][0]
                continue
            digests[name] = file_sha256(path)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None
        if now - max(stat.st_mtime_ns, stat.st_ctime_ns) > settled:
            fresh[name] = digests[name], state
    if fresh:
        with suppress(OSError, DataError):  # without a cache the files are just read again
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_file(cache, (json.dumps(known | fresh, indent=1) + "\n").encode())
    return [digests[name] for name in names]


def _read_cache(path: Path) -> dict[str, Entry]:
    try:
        return {name: (digest, state) for name, (digest, state) in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def shipped_directory(name: Literal["recipes", "corpora"], package: Path = Path(__file__).parent) -> Path:
    """Return the directory: inside an installed package, next to the package in a checkout."""
    installed = package / "shipped" / name
    return installed if installed.is_dir() else package.parent / name


def find_shipped_files(folder: Literal["", "studies", "pipelines"] = "") -> list[Path]:
    """Return the files of the recipes that come with the package, or of a folder of theirs, by name."""
    return sorted((shipped_directory("recipes") / folder).glob("*.yaml"))


def read_purpose(path: Path) -> str:
    """Return the comment on the first line of a recipe or study: its purpose; empty without one."""
    with path.open(encoding="utf-8") as lines:
        first = lines.readline()
    return first.lstrip("#").strip() if first.startswith("#") else ""


def expand_home(path: str) -> Path:
    """Replace a leading `~` or `~user` by the home directory; UsageError if that is not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        user = Path(path).parts[0][1:] or "this user"
        raise UsageError(
            f"{path}: the home directory of {user} is not known; write the path in full"
        ) from None


def is_hub_name(value: object) -> bool:
    """Return True for a name such as `hf:user/name` in the place of a path."""
    return isinstance(value, str | Path) and str(value).startswith(HUB_PREFIX)
