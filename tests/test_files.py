"""Files that are there whole or not at all."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from nmt.errors import UsageError
from nmt.files import write_whole, written_whole


def fail(path: Path) -> None:
    """Write half of a file."""
    with suppress(KeyError), written_whole(path) as aside:
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
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [*target.parent.iterdir()] == [target]


def test_what_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder .*none"):
        write_whole(tmp_path / "none" / "a", b"")
    with pytest.raises(UsageError, match="it is a folder"):
        write_whole(tmp_path, b"")


def test_a_link_into_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "none" / "target")
    with pytest.raises(UsageError, match="link: there is no folder .*none"):
        write_whole(link, b"new")


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, content = tmp_path / "pipe", b"0123456789" * 50_000  # more than a pipe holds
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        write_whole(pipe, content)
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
    code = "from pathlib import Path; from nmt.files import write_whole; "
    code += "write_whole(Path('/dev/stdout'), b'new\\n')"
    with log.open("ab") as stdout:
        subprocess.run([sys.executable, "-c", code], stdout=stdout, check=True)
    assert log.read_bytes() == b"before\nnew\n"
    assert [*tmp_path.iterdir()] == [log]
