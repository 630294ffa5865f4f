"""Consent to run Python code from outside the package: the files of user-defined cells.

A file runs only if its SHA-256 is trusted: the user has named the file for this command (`trust_file`), has
trained with it before (`remember`), allows whatever this command loads (`allow_code`), or has set
NMT_TRUST_CODE. The bytes that are checked are the bytes that run; no cache of compiled code is used.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from nmt.errors import DataError, UsageError
from nmt.operating_system import APPEND_FLAGS
from nmt.untrusted_files import read_bytes
from nmt.user_directories import find_exposure, state_directory

VARIABLE = "NMT_TRUST_CODE"
"""Checksums that this process trusts, separated by commas. Child processes inherit them."""
LIST = "trusted_code"
"""The file in the user's state directory with the checksums that are trusted in every process."""
CODE_BYTES = 1 << 20

_is_allowed: ContextVar[bool] = ContextVar("is_allowed", default=False)
_modules: dict[tuple[Path, str], ModuleType] = {}


def load_module(file: Path) -> ModuleType:
    """Run a Python file and return its module; one that has run is returned again.

    Raises DataError before any of it is read as code if the file is not trusted, UsageError if it fails.
    """
    content, checksum = _read(file)
    if checksum not in _trusted_here():
        known, problem = _read_list()
        if checksum not in known:
            if not _is_allowed.get():
                raise DataError(_refusal(file, checksum, problem))
            _trust(checksum)
            remember([file])
    if (file, checksum) not in _modules:
        _modules[file, checksum] = _run(file, content)
    return _modules[file, checksum]


def trust_file(file: Path) -> None:
    """Trust the present content of a file in this process and its children: the user has named it."""
    _trust(_read(file)[1])


@contextmanager
def allow_code(allowed: bool = True) -> Iterator[None]:
    """Trust, now and in later processes, every file that is loaded within the context."""
    token = _is_allowed.set(allowed or _is_allowed.get())
    try:
        yield
    finally:
        _is_allowed.reset(token)


def is_code_allowed() -> bool:
    """Return whether this is a context of `allow_code`."""
    return _is_allowed.get()


def remember(files: Iterable[Path]) -> str | None:
    """Add those of the files that this process trusts to the user's list, which later processes read.

    Returns why that is not possible; None if it is done.
    """
    known, problem = _read_list()
    entries = {_read(file)[1]: file for file in files}
    new = (entries.keys() & _trusted_here()) - known
    lines = [f"{checksum}  {str(entries[checksum])!a}\n" for checksum in sorted(new)]
    if lines and problem is None:
        try:
            with open(os.open(state_directory() / LIST, APPEND_FLAGS, 0o600), "ab") as stream:
                stream.write("".join(lines).encode())
        except OSError as error:
            problem = f"{error.filename or LIST}: {error.strerror}"
    return f"the cell file will not be trusted in later commands: {problem}" if lines and problem else None


def _read(file: Path) -> tuple[bytes, str]:
    """Return the content of a file and its SHA-256."""
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    content = read_bytes(file, CODE_BYTES, "check the file", inside=False)
    return content, hashlib.sha256(content).hexdigest()


def _trusted_here() -> set[str]:
    return set(re.split(r"[\s,]+", os.environ.get(VARIABLE, "").lower()))


def _trust(checksum: str) -> None:
    trusted = _trusted_here() - {""}
    if checksum not in trusted:
        os.environ[VARIABLE] = ",".join(sorted({*trusted, checksum}))


def _read_list() -> tuple[set[str], str | None]:
    """Return the checksums that the user trusts, or none and the reason why the list is not used."""
    try:
        file = state_directory() / LIST
        if problem := find_exposure(file.parent) or (find_exposure(file) if file.exists() else None):
            return set(), problem
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        return set(), f"{error.filename}: {error.strerror}"
    return {line.partition(" ")[0] for line in lines}, None


def _refusal(file: Path, checksum: str, problem: str | None) -> str:
    unused = f"\n(your list of trusted files is not used: {problem})" if problem else ""
    return (
        f"{file}: refused: it is Python code that you have not allowed to run (sha256 {checksum})\n"
        "read the file; if you trust it, repeat the command with --trust-code (in Python: trust_code=True),\n"
        f"or set {VARIABLE}={checksum}{unused}"
    )


def _run(file: Path, content: bytes) -> ModuleType:
    module = ModuleType(f"user_cells_{file.stem}")
    module.__file__ = str(file)
    try:
        exec(compile(content, str(file), "exec", dont_inherit=True), vars(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, too: the file does not decide how this program ends
        raise UsageError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    return module
