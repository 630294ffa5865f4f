"""Sums of files: right whatever happens to the files, and not read again where nothing can have happened."""

import os
from pathlib import Path

import pytest

from nmt import files as module
from nmt.errors import DataError
from nmt.files import checksums, sha256_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("before")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, in time."""
    names: list[str] = []
    monkeypatch.setattr(module, "sha256_of", lambda path: names.append(path.name) or sha256_of(path))
    return names


def test_a_settled_file_is_read_once(file: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", -(10**12))
    first = checksums([file, file], file.parent / "memory" / "sums.json")
    assert first == [sha256_of(file)] * 2
    assert checksums([file], file.parent / "memory" / "sums.json") == first[:1]
    assert read == ["text"]


def test_a_file_that_was_just_written_is_read_again(file: Path, read: list[str]) -> None:
    stamp = file.stat()
    before = checksums([file], file.parent / "sums.json")
    file.write_text("AFTER!")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert checksums([file], file.parent / "sums.json") != before
    assert read == ["text", "text"]


def test_a_settled_file_that_changed_is_read_again(
    file: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLED", -(10**12))
    before = checksums([file], file.parent / "sums.json")
    aside = file.with_name("aside")
    aside.write_text("AFTER!")
    aside.replace(file)
    assert checksums([file], file.parent / "sums.json") != before
    assert len(read) == 2


def test_a_memory_that_cannot_be_written_is_done_without(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED", -(10**12))
    assert checksums([file], file / "sums.json") == [sha256_of(file)]  # a file is no folder


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": [1]}'])
def test_a_damaged_memory_is_no_memory(file: Path, content: str) -> None:
    (file.parent / "sums.json").write_text(content)
    assert checksums([file], file.parent / "sums.json") == [sha256_of(file)]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read .*absent"):
        checksums([tmp_path / "absent"], tmp_path / "sums.json")
