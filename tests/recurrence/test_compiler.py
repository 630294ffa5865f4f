"""The C compiler and the libraries it makes: what is damaged, exposed, missing or hanging is never run."""

import ctypes
import errno
import logging
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from nmt import errors, user_directories
from nmt.recurrence.c import compiler, int8, library_cache, native
from nmt.recurrence.c.compiler import CompilerError, build_library
from nmt.recurrence.engine import Backend, select_backend

SOURCE = "int answer(void) { return 42; }\n"
needs_compiler = pytest.mark.skipif(
    compiler.find_obstacle() is not None, reason=str(compiler.find_obstacle())
)


@pytest.fixture(autouse=True)
def _fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Caches of the test's own, and nothing remembered of other tests."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    remembered = (
        *(compiler.find_obstacle, compiler._describe_machine),
        *(errors.warn_once, user_directories.temporary_directory),
    )
    for function in remembered:
        function.cache_clear()
    yield
    for function in remembered:
        function.cache_clear()


def kernels(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "nmt" / "kernels"


def temporary_kernels(tmp_path: Path) -> Path:
    return tmp_path / "tmp" / f"nmt-{os.getuid()}" / "kernels"


def answer() -> int:
    result: int = build_library(SOURCE).answer()
    return result


def fake_compiler(tmp_path: Path, script: str) -> str:
    """A compiler that is a shell script, with the real one as $REAL and the output file as $out."""
    file = tmp_path / "cc with space"
    lines = (
        "#!/bin/sh",
        "REAL=cc",
        'out=; for a; do [ "$previous" = -o ] && out=$a; previous=$a; done',
        script,
    )
    file.write_text("\n".join(lines), encoding="utf-8")
    file.chmod(0o755)
    return shlex.quote(str(file))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "garbled": lambda content: content[:64] + bytes(reversed(content[64:])),
    "one bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "of another": lambda content: b"\x7fELF" + content[4:] + b"more",
}


@needs_compiler
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_library_is_built_again(kind: str, tmp_path: Path) -> None:
    """In a process of its own: loading a library that was cut short is a SIGBUS."""
    assert answer() == 42
    (library,) = kernels(tmp_path).iterdir()
    content = library.read_bytes()
    library.unlink()  # this process has it mapped
    library.write_bytes(DAMAGE[kind](content))
    code = f"from nmt.recurrence.c.compiler import build_library; print(build_library({SOURCE!r}).answer())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    errors = [line for line in result.stderr.splitlines() if "refuses -fopenmp" not in line]  # of clang
    assert (result.returncode, result.stdout, errors) == (0, "42\n", [])
    assert [path.read_bytes() for path in kernels(tmp_path).iterdir()] == [content]


@needs_compiler
def test_a_library_under_the_name_of_another_is_not_loaded(tmp_path: Path) -> None:
    assert answer() == 42
    (library,) = kernels(tmp_path).iterdir()
    build_library("int answer(void) { return 43; }\n")
    (other,) = {*kernels(tmp_path).iterdir()} - {library}
    other.replace(library)
    assert answer() == 42


@needs_compiler
def test_libraries_are_for_the_user_alone(tmp_path: Path) -> None:
    answer()
    (library,) = kernels(tmp_path).iterdir()
    assert stat.S_IMODE(library.stat().st_mode) == 0o600
    assert stat.S_IMODE(kernels(tmp_path).stat().st_mode) == 0o700


