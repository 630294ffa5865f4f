"""Compilation of C by $CC, or `cc`."""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from pathlib import Path

from nmt.errors import DataError, warn_once
from nmt.operating_system import COMPILER_ADVICE, IS_WINDOWS, describe_processor
from nmt.recurrence.c.library_cache import load_library

log = logging.getLogger(__name__)
POSITION = () if IS_WINDOWS else ("-fPIC",)  # all code of Windows is position-independent; clang refuses it
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", *POSITION)
# A product and a sum in one operation round once, not twice. That is faster, but not used in kernels: the
# same step must give the same bits in two of them (with padding and without).
CONTRACT = {True: "-ffp-contract=fast", False: "-ffp-contract=off"}
OPTIONAL = {
    "-fopenmp": ("omp", "compiled kernels use one thread"),
    "-fopenmp-simd": ("omp", "some loops are compiled without vectors"),
    "-march=native": ("native", "compiled kernels use only the basic instructions of the processor"),
}
"""Flags that some compilers refuse (clang without libomp, old ones on ARM): how their messages show that, and
what it costs to do without."""
WEAKER = {"-fopenmp": "-fopenmp-simd"}  # takes the place of a flag that is refused; needs no library
TIMEOUT = 300  # seconds until a compiler counts as hanging; a busy machine may need many for a file
ADVICE = f"{COMPILER_ADVICE}, or set CC to a C compiler that works"
PROBE = 1 << 20  # bytes, more than a library


class CompilerError(DataError):
    """No C compiler, one that fails, or no directory for its output."""


class RefusedFlag(CompilerError):
    """A flag that a compiler refuses, although it works without."""

    def __init__(self, flag: str, message: str) -> None:
        super().__init__(message)
        self.flag = flag


@cache
def find_obstacle() -> str | None:
    """Return why C cannot be compiled on this machine; None if it can."""
    try:
        build_library("#include <math.h>\nvoid nothing(void) {}\n")
    except CompilerError as error:
        return str(error)
    return None


@cache
def find_build_obstacle(build: Callable[..., object], *arguments: Hashable) -> str | None:
    """Return why `build(*arguments)` cannot compile its library; None if it can."""
    try:
        build(*arguments)
    except CompilerError as error:
        return str(error)
    return None


def read_sources(*names: str) -> str:
    """Return the text of source files of this directory, one after the other."""
    return "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in names)


def build_library(text: str, *, contract: bool = True) -> ctypes.CDLL:
    """Compile C source and load the library, or load it from the cache; CompilerError if that fails."""
    compiler = _find_compiler()
    while True:
        try:
            return _load_or_compile(text, (*compiler, *_select_flags(compiler), CONTRACT[contract]), compiler)
        except RefusedFlag as error:
            _refused.add((compiler[0], error.flag))
            warn_once(log, f"{compiler[0]} refuses {error.flag}: {OPTIONAL[error.flag][1]}; {ADVICE}")


_refused = set[tuple[str, str]]()  # compilers and their flags, in this process


def _select_flags(compiler: Sequence[str]) -> list[str]:
    """Return the flags for a compiler, without those that it has refused."""
    flags = [WEAKER.get(flag, "") if (compiler[0], flag) in _refused else flag for flag in FLAGS]
    if "clang" in _describe_machine(compiler):
        flags[0] = "-O2"  # the products are the same code as with -O3, which takes clang 7 times as long
    return [flag for flag in flags if flag and (compiler[0], flag) not in _refused]


def _load_or_compile(text: str, command: Sequence[str], compiler: Sequence[str]) -> ctypes.CDLL:
    source = "\n".join([text, _describe_machine(compiler), *command])
    try:
        return load_library(
            hashlib.sha256(source.encode()).hexdigest()[:32], partial(_compile, text, command)
        )
    except OSError as error:
        raise CompilerError(
            f"compiled kernels cannot be stored and loaded: {error}; "
            "set XDG_CACHE_HOME to a directory where only you can write and programs can run"
        ) from error


def _find_compiler() -> tuple[str, ...]:
    """Return the command $CC or `cc` in words; CC may contain options, as in `gcc -O2`."""
    given = os.environ.get("CC", "").strip()
    words = given.replace("\\", "/") if IS_WINDOWS else given
    try:
        program, *options = [words] if shutil.which(words) else shlex.split(words) or ["cc"]
    except ValueError as error:
        raise CompilerError(f"CC is not a command: {given} ({error}); {ADVICE}") from None
    path = shutil.which(program)
    if Path(program).stem.lower() == "cl":
        raise CompilerError(
            f"CC is {given}, and Microsoft's compiler does not take the options of gcc: {ADVICE}"
        )
    if path is None:
        searched = f"CC is {given}" if given else "no cc, and CC is not set"
        raise CompilerError(f"there is no C compiler ({searched}): {ADVICE}")
    return path, *options


def _compile(text: str, command: Sequence[str], scratch: Path) -> Path:
    """Compile C source in the directory `scratch`; return the library."""
    file, output = scratch / "kernel.c", scratch / "kernel.so"
    file.write_text(text, encoding="utf-8")
    status, message = _run((*command, "-o", str(output), str(file), "-lm"), scratch)
    if status or not output.is_file():
        (scratch / "probe").write_bytes(bytes(PROBE))  # raises OSError where the disk is full
        lines = [line for line in message.replace(f"{scratch}{os.sep}", "").splitlines() if line.strip()]
        lines = lines or [_describe_status(status)]
        summary = next((line for line in lines if "error" in line), lines[0])
        problem = f"{command[0]} failed: {summary}; {ADVICE}"
        for flag, (mark, _) in OPTIONAL.items():
            if flag in command and mark in message:
                raise RefusedFlag(flag, problem)
        raise CompilerError(problem)
    return output


@cache
def _describe_machine(compiler: Sequence[str]) -> str:
    """Describe the compiler and the processor, on which compiled code depends."""
    _, version = _run((*compiler, "--version"))
    return "\n".join([version, platform.system(), platform.machine(), describe_processor()])


def _run(command: Sequence[str], scratch: Path | None = None) -> tuple[int, str]:
    """Run a compiler with its temporary files in `scratch`; return its exit status and its messages."""
    directory = {} if scratch is None else {"TMPDIR": str(scratch)}
    try:
        result = subprocess.run(
            command,
            env={**os.environ, **directory, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise CompilerError(f"{command[0]} did not finish within {TIMEOUT:.0f} seconds; {ADVICE}") from None
    except OSError as error:
        raise CompilerError(f"{command[0]} cannot be run: {error.strerror}; {ADVICE}") from error
    return result.returncode, result.stdout.decode(errors="replace")


def _describe_status(status: int) -> str:
    """Describe the exit status of a compiler that printed nothing."""
    if status < 0:
        return f"it was killed by signal {-status} ({signal.strsignal(-status)})"
    return f"exit status {status}" if status else "it wrote no file"
