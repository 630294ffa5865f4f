"""Files and directories that are written completely or not at all."""

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
import torch

from nmt import files
from nmt.errors import DataError, UsageError
from nmt.files import atomic_directory, atomic_file, lock_path, write_file
from nmt.training.checkpoint import save_tensors


def fail(path: Path) -> None:
    """Write half of a file."""
    with suppress(KeyError), atomic_file(path) as aside:
        aside.write_bytes(b"half")
        raise KeyError


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"old")
    fail(file)
    assert file.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("there", [True, False])
def test_the_target_of_a_link_is_written_and_the_link_stays(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_bytes(b"old")
    link.symlink_to(Path("folder") / "target")
    write_file(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [*target.parent.iterdir()] == [target]


def test_what_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory: .*none"):
        write_file(tmp_path / "none" / "a", b"")
    with pytest.raises(UsageError, match="it is a directory"):
        write_file(tmp_path, b"")


def test_a_link_into_a_missing_directory_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "none" / "target")
    with pytest.raises(UsageError, match="link: no such directory: .*none"):
        write_file(link, b"new")


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, content = tmp_path / "pipe", b"0123456789" * 50_000  # more than a pipe holds
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        write_file(pipe, content)
        assert read.result() == content
    assert pipe.is_fifo()
    assert [*tmp_path.iterdir()] == [pipe]


def test_a_pipe_gets_nothing_of_what_failed(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fail(pipe)
    assert [*tmp_path.iterdir()] == [pipe]


def test_the_standard_output_that_is_a_file_keeps_what_stood_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    code = "from pathlib import Path; from nmt.files import write_file; "
    code += "write_file(Path('/dev/stdout'), b'new\\n')"
    with log.open("ab") as stdout:
        subprocess.run([sys.executable, "-c", code], stdout=stdout, check=True)
    assert log.read_bytes() == b"before\nnew\n"
    assert [*tmp_path.iterdir()] == [log]


def test_an_error_removes_a_directory_that_is_not_complete(tmp_path: Path) -> None:
    with suppress(KeyError), atomic_directory(tmp_path / "a") as side:
        (side / "file").write_bytes(b"half")
        raise KeyError
    assert [*tmp_path.iterdir()] == []


def test_a_directory_replaces_the_old_one_and_what_a_killed_process_left(tmp_path: Path) -> None:
    for name in ("a", ".a.partial", ".a.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").touch()
    with atomic_directory(tmp_path / "a") as side:
        (side / "folder").mkdir()
        (side / "folder" / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "folder", "new"]


def test_a_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="cannot write .*/a: No space left"):
        write_file(tmp_path / "a", b"new")
    assert [*tmp_path.iterdir()] == []


def write_all(path: Path) -> None:
    """Write a directory with a file of a library that heeds no umask, and a folder."""
    with atomic_directory(path) as side:
        (side / "folder").mkdir()
        for file in (side / "private", side / "folder" / "private"):
            file.touch(mode=0o600)
            file.chmod(0o600)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_file(tmp_path / "a", b"")
        write_all(tmp_path / "b")
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask


def test_what_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    file, folder = tmp_path / "a", tmp_path / "b"
    write_file(file, b"old")
    write_all(folder)
    file.chmod(0o640)
    folder.chmod(0o750)
    write_file(file, b"new")
    write_all(folder)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, folder)] == [0o640, 0o750]


def test_a_link_at_the_path_of_an_incomplete_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"kept")
    (tmp_path / ".a.part").symlink_to("other")
    write_file(tmp_path / "a", b"new")
    assert (tmp_path / "other").read_bytes() == b"kept"


def test_a_full_disk_names_the_file_in_a_directory_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit of the size of files is like a full disk: an error of the system, from any library."""
    (tmp_path / "long").write_bytes(bytes(60_000))
    writers = {
        "a: File": lambda side: (side / "x").write_bytes(bytes(60_000)),
        "a/x: File": lambda side: write_file(side / "x", bytes(60_000)),
        "a/y: File": lambda side: save_tensors(side / "y", {"w": torch.zeros(20_000)}),
        "a/z: File": lambda side: shutil.copyfile(tmp_path / "long", side / "z"),
    }
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for message, write in writers.items():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with (
                pytest.raises(DataError, match=f"cannot write {tmp_path}/{message}"),
                atomic_directory(tmp_path / "a") as side,
            ):
                write(side)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in tmp_path.iterdir()] == ["long"]


@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
def test_an_output_that_another_process_is_writing_is_refused(
    tmp_path: Path, write: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    with write(tmp_path / "a") as side:
        with (
            pytest.raises(UsageError, match="another process is writing .*a: wait for"),
            write(tmp_path / "a"),
        ):
            raise AssertionError
        side.touch() if write is atomic_file else (side / "b").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == (
        ["a"] if write is atomic_file else ["a", "b"]
    )


def test_a_short_file_is_written_after_the_one_before(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        with atomic_file(tmp_path / "a") as side:
            later = pool.submit(write_file, tmp_path / "a", b"later")
            side.write_bytes(b"before")
        later.result()
    assert (tmp_path / "a").read_bytes() == b"later"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_of_several_writers_at_once_each_writes_all_or_is_refused(tmp_path: Path) -> None:
    def write(content: bytes) -> bool:
        try:
            with atomic_directory(tmp_path / "a") as side:
                (side / "b").write_bytes(content)
        except UsageError:
            return False
        return True

    contents = [bytes([letter]) * 1000 for letter in range(24)]
    with ThreadPoolExecutor(8) as pool:
        results = [*pool.map(write, contents)]
    assert any(results)
    assert (tmp_path / "a" / "b").read_bytes() in [
        one for one, ok in zip(contents, results, strict=True) if ok
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_forked_process_does_not_hold_the_lock(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a") as side:
        side.touch()
        ready, started = os.pipe()
        if (child := os.fork()) == 0:
            os.write(started, b".")
            signal.pause()
        os.read(ready, 1)
        os.link(side, tmp_path / "same")  # the file that is locked, under another name
    try:
        with lock_path(tmp_path / "same", tmp_path / "a") as is_locked:
            assert is_locked
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(started)


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_content_and_its_name_are_flushed_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(files, "flush_to_disk", lambda path: flushed.append(path.name))
    if kind == "file":
        write_file(tmp_path / "a", b"")
        assert flushed == [".a.part", tmp_path.name]
    else:
        with atomic_directory(tmp_path / "a") as side:
            (side / "b").touch()
        assert flushed == ["b", ".a.partial", tmp_path.name]


def test_an_installed_package_finds_its_recipes_inside_itself(tmp_path: Path) -> None:
    assert files.shipped_directory("recipes", tmp_path / "nmt") == tmp_path / "recipes"
    (tmp_path / "nmt/shipped/recipes").mkdir(parents=True)
    assert files.shipped_directory("recipes", tmp_path / "nmt") == tmp_path / "nmt/shipped/recipes"
