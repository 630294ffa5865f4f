"""C made into functions by the machine's compiler ($CC, or `cc`).

What it makes is kept in the folder `nmt/kernels` of the user's cache ($XDG_CACHE_HOME).
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC")
# A product and a sum in one operation round once, not twice: faster, and left out of kernels, since the same
# step in two of them (with padding and without) is to give the same bits.
CONTRACT = {True: "-ffp-contract=fast", False: "-ffp-contract=off"}


class CompilerError(Exception):
    """There is no C compiler, or it fails."""


@cache
def find_obstacle() -> str | None:
    """Why nothing can be compiled here; None where it can."""
    try:
        build_library("#include <math.h>\nvoid nothing(void) {}\n")
    except (OSError, CompilerError) as error:
        return str(error)
    return None


def build_library(text: str, *, contract: bool = True) -> ctypes.CDLL:
    """The library that a text in C becomes; OSError or CompilerError where it cannot."""
    program = shutil.which(os.environ.get("CC", "cc"))
    if program is None:
        raise CompilerError("there is no C compiler (cc, or $CC)")
    flags = (*FLAGS, CONTRACT[contract])
    library = _cache_directory() / f"{_fingerprint(text, program, flags)}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as aside:
            code, made = Path(aside, "kernel.c"), Path(aside, "kernel.so")
            code.write_text(text)
            command = [program, *flags, "-o", str(made), str(code), "-lm"]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                reason = result.stderr.strip() or f"exit status {result.returncode}"
                raise CompilerError(f"{program} fails: {reason.splitlines()[0]}")
            made.rename(library)
    return ctypes.CDLL(str(library))


def _cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "nmt", "kernels")


@cache
def _describe_machine(program: str) -> str:
    """The compiler and the processor, for which code is made."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    return "\n".join([version, platform.machine(), *[line for line in lines if line.startswith("flags")][:1]])


def _fingerprint(text: str, program: str, flags: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join([text, _describe_machine(program), *flags]).encode()).hexdigest()[:32]
