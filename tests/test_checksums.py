"""Checksums of files: right whatever happens to the files, and not computed again where nothing changed."""

import os
from pathlib import Path

import pytest

from nmt import files as module
from nmt.errors import DataError
from nmt.files import cached_sha256, file_sha256

AT_ONCE = -(10**12)  # nanoseconds: every file counts as unchanged for long enough


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("before", encoding="utf-8")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in time."""
    names: list[str] = []
    monkeypatch.setattr(module, "file_sha256", lambda path: names.append(path.name) or file_sha256(path))
    return names


def test_a_settled_file_is_read_once(file: Path, read: list[str]) -> None:
    cache = file.parent / "cache" / "sums.json"
    first = cached_sha256([file, file], cache, settled=AT_ONCE)
    assert first == [file_sha256(file)] * 2
    assert cached_sha256([file], cache, settled=AT_ONCE) == first[:1]
    assert read == ["text"]


def test_a_file_that_was_just_written_is_read_again(file: Path, read: list[str]) -> None:
    stamp = file.stat()
    before = cached_sha256([file], file.parent / "sums.json")
    file.write_text("AFTER!", encoding="utf-8")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert cached_sha256([file], file.parent / "sums.json") != before
    assert read == ["text", "text"]


def test_a_settled_file_that_changed_is_read_again(file: Path, read: list[str]) -> None:
    before = cached_sha256([file], file.parent / "sums.json", settled=AT_ONCE)
    aside = file.with_name("aside")
    aside.write_text("AFTER!", encoding="utf-8")
    aside.replace(file)
    assert cached_sha256([file], file.parent / "sums.json") != before
    assert len(read) == 2


def test_a_cache_that_cannot_be_written_is_no_error(file: Path) -> None:
    assert cached_sha256([file], file / "sums.json", settled=AT_ONCE) == [
        file_sha256(file)
    ]  # a file, no directory


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": [1]}'])
def test_a_damaged_cache_is_ignored(file: Path, content: str) -> None:
    (file.parent / "sums.json").write_text(content, encoding="utf-8")
    assert cached_sha256([file], file.parent / "sums.json") == [file_sha256(file)]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read .*absent"):
        cached_sha256([tmp_path / "absent"], tmp_path / "sums.json")
