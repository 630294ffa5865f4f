"""Flat arrays in a safetensors file: written as a stream, read as a memory map."""

import hashlib
import json
import mmap
import shutil
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.errors import DataError
from nmt.files import atomic_file
from nmt.untrusted_files import RefusedFile, open_regular, parse_json, read_tensor_header

Array = NDArray[Any]
ArrayType = Literal["I64", "F32", "U32", "U16", "U8"]
TYPES: dict[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}
BLOCK = 1 << 20


class Column:
    """An array that is written piecewise to a temporary file, and hashed meanwhile."""

    def __init__(self, kind: ArrayType, file: IO[bytes]) -> None:
        self.kind, self.file, self.count, self.hash = kind, file, 0, hashlib.sha256()

    def append(self, values: Array) -> None:
        content = values.astype(TYPES[self.kind]).tobytes()
        self.file.write(content)
        self.hash.update(content)
        self.count += len(values)


class TemporaryColumns(ExitStack):
    """A context that holds named columns in unnamed temporary files until `save` joins them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self._columns = path, dict[str, Column]()

    def add(self, name: str, kind: ArrayType) -> Column:
        """Return a new column."""
        return self._columns.setdefault(name, Column(kind, self.enter_context(TemporaryFile(dir=self.path))))

    def save(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the columns to one file atomically, with their checksums; wide types first, for alignment."""
        columns = sorted(self._columns.items(), key=lambda entry: -TYPES[entry[1].kind].itemsize)
        checksums = {name: column.hash.hexdigest() for name, column in columns}
        entries: dict[str, Any] = {"__metadata__": {**metadata, "sha256": json.dumps(checksums)}}
        end = 0
        for name, column in columns:
            start, end = end, end + column.count * TYPES[column.kind].itemsize
            entries[name] = {"dtype": column.kind, "shape": [column.count], "data_offsets": [start, end]}
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % 8)
        with atomic_file(path) as side, side.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for _, column in columns:
                column.file.seek(0)
                shutil.copyfileobj(column.file, file, BLOCK)


class ArrayFile:
    """The arrays of a file, mapped into memory.

    Raises DataError, which ends with `advice`, if the file is missing or its length is wrong.
    """

    def __init__(self, path: Path, advice: str) -> None:
        self.path, self.advice = path, advice
        header = read_tensor_header(path, advice)
        self.metadata = header.metadata
        with open_regular(path, advice=advice) as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = np.frombuffer(self._map, np.uint8)[header.start :]
        for name, entry in header.tensors.items():
            if entry.dtype not in TYPES or len(entry.shape) != 1:
                raise RefusedFile(path, f"its array {name} has an unknown type or shape", advice)
        self.arrays: dict[str, Array] = {
            name: content[slice(*entry.data_offsets)].view(TYPES[entry.dtype])
            for name, entry in header.tensors.items()
        }

    def array(self, name: str, kind: ArrayType) -> Array:
        """Return an array; DataError if the file has none of this name and type."""
        values = self.arrays.get(name)
        if values is None or values.dtype != TYPES[kind]:
            raise RefusedFile(self.path, f"it has no array {name} of type {kind}", self.advice)
        return values

    def check(self) -> None:
        """Read every array; DataError if the checksum of one is wrong."""
        text = self.metadata.get("sha256", "").encode()
        checksums = parse_json(text, dict[str, str], self.path, self.advice)
        for name, values in self.arrays.items():
            if hashlib.sha256(values.view(np.uint8).data).hexdigest() != checksums.get(name):
                raise DataError(f"{self.path} is damaged (checksum mismatch in its {name}): {self.advice}")
            self.release()

    def release(self) -> None:
        """Release the pages read so far, to bound resident memory."""
        if sys.platform != "win32":
            self._map.madvise(mmap.MADV_DONTNEED)


Int64 = NDArray[np.int64]

LENGTHS_AT_ONCE, ROWS_AT_ONCE = 1 << 12, 16
"""Rows whose lengths, or values, are read before memory pages are released: each row of a large file may
load a separate page and its neighbours."""


