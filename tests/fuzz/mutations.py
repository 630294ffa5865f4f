"""Mutations of files: bytes, JSON, YAML, headers of tensors, protocol buffers."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml

from nmt.protobuf import FIXED32, VARINT, FieldValue, read_fields

Mutate = Callable[[bytes, Random], bytes]


def flip_bytes(content: bytes, rng: Random) -> bytes:
    """Change a few bytes, in half of the cases near one end, where structure is dense."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64)) if changed else 0):
        end = min(len(changed), 3000)
        position = rng.choice((rng.randrange(len(changed)), rng.randrange(end), -1 - rng.randrange(end)))
        changed[position] = rng.choice(
            (0, 255, changed[position] ^ (1 << rng.randrange(8)), rng.randrange(256))
        )
    return bytes(changed)


def cut(content: bytes, rng: Random) -> bytes:
    """Keep the beginning."""
    return content[: rng.randrange(len(content) + 1)]


def empty(content: bytes, rng: Random) -> bytes:
    """Keep nothing."""
    return b""


def insert(content: bytes, rng: Random) -> bytes:
    """Insert random bytes, or repeat a part."""
    position, size = rng.randrange(len(content) + 1), rng.choice((1, 16, 4096))
    start = rng.randrange(len(content) + 1)
    return (
        content[:position]
        + rng.choice((rng.randbytes(size), content[start : start + size]))
        + content[position:]
    )


def remove(content: bytes, rng: Random) -> bytes:
    """Remove a part."""
    position = rng.randrange(len(content) + 1)
    return content[:position] + content[position + rng.choice((1, 16, 1024)) :]


def replace(content: bytes, rng: Random) -> bytes:
    """Write something else."""
    return rng.choice(
        (rng.randbytes(1000), b"\0" * 100_000, b"[" * 100_000, b'{"a":' * 50_000, b"a: &a [*a]\n")
    )


BYTES: dict[str, Mutate] = {
    mutation.__name__: mutation for mutation in (flip_bytes, flip_bytes, cut, empty, insert, remove, replace)
}

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3.5, 1e308, 10**30, 2**31, 2**63, 2**64, float("nan"), float("inf")),
    *(
        "",
        "x",
        "../../etc/passwd",
        "/dev/zero",
        "a" * 5000,
        "\0",
        "\n",
        [],
        {},
        [[]],
        {"a": {}},
        ["x"] * 3000,
    ),
)


def edit(value: Any, rng: Random) -> Any:
    """Change one place of a tree of plain values."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key, action = rng.choice(keys), rng.random()
        changed = dict(value) if isinstance(value, dict) else list(value)
        if action < 0.15:
            del changed[key]
        elif action < 0.25 and isinstance(changed, dict):
            changed[rng.choice(("", "x", str(key).upper(), f"{key}x", "a/../b", "é"))] = changed.pop(key)
        elif action < 0.35 and isinstance(changed, list):
            changed.append(rng.choice((*VALUES, changed[key])))
        else:
            changed[key] = edit(changed[key], rng)
        return changed
    if rng.random() < 0.1:
        nested: Any = value
        for _ in range(rng.choice((3, 60, 200))):
            nested = [nested]
        return nested
    if isinstance(value, (int, float)) and rng.random() < 0.4:
        return rng.choice((-value, value + 1, value - 1, value * 1000, str(value), [value]))
    return rng.choice(VALUES)


def edit_json(content: bytes, rng: Random) -> bytes:
    """Change a value, a key or the depth of JSON."""
    return json.dumps(edit(json.loads(content), rng)).encode()


def edit_json_line(content: bytes, rng: Random) -> bytes:
    """Change one of several lines of JSON."""
    lines = content.splitlines(keepends=True)
    index = rng.randrange(len(lines))
    lines[index] = edit_json(lines[index], rng) + b"\n"
    return b"".join(lines)


def edit_yaml(content: bytes, rng: Random) -> bytes:
    """Change a value, a key or the depth of YAML."""
    return yaml.safe_dump(edit(yaml.safe_load(content), rng), sort_keys=False).encode()


def edit_tensors(content: bytes, rng: Random) -> bytes:
    """Change the header of a safetensors file, its length, or numbers in the data."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + length], content[8 + length :]
    action = rng.random()
    if action < 0.7:
        header = json.dumps(edit(json.loads(header), rng)).encode()
        length = len(header)
    elif action < 0.85:
        length = rng.choice((0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1, len(content)))
    else:
        number = struct.pack(
            "<f", rng.choice((float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-45))
        )
        start = 4 * rng.randrange(max(1, len(data) // 4))
        data = data[:start] + number * rng.choice((1, 100)) + data[start:]
        data = data[: len(content) - 8 - length]
    return struct.pack("<Q", length) + header + data


def edit_protobuf(content: bytes, rng: Random) -> bytes:
    """Change one field of a message, or of a message inside it."""
    try:
        fields = [*read_fields(memoryview(content))]
    except ValueError:
        fields = []
    if not fields:
        return flip_bytes(content, rng)
    index, action = rng.randrange(len(fields)), rng.random()
    number, value = fields[index]
    if action < 0.1:
        del fields[index]
    elif action < 0.2:
        fields.insert(rng.randrange(len(fields) + 1), (number, value))
    elif action < 0.25:
        fields[index] = rng.randrange(1, 30), value
    elif isinstance(value, int):
        fields[index] = (
            number,
            rng.choice((0, 1, value + 1, abs(value - 1), 2**31, 2**62, 2**64 - 1, value * 1000)),
        )
    elif len(value) == 4:
        fields[index] = number, memoryview(struct.pack("<f", rng.choice((float("nan"), 3e38, -3e38, 0.0))))
    else:
        inner = edit_protobuf if rng.random() < 0.8 else rng.choice([*BYTES.values()])
        fields[index] = number, memoryview(inner(bytes(value), rng))
    return b"".join(_write_field(number, value) for number, value in fields)


def _write_field(number: int, value: FieldValue) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | VARINT) + _varint(value % 2**64)
    if len(value) == 4:  # as good as always: a score, or the text of a piece, which may become a score
        return _varint(number << 3 | FIXED32) + bytes(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + bytes(value)


def _varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


STRUCTURE: dict[str, Mutate] = {
    ".json": edit_json,
    ".jsonl": edit_json_line,
    ".yaml": edit_yaml,
    ".safetensors": edit_tensors,
    ".spm": edit_protobuf,
    ".onnx": edit_protobuf,
}
"""The mutation that knows the structure of a file, by its ending."""


def take_away(path: Path, rng: Random) -> None:
    """Replace a file by none, a pipe, a directory, a link out of its directory, or one to itself."""
    path.unlink()
    action = rng.randrange(5)
    if action == 1:
        os.mkfifo(path)
    elif action == 2:
        path.mkdir()
    elif action > 2:
        path.symlink_to(("/dev/zero", path.name)[action - 3])


def mutate(path: Path, rng: Random) -> str:
    """Change a file at random; return the name of the mutation."""
    draw = rng.random()
    if draw < 0.04:
        take_away(path, rng)
        return "take_away"
    structure = STRUCTURE.get(path.suffix)
    mutation = structure if structure and draw < 0.7 else rng.choice([*BYTES.values()])
    path.write_bytes(mutation(path.read_bytes(), rng))
    return mutation.__name__
