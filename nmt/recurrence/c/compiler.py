"""Compilation of C by $CC, or `cc`; libraries are cached in `nmt/kernels` of the user's cache."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from nmt.files import replace_file
from nmt.user_directories import cache_directory

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC")
# A product and a sum in one operation round once, not twice. That is faster, but not used in kernels: the
# same step must give the same bits in two of them (with padding and without).
CONTRACT = {True: "-ffp-contract=fast", False: "-ffp-contract=off"}


class CompilerError(Exception):
    """No C compiler, or one that fails."""


@cache
def find_obstacle() -> str | None:
    """Return why C cannot be compiled on this machine; None if it can."""
    try:
        build_library("#include <math.h>\nvoid nothing(void) {}\n")
    except (OSError, CompilerError) as error:
        return str(error)
    return None


def build_library(text: str, *, contract: bool = True) -> ctypes.CDLL:
    """Compile C source and load the library; raise OSError or CompilerError if that fails."""
    program = shutil.which(os.environ.get("CC", "cc"))
    if program is None:
        raise CompilerError("there is no C compiler (cc, or $CC)")
    flags = (*FLAGS, CONTRACT[contract])
    source = "\n".join([text, _describe_machine(program), *flags])
    directory = cache_directory() / "kernels"
    library = directory / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.so"
    if not library.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            file, output = Path(scratch, "kernel.c"), Path(scratch, "kernel.so")
            file.write_text(text, encoding="utf-8")
            command = [program, *flags, "-o", str(output), str(file), "-lm"]
            result = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
            if result.returncode:
                reason = result.stderr.strip() or f"exit status {result.returncode}"
                raise CompilerError(f"{program} failed: {reason.splitlines()[0]}")
            replace_file(output, library)
    return ctypes.CDLL(str(library))


@cache
def _describe_machine(program: str) -> str:
    """Describe the compiler and the processor, on which compiled code depends."""
    version = subprocess.run(
        [program, "--version"], capture_output=True, encoding="utf-8", errors="replace"
    ).stdout
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    return "\n".join([version, platform.machine(), *[line for line in lines if line.startswith("flags")][:1]])
