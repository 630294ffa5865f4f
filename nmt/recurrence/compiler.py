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

FAST = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp")
FLAGS = (*FAST, "-shared", "-fPIC")


class CompilerError(Exception):
    """There is no C compiler, or it fails."""


@cache
def obstacle() -> str | None:
    """Why nothing can be compiled here; None where it can."""
    try:
        built("#include <math.h>\nvoid nothing(void) {}\n")
    except (OSError, CompilerError) as error:
        return str(error)
    return None


def built(text: str) -> ctypes.CDLL:
    """The library that a text in C becomes; OSError or CompilerError where it cannot."""
    program = shutil.which(os.environ.get("CC", "cc"))
    if program is None:
        raise CompilerError("there is no C compiler (cc, or $CC)")
    library = _cache() / f"{_fingerprint(text, program)}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as aside:
            code, made = Path(aside, "kernel.c"), Path(aside, "kernel.so")
            code.write_text(text)
            command = [program, *FLAGS, "-o", str(made), str(code), "-lm"]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                reason = result.stderr.strip() or f"exit status {result.returncode}"
                raise CompilerError(f"{program} fails: {reason.splitlines()[0]}")
            made.rename(library)
    return ctypes.CDLL(str(library))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "nmt", "kernels")


@cache
def _machine(program: str) -> str:
    """The compiler and the processor, for which code is made."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    return "\n".join([version, platform.machine(), *[line for line in lines if line.startswith("flags")][:1]])


def _fingerprint(text: str, program: str) -> str:
    return hashlib.sha256("\n".join([text, _machine(program), *FLAGS]).encode()).hexdigest()[:32]
