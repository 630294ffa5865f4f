"""Python files from outside the package run if their checksum is trusted, and end nothing but themselves."""

import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from nmt import trust
from nmt.cells import find_cell, find_named_cell
from nmt.errors import DataError, UsageError
from nmt.files import file_sha256
from nmt.trust import allow_code, load_module, remember, trust_file
from tests.end_to_end.test_custom_cells import MGU
from tests.end_to_end.toy import nmt, write_corpus, write_recipe


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state directory, still empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_modules", {})
    return tmp_path / "state/nmt"


def write(folder: Path, text: str = "value = 1\n") -> Path:
    file = folder / "code.py"
    file.write_text(text, encoding="utf-8")
    return file


def forget_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process would know."""
    monkeypatch.setenv("NMT_TRUST_CODE", "")


def test_a_file_is_refused_with_its_checksum_and_the_switch(tmp_path: Path) -> None:
    file = write(tmp_path, "this is no Python: it would be noticed if it were compiled")
    with pytest.raises(DataError) as refused:
        load_module(file)
    for part in (str(file), file_sha256(file), "--trust-code", "trust_code=True", "NMT_TRUST_CODE="):
        assert part in str(refused.value)


def test_a_named_file_runs_as_it_was_when_it_was_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    trust_file(file)
    assert vars(load_module(file))["value"] == 1
    file.write_text("value = 2\n", encoding="utf-8")
    with pytest.raises(DataError, match="not allowed to run"):
        load_module(file)


def test_a_child_process_inherits_what_is_trusted(tmp_path: Path) -> None:
    file = write(tmp_path)
    trust_file(file)
    code = f"from pathlib import Path; from nmt.trust import load_module; load_module(Path({str(file)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_consent_is_given_once_and_for_its_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = write(tmp_path), tmp_path / "other.py"
    other.write_text("value = 3\n", encoding="utf-8")
    with allow_code(False), pytest.raises(DataError):
        load_module(file)
    with allow_code():
        load_module(file)
    forget_process(monkeypatch)
    assert vars(load_module(file))["value"] == 1
    with pytest.raises(DataError):
        load_module(other)


def test_only_files_that_ran_with_the_users_will_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path)
    assert remember([file]) is None
    with pytest.raises(DataError):
        load_module(file)
    trust_file(file)
    assert remember([file]) is None
    assert remember([file]) is None
    forget_process(monkeypatch)
    load_module(file)


def test_a_list_that_others_may_write_to_is_not_trusted(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path)
    trust_file(file)
    remember([file])
    assert (state / trust.LIST).stat().st_mode & 0o777 == 0o600
    forget_process(monkeypatch)
    for path, mode in ((state, 0o777), (state / trust.LIST, 0o666)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(DataError, match=f"others may write to {path}"):
            load_module(file)
        path.chmod(before)
    load_module(file)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_state_directory_that_cannot_be_written_is_reported(tmp_path: Path, state: Path) -> None:
    file = write(tmp_path)
    state.mkdir(parents=True)
    state.chmod(0o500)
    trust_file(file)
    assert "Permission denied" in (remember([file]) or "")
    load_module(file)


def test_a_list_that_is_no_file_is_reported(tmp_path: Path, state: Path) -> None:
    file = write(tmp_path)
    (state / trust.LIST).mkdir(parents=True)
    trust_file(file)
    assert f"{state / trust.LIST}: Is a directory" in (remember([file]) or "")
    load_module(file)


def test_the_name_of_a_file_adds_nothing_to_the_list(tmp_path: Path, state: Path) -> None:
    folder = tmp_path / f"a\n{'0' * 64}  b"
    folder.mkdir()
    file = write(folder)
    trust_file(file)
    assert remember([file]) is None
    assert (state / trust.LIST).read_text("utf-8").count("\n") == 1


def test_a_damaged_list_trusts_what_it_names_only(tmp_path: Path, state: Path) -> None:
    file = write(tmp_path)
    state.mkdir(parents=True)
    (state / trust.LIST).write_bytes(b"\xff\x00 half a li\n\n" + b"0" * 64)
    with pytest.raises(DataError):
        load_module(file)
    trust_file(file)
    load_module(file)


def test_compiled_code_next_to_the_file_is_not_used(tmp_path: Path) -> None:
    file = write(tmp_path, "value = 666\n")
    py_compile.compile(str(file), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    file.write_text("value = 1\n", encoding="utf-8")
    trust_file(file)
    assert vars(load_module(file))["value"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nsys.exit(3)\n",
        "raise SystemExit\n",
        "class End(BaseException): pass\nraise End('x')\n",
        "raise GeneratorExit\n",
        "def broken(:\n",
        "\0",
        "# coding: no-such-encoding\n",
        "x = " + "(" * 5000 + ")" * 5000,
        "import no_such_module\n",
    ],
)
def test_a_file_that_ends_or_fails_is_a_mistake_with_a_message(text: str, tmp_path: Path) -> None:
    result = nmt("cell", "show", f"{write(tmp_path, text)}:Mine")
    assert result.exit_code == 2, result.output
    assert f"{tmp_path}/code.py cannot be loaded: " in result.stderr


def test_a_step_that_ends_the_program_is_a_mistake(tmp_path: Path) -> None:
    file = write(tmp_path, MGU.replace("        f = ", "        raise SystemExit(3)\n        f = "))
    corpus = write_corpus(tmp_path / "text", lambda words: words, train=10, held_out=2)
    result = nmt("train", write_recipe(tmp_path / "a.yaml", corpus, f"{file}:MGU"), "-o", tmp_path / "run")
    assert result.exit_code == 2, result.output
    assert "the step of MGU fails: SystemExit: 3" in result.stderr


def test_a_cell_that_ends_the_program_is_reported(tmp_path: Path) -> None:
    file = write(tmp_path, MGU + "\n    def __init__(self, *sizes, **more):\n        raise SystemExit(3)\n")
    result = nmt("cell", "show", f"{file}:MGU")
    assert result.exit_code == 1, result.output
    assert "sys.exit(3)" in result.stderr


def test_a_file_is_regular_and_small(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    for name in ("folder.py", "pipe.py", "absent.py"):
        with pytest.raises(UsageError, match=f"there is no file .*{name}"):
            find_named_cell(f"{tmp_path / name}:Mine")
    with pytest.raises(DataError, match="at most"):
        trust_file(write(tmp_path, "#" * (1 + trust.CODE_BYTES)))


def test_an_unknown_name_is_compared_with_the_table() -> None:
    with pytest.raises(UsageError, match="no cell 'ltsm', did you mean 'lstm'"):
        find_cell("ltsm")