@needs_compiler
@pytest.mark.parametrize("exposed", ["kernels", "above"])
def test_a_directory_that_others_may_write_to_is_not_trusted(
    exposed: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer()
    (library,) = kernels(tmp_path).iterdir()
    directory = kernels(tmp_path) if exposed == "kernels" else tmp_path / "cache"
    directory.chmod(0o777)
    before = library.stat().st_atime_ns, library.read_bytes()
    assert [answer(), answer()] == [42, 42]
    assert len([*temporary_kernels(tmp_path).iterdir()]) == 1
    assert [path.read_bytes() for path in kernels(tmp_path).iterdir()] == [before[1]]
    (message,) = caplog.messages
    assert message.startswith(
        f"compiled kernels are not kept in {kernels(tmp_path)}: others may write to {directory}"
    )
    assert "XDG_CACHE_HOME" in message


@needs_compiler
@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_directory_of_another_user_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kernels(tmp_path).mkdir(parents=True)
    os.chown(kernels(tmp_path), 54321, 54321)
    assert answer() == 42
    assert not [*kernels(tmp_path).iterdir()]
    assert "belongs to another user (uid 54321)" in caplog.text


def test_where_no_directory_is_private_nothing_is_compiled(tmp_path: Path) -> None:
    for directory in (tmp_path / "cache", tmp_path / "tmp"):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
    with pytest.raises(CompilerError, match="cannot be stored and loaded: there is no private directory"):
        answer()


@needs_compiler
@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_file_system_that_is_read_only_or_full_is_passed_over(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdtemp = tempfile.mkdtemp

    def fail(suffix: str | None = None, prefix: str | None = None, dir: str | None = None) -> str:
        if dir is not None and Path(dir).is_relative_to(kernels(tmp_path)):
            raise OSError(number, os.strerror(number), dir)
        return mkdtemp(suffix, prefix, dir)

    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    assert answer() == 42
    assert not [*kernels(tmp_path).iterdir()]
    assert len([*temporary_kernels(tmp_path).iterdir()]) == 1


@needs_compiler
def test_a_file_system_that_code_cannot_run_from_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ctypes.CDLL

    def fail(path: str) -> ctypes.CDLL:
        if Path(path).is_relative_to(kernels(tmp_path)):
            raise OSError(f"{path}: failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", fail)
    assert answer() == 42
    assert not [*kernels(tmp_path).iterdir()]
    monkeypatch.setattr(compiler, "_compile", {}.__getitem__)  # the next process compiles nothing
    assert answer() == 42


@needs_compiler
def test_a_disk_that_fills_while_compiling_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler reports it in its own words: here it fails, and nothing else can be written either."""
    script = f'case "$out" in {kernels(tmp_path)}*) echo "no room" >&2; exit 1;; esac; exec $REAL "$@"'
    monkeypatch.setenv("CC", fake_compiler(tmp_path, script))
    write = Path.write_bytes

    def fail(path: Path, content: bytes) -> int:
        if path.is_relative_to(kernels(tmp_path)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    assert answer() == 42
    assert len([*temporary_kernels(tmp_path).iterdir()]) == 1


@needs_compiler
def test_a_library_that_cannot_be_stored_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(side: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(library_cache, "replace_file", fail)
    assert answer() == 42
    assert not [*kernels(tmp_path).iterdir()]


@needs_compiler
def test_processes_that_build_the_same_library_do_not_disturb_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as threads:
        assert {*threads.map(lambda _: answer(), range(12))} == {42}
    assert len([*kernels(tmp_path).iterdir()]) == 1


@needs_compiler
@pytest.mark.parametrize("value", ["cc -O2", "cc '-DNAME=\"a b\"'", "  cc  ", ""])
def test_cc_may_contain_options(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", value)
    assert answer() == 42


@needs_compiler
def test_another_compiler_or_option_has_its_own_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("cc", "cc -O2", fake_compiler(tmp_path, 'exec $REAL "$@"')):
        monkeypatch.setenv("CC", value)
        assert answer() == 42
    assert len([*kernels(tmp_path).iterdir()]) == 3


FAULTS = {
    "absent": ("no-such-compiler -O2", r"there is no C compiler \(CC is no-such-compiler -O2\)"),
    "no command": ("'", r"CC is not a command: ' \(No closing quotation\)"),
    "empty word": ("''", r"there is no C compiler \(CC is ''\)"),
    "directory": ("/tmp", r"there is no C compiler \(CC is /tmp\)"),
    "true": ("/bin/true", "true failed: it wrote no file"),
    "false": ("/bin/false", "false failed: exit status 1"),
}
SCRIPTS = {
    "error": (
        "echo kernel.c: In function nothing: >&2; echo kernel.c:1: error: no luck >&2; echo more >&2; exit 4",
        "failed: kernel.c:1: error: no luck; install gcc",
    ),
    "first line": ("echo not licensed >&2; echo bye >&2; exit 4", "failed: not licensed; install"),
    "not text": (r"printf 'caf\351 \377' >&2; exit 1", "failed: caf� �;"),
    "crash": ("kill -SEGV $$", r"failed: it was killed by signal 11 \(Segmentation fault\)"),
    "garbage": (
        'echo garbage > "$out"',
        "cannot be stored and loaded: .*kernels: .*(file too short|invalid ELF header)",
    ),
    "directory": ('mkdir -p "$out"', "failed: it wrote no file"),
    "reads": ('read line || echo "no input" >&2; exit 3', "failed: no input"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_command_that_is_no_compiler_is_an_obstacle(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, message = FAULTS[kind]
    monkeypatch.setenv("CC", value)
    with pytest.raises(CompilerError, match=message):
        answer()


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_compiler_that_fails_is_an_obstacle(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, message = SCRIPTS[kind]
    monkeypatch.setenv("CC", fake_compiler(tmp_path, script))
    with pytest.raises(CompilerError, match=message):
        answer()
    assert not [*kernels(tmp_path).iterdir()], "nothing of a failed compilation is kept"


def test_a_file_that_cannot_be_run_is_an_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program").write_bytes(b"\0\1\2\3")
    (tmp_path / "program").chmod(0o755)
    monkeypatch.setenv("CC", str(tmp_path / "program"))
    with pytest.raises(CompilerError, match="program cannot be run: Exec format error"):
        answer()


@pytest.mark.parametrize("hangs", ["always", "when compiling"])
def test_a_compiler_that_hangs_is_stopped(
    hangs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = "[ 1 ]" if hangs == "always" else '[ "$out" ]'
    monkeypatch.setenv("CC", fake_compiler(tmp_path, f"{condition} && exec sleep 100; exit 0"))
    monkeypatch.setattr(compiler, "TIMEOUT", 0.2)
    with pytest.raises(CompilerError, match="did not finish within"):
        answer()


def test_the_engine_of_a_machine_without_a_compiler_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", "/bin/false")
    for _ in range(3):
        assert type(select_backend("auto", torch.ones(2))) is Backend
    assert type(select_backend("torch", torch.ones(2))) is Backend
    (message,) = caplog.messages
    assert message.startswith(
        "torch runs the model without compiled kernels: /bin/false failed: exit status 1; "
    )
    assert message.endswith("; training takes up to twice as long, translation 3 to 6 times")


@needs_compiler
def test_nothing_is_reported_where_c_is_not_meant_to_run(caplog: pytest.LogCaptureFixture) -> None:
    assert type(select_backend("auto", torch.ones(2, dtype=torch.bfloat16))) is Backend
    assert type(select_backend("auto", torch.ones(2, device="meta"))) is Backend
    select_backend("auto", torch.ones(2))
    assert caplog.messages == []


def test_notes_go_to_the_innermost_block_that_shows_them() -> None:
    outer, inner = list[str](), list[str]()
    log = logging.getLogger("nmt.recurrence.engine")
    with errors.show_notes(outer.append):
        with errors.show_notes(inner.append):
            errors.warn_once(log, "a")
        errors.warn_once(log, "a")
        errors.warn_once(log, "b")
    assert (outer, inner) == (["b"], ["a"])


@pytest.mark.slow
@needs_compiler
def test_sources_are_read_where_the_locale_is_not_unicode() -> None:
    code = (
        "import torch, nmt.model.output_layer as o, nmt.recurrence.c.native as n, locale\n"
        "assert locale.getpreferredencoding() != 'UTF-8'\n"
        "n.load_loop(torch.float32); o.load_position(torch.float32)"
    )
    locale = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, **locale}, capture_output=True)
    assert result.returncode == 0, result.stderr


@needs_compiler
@pytest.mark.parametrize(
    ("flag", "message", "cost"),
    [
        ("-fopenmp", "ld: cannot find -lomp", "compiled kernels use one thread"),
        ("-march=native", "error: unknown target CPU 'native'", "the basic instructions of the processor"),
    ],
)
def test_a_compiler_that_refuses_a_flag_is_used_without(
    flag: str,
    message: str,
    cost: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As clang does on macOS, which has no OpenMP."""
    script = f'case " $* " in *" {flag} "*) echo "{message}" >&2; exit 1;; esac; exec $REAL "$@"'
    monkeypatch.setenv("CC", fake_compiler(tmp_path, script))
    assert [answer(), answer()] == [42, 42]
    (note,) = caplog.messages
    assert f"refuses {flag}: " in note
    assert cost in note


@needs_compiler
@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
def test_products_are_the_same_with_clang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Integers to the bit, also where clang knows AMX from its header only; sums of floats to rounding."""
    v, weight = torch.randn(13, 70), torch.randn(33, 70)
    wanted = [native.PackedMatrix(weight)(v), int8.Int8Matrix(weight)(v)]
    monkeypatch.setenv("CC", "clang")
    loop, product = native.load_loop.__wrapped__(torch.float32), int8.load_product.__wrapped__()
    monkeypatch.setattr(native, "load_loop", lambda dtype: loop)
    monkeypatch.setattr(int8, "load_product", lambda: product)
    matrix = native.PackedMatrix(weight)
    torch.testing.assert_close(matrix(v), wanted[0])
    assert torch.equal(matrix(v[5:6]), matrix(v)[5:6])
    assert torch.equal(int8.Int8Matrix(weight)(v), wanted[1])


def test_the_compiler_of_microsoft_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "cl.exe")
    with pytest.raises(CompilerError, match="CC is cl.exe, and Microsoft's compiler does not"):
        answer()
