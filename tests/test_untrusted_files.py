"""The reader of files from elsewhere: what is not a plain file of its kind is refused, with one message."""

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import DataError
from nmt.untrusted_files import (
    check_sha256,
    compute_seal,
    find_member,
    read_bytes,
    read_card,
    read_json,
    read_json_lines,
    read_tensor_header,
)


@dataclass(frozen=True)
class Card:
    """A JSON file of a test."""

    name: str
    sizes: list[int]


def test_a_pipe_a_device_and_a_directory_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "device"):
        with pytest.raises(DataError, match=f"{name}: refused: .*(regular file|link out of)"):
            read_bytes(tmp_path / name, 100)
        with pytest.raises(DataError, match=f"{name}: refused"):
            check_sha256(tmp_path / name, "0" * 64)
    with pytest.raises(DataError, match="null: refused: it is not a regular file"):
        read_bytes(Path("/dev/null"), 100)


def test_a_link_inside_the_directory_is_followed_and_one_out_of_it_is_not(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (tmp_path / "secret").write_text("s", "utf-8")
    (model / "kept").write_text("k", "utf-8")
    (model / "inner").symlink_to("kept")
    assert read_bytes(model / "inner", 10) == b"k"
    for target in ("../secret", str(tmp_path / "secret")):
        (model / "outer").unlink(missing_ok=True)
        (model / "outer").symlink_to(target)
        with pytest.raises(
            DataError, match="outer: refused: it is a link out of .*replace the link by a copy"
        ):
            read_bytes(model / "outer", 10)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\0", "a\\b"])
def test_a_listed_name_that_is_not_that_of_a_neighbour_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"model\.json: refused: it names the file .*plain file name"):
        find_member(tmp_path, name, tmp_path / "model.json")
    assert find_member(tmp_path, "model.spm", tmp_path / "model.json") == tmp_path / "model.spm"


def test_a_file_that_is_too_large_or_absent_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with pytest.raises(DataError, match="file: refused: no such file or directory; restore it"):
        read_bytes(file, 3)
    file.write_bytes(b"1234")
    with pytest.raises(DataError, match="file: refused: it has 4 bytes, and a file of this kind at most 3"):
        read_bytes(file, 3)
    assert read_bytes(file, 4) == b"1234"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "[]",
            "{",
            "null",
            "\xff",
            '{"name": "a"}',
            '{"name": 1, "sizes": []}',
            '{"name": "a", "sizes": {}}',
        ),
        *('{"name": "a", "sizes": [1.5]}', '{"name": "a", "sizes": ["1"]}', '{"name": "a", "sizes": [NaN]}'),
        *("[" * 100_000, '{"a":' * 100_000, '{"name": "a", "sizes": [' + "9" * 10_000 + "x]}"),
    ],
)
def test_json_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "card.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"card\.json: refused: .*; restore it from a copy") as refused:
        read_json(file, Card)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


def test_a_sealed_file_is_refused_unless_seal_and_shape_are_right(tmp_path: Path) -> None:
    file, content = tmp_path / "sealed.json", {"name": "ü", "sizes": [1]}
    file.write_text(json.dumps({**content, "seal": compute_seal(content)}), "utf-8")
    assert read_card(file, Card, is_sealed=True) == Card("ü", [1])
    wrong = {"name": 1}
    for text in (
        json.dumps({**content, "seal": "0"}),
        json.dumps(content),
        json.dumps({**wrong, "seal": compute_seal(wrong)}),
        "[" * 100_000,
        "7",
    ):
        file.write_text(text, "utf-8")
        with pytest.raises(DataError, match=r"sealed\.json: refused"):
            read_card(file, Card, is_sealed=True)


def test_lines_that_are_not_json_are_reported_by_their_number(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text('{"a": 1}\n' + "[" * 100_000 + "\nx\n2\n3", "utf-8")
    assert list(read_json_lines(file)) == [(1, {"a": 1}), (2, None), (3, None), (4, 2)]


def tensor_file(path: Path, entries: dict[str, Any], data: int = 8, length: int | None = None) -> Path:
    """Write a safetensors file with this header."""
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + bytes(data))
    return path


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_the_header_of_tensors_is_read_without_their_data(tmp_path: Path) -> None:
    entries = {"__metadata__": {"a": "b"}, "w": entry(), "e": entry(shape=[0, 3], offsets=[8, 8])}
    header = read_tensor_header(tensor_file(tmp_path / "t", entries))
    assert list(header.tensors) == ["w", "e"]
    assert header.metadata == {"a": "b"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"w": entry(dtype="F31")},
        {"w": entry(shape=[3])},
        {"w": entry(shape=[-2])},
        {"w": entry(shape=[2**40, 2**40])},
        {"w": entry(shape=[1] * 9 + [2])},
        {"w": entry(shape=[2.0])},
        {"w": entry(offsets=[0, 9])},
        {"w": entry(offsets=[1, 9])},
        {"w": entry(offsets=[8, 0])},
        {"w": entry(offsets=[0])},
        {"w": entry(), "x": entry()},
        {"w": {**entry(), "more": 1}},
        {"w": {"a": "b"}},
        {"w": None},
        {},
    ],
)
def test_a_header_that_does_not_describe_its_file_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="t: refused"):
        read_tensor_header(tensor_file(tmp_path / "t", wrong))


@pytest.mark.parametrize("length", [0, 2**63, 1, 10**6])
def test_a_header_of_a_wrong_length_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(DataError, match="t: refused"):
        read_tensor_header(tensor_file(tmp_path / "t", {"w": entry()}, length=length))
