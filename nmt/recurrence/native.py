"""Kernels in C: one loop that reads every number once and writes every result once.

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
from torch import Tensor, fx

from nmt.recurrence.kernel import Kernel

aten = torch.ops.aten
EXPRESSIONS: dict[Any, str] = {
    aten.add.Tensor: "{0} + {1}",
    aten.sub.Tensor: "{0} - {1}",
    aten.rsub.Scalar: "{1} - {0}",
    aten.mul.Tensor: "{0} * {1}",
    aten.div.Tensor: "{0} / {1}",
    aten.neg.default: "-{0}",
    aten.exp.default: "exp_({0})",
    aten.sigmoid.default: "1 / (1 + exp_(-{0}))",
    aten.sigmoid_backward.default: "{0} * (1 - {1}) * {1}",
    aten.tanh.default: "tanh_({0})",
    aten.tanh_backward.default: "{0} * (1 - {1} * {1})",
    aten.relu.default: "{0} <= 0 ? 0 : {0}",
    aten.threshold_backward.default: "{1} <= {2} ? 0 : {0}",
    aten.where.self: "{0} ? {1} : {2}",
    aten.scalar_tensor.default: "{0}",
}

HEAD = {
    torch.float64: """#include <math.h>
typedef double number;
#define exp_ exp
#define tanh_ tanh
""",
    # Polynomials (Moshier's Cephes library, 1989), which unlike calls become vector code. Exact to a few ulp.
    torch.float32: """#include <math.h>
typedef float number;
static inline float exp_(float x) {
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    union { int i; float f; } power = {.i = ((int)n + 127) << 23};
    return (p * r * r + r + 1.0f) * power.f;
}
static inline float tanh_(float x) {
    float a = fabsf(x), s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s - 5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s - 3.33332819422e-1f;
    float far = 1.0f - 2.0f / (exp_(2.0f * a) + 1.0f);
    return a < 0.625f ? p * s * x + x : copysignf(far, x);
}
""",
}
LOOP = """
void kernel(long t, long B, long H, char **base, const long *time, const long *row) {{
    #pragma omp parallel for if (B * H >= 16384)
    for (long b = 0; b < B; b++) {{
        {rows}
        #pragma GCC ivdep
        for (long j = 0; j < H; j++) {{
            {operations}
        }}
    }}
}}
"""
FAST = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp")
FLAGS = (*FAST, "-shared", "-fPIC")


def source(kernel: Kernel, adds: frozenset[str], dtype: torch.dtype) -> str | None:
    """A kernel as C; None where an operation or the type has no expression here."""
    values: dict[fx.Node, str] = {}
    rows, operations = [], []
    for i, (name, node) in enumerate(kernel.inputs().items()):
        kind, j = ("unsigned char", "0") if name == "real" else ("number", "j")  # `real` is one value a row
        rows.append(f"const {kind} *p{i} = (const {kind} *)(base[{i}] + t * time[{i}] + b * row[{i}]);")
        operations.append(f"{kind} a{i} = p{i}[{j}];")
        values[node] = f"a{i}"
    for i, node in enumerate(node for node in kernel.graph.nodes if node.op == "call_function"):
        if (
            node.target not in EXPRESSIONS
            or set(node.kwargs) - {"dtype", "layout", "device"}
            or dtype not in HEAD
        ):
            return None
        operands = [values[a] if isinstance(a, fx.Node) else f"(number){float(a)!r}" for a in node.args]
        operations.append(f"number v{i} = {EXPRESSIONS[node.target].format(*operands)};")
        values[node] = f"v{i}"
    for i, (node, name) in enumerate(zip(kernel.results, kernel.gives, strict=True), start=len(kernel.reads)):
        rows.append(f"number *p{i} = (number *)(base[{i}] + t * time[{i}] + b * row[{i}]);")
        operations.append(f"p{i}[j] {'+=' if name in adds else '='} {values[node]};")
    loop = LOOP.format(rows="\n        ".join(rows), operations="\n            ".join(operations))
    return HEAD[dtype] + loop


@cache
def function(kernel: Kernel, adds: frozenset[str], dtype: torch.dtype) -> Any:
    """The C function of a kernel, or None where it has none."""
    text = source(kernel, adds, dtype)
    return None if text is None else _built(text)


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
                raise CompilerError(f"{program} fails: {result.stderr.strip().splitlines()[0]}")
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
