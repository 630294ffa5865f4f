"""Kernels compiled: each is a function in C that reads every number once and writes every result once.

The machine's C compiler ($CC, or `cc`) is called once for each kernel; what it makes is kept in the folder
`nmt/kernels` of the user's cache ($XDG_CACHE_HOME). A row is computed alike whatever stands beside it.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.recurrence.c_code import HEAD, source
from nmt.recurrence.kernel import Kernel

FAST = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp")
FLAGS = (*FAST, "-shared", "-fPIC")


@cache
def function(kernel: Kernel, adds: frozenset[str], dtype: torch.dtype) -> Any:
    """The C function of a kernel, or None where it has none or none can be made."""
    text = source(kernel, adds, dtype)
    try:
        return None if text is None else _built(text)
    except (OSError, CompilerError):
        return None


@cache
def obstacle() -> str | None:
    """Why nothing can be compiled here; None where it can."""
    try:
        _built(HEAD[torch.float32] + "void kernel(void) {}\n")
    except (OSError, CompilerError) as error:
        return str(error)
    return None


class CompilerError(Exception):
    """There is no C compiler, or it fails."""


def _built(text: str) -> Any:
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
    loaded = ctypes.CDLL(str(library)).kernel
    loaded.argtypes = [ctypes.c_long] * 3 + [ctypes.c_void_p] * 3
    loaded.restype = None
    return loaded


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


def bind(loaded: Any, tensors: Sequence[Tensor]) -> Callable[[int], None]:
    """A C function ready to run at any position of tensors [T, B, H] whose rows are dense."""
    base = (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
    strides = ctypes.c_long * len(tensors)
    time = strides(*(tensor.stride(0) * tensor.element_size() for tensor in tensors))
    row = strides(*(tensor.stride(1) * tensor.element_size() for tensor in tensors))
    _, B, H = tensors[-1].shape

    def at(t: int) -> None:
        loaded(t, B, H, base, time, row)

    return at