class ConcatArrays:
    """Arrays of one type end to end: `array[indices]` reads from all of them, `parts` are the arrays."""

    def __init__(self, parts: Sequence[Array]) -> None:
        self.parts = parts
        self.first: Int64 = np.cumsum([0, *map(len, parts)])  # index of each part's first value, and the end

    def __len__(self) -> int:
        return int(self.first[-1])

    def __getitem__(self, indices: Int64) -> Array:
        if len(self.parts) == 1:
            return self.parts[0][indices]
        parts, values = find_parts(indices, self.first), np.empty(len(indices), self.parts[0].dtype)
        order = np.argsort(parts, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
            if len(group):
                part = parts[group[0]]
                values[group] = self.parts[part][indices[group] - self.first[part]]
        return values

    def tolist(self) -> list[Any]:
        """Return all values."""
        return [value for part in self.parts for value in part.tolist()]


def find_parts(indices: Int64, first: Int64) -> Int64:
    """Return the part of each index, if part i begins at first[i]; the end belongs to the last."""
    parts: Int64 = np.searchsorted(first[1:-1], indices, side="right")
    return parts


class RaggedRows(NamedTuple):
    """The values of some rows end to end, and the length of each row."""

    values: Array
    lengths: Int64


class RaggedArray:
    """Rows of unequal length in one or several parts; row i of a part is values[offsets[i]:offsets[i + 1]].

    `release` is called to release the pages that have been read, if the arrays are memory maps.
    """

    def __init__(
        self, offsets: Sequence[Array], values: Sequence[Array], release: Callable[[], None] = lambda: None
    ) -> None:
        self.release = release
        self.values, self._offsets = ConcatArrays(values), ConcatArrays(offsets)
        self._first: Int64 = self._offsets.first - np.arange(len(offsets) + 1)

    def __len__(self) -> int:
        return int(self._first[-1])

    def _bounds(self, rows: Int64) -> tuple[Int64, Int64]:
        """Return the index of each row's first value, and the length of each row."""
        parts = find_parts(rows, self._first)
        indices = rows + parts  # a part has one offset more than rows
        starts, ends = np.split(self._offsets[np.concatenate([indices, indices + 1])], 2)
        return starts + self.values.first[parts], ends - starts

    def lengths(self, rows: Int64) -> Int64:
        """Return the lengths of some rows."""
        lengths, order = np.empty_like(rows), np.argsort(rows)
        for chunk in self._chunks(order, LENGTHS_AT_ONCE):
            lengths[chunk] = self._bounds(rows[chunk])[1]
        return lengths

    def take(self, rows: Int64) -> RaggedRows:
        """Return some rows, in the given order."""
        chunks = [self._take(chunk) for chunk in self._chunks(rows, ROWS_AT_ONCE)] or [self._take(rows)]
        values, lengths = zip(*chunks, strict=True)
        return RaggedRows(np.concatenate(values), np.concatenate(lengths))

    def _take(self, rows: Int64) -> RaggedRows:
        starts, lengths = self._bounds(rows)
        shifts = starts - np.cumsum(lengths) + lengths
        return RaggedRows(self.values[np.repeat(shifts, lengths) + np.arange(lengths.sum())], lengths)

    def _chunks(self, rows: Int64, count: int) -> Iterator[Int64]:
        """Yield `count` rows at a time, and release the pages after each."""
        for first in range(0, len(rows), count):
            yield rows[first : first + count]
            self.release()

    def find_rows(self, indices: Int64) -> Int64:
        """Return the rows that contain indices of `values`; the last row for an index after the end."""
        parts = find_parts(indices, self.values.first)
        inside = zip(parts.tolist(), (indices - self.values.first[parts]).tolist(), strict=True)
        rows = [int(np.searchsorted(self._offsets.parts[part], at, side="right")) - 1 for part, at in inside]
        return np.minimum(np.array(rows) + self._first[parts], len(self) - 1)

    def next_start(self, index: int) -> int:
        """Return the start in `values` of the first row that starts at `index` or after it."""
        part = int(find_parts(np.array([index]), self.values.first)[0])
        first, offsets = int(self.values.first[part]), self._offsets.parts[part]
        return first + int(offsets[np.searchsorted(offsets, index - first)])
