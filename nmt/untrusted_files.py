"""Reading of files that others may have written: those of a run, a model or an export directory.

Every such file is read here. It must be a regular file inside its directory (a link out of it, a pipe or a
device is refused), no larger than its kind can be, and have the declared content. Every failure is one
DataError: the file, what is wrong, what to do. Nothing here runs code from a file.
"""

import errno
import hashlib
import json
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from io import BufferedReader, BytesIO
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from nmt.errors import DataError
from nmt.files import stream_sha256
from nmt.formats import find_format_problem
from nmt.operating_system import READ_FLAGS
from nmt.text_encoding import survey_lines

MIB = 1 << 20
CARD_BYTES = MIB  # a JSON file of a few entries
RECIPE_BYTES = 4 * MIB
STATE_BYTES = 64 * MIB  # a JSON file that grows with the run: checkpoint.json, manifest.json
TEXT_BYTES = 256 * MIB  # vocabularies
LOG_BYTES = 1024 * MIB  # metrics.jsonl, train.log
GRAPH_BYTES = 2047 * MIB  # ONNX cannot be larger
WEIGHT_BYTES = 16384 * MIB  # of a model that is downloaded
HEADER_BYTES = 16 * MIB  # of a safetensors file

ADVICE = "restore it from a copy"
DTYPE_BYTES = {
    **{"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8},
    **{"BF16": 2, "F16": 2, "F32": 4, "F64": 8},
}
"""Bytes of a number of each type in a safetensors file."""

ShapeT = TypeVar("ShapeT")


class RefusedFile(DataError):
    """A file that is not used, and why."""

    def __init__(self, path: Path, reason: str, advice: str = ADVICE) -> None:
        super().__init__(f"{path}: refused: {reason}; {advice}")
        self.reason = reason


class NewerFormat(RefusedFile):
    """A file of a format that only a newer version can read."""


def check_inside(path: Path, directory: Path) -> Path:
    """Return the real path of `path`; DataError if links lead it out of the directory.

    From a snapshot in the cache of the Hugging Face Hub, whose links its library makes, they may lead to the
    blobs next to the snapshots.
    """
    real, root = os.path.realpath(path), os.path.realpath(directory)
    snapshots, repository = os.path.split(os.path.dirname(root))[::-1]
    roots = [root]
    if snapshots == "snapshots" and os.path.basename(repository).startswith("models--"):
        roots.append(os.path.join(repository, "blobs"))
    if real != root and not any(real.startswith(one.rstrip(os.sep) + os.sep) for one in roots):
        raise RefusedFile(path, f"it is a link out of {directory}, to {real}", "replace the link by a copy")
    return Path(real)


def check_links(directory: Path) -> None:
    """Raise DataError if a link in a directory, at any depth, leads out of it.

    Before anything is written there: a link to a file of the user would be followed.
    """
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                check_inside(path, directory)


def find_member(directory: Path, name: str, listed_in: Path) -> Path:
    """Return the path of a file that another file lists; DataError unless it is the name of a neighbour."""
    if name in ("", ".", "..") or any(mark in name for mark in "/\\:\0"):
        raise RefusedFile(listed_in, f"it names the file {name!r}, which is not a plain file name")
    return directory / name


def open_regular(
    path: Path, limit: int | None = None, advice: str = ADVICE, *, inside: bool = True
) -> BufferedReader:
    """Open a regular file of at most `limit` bytes; with `inside` not behind a link out of its directory.

    Raises DataError for anything else; a pipe without a writer does not block.
    """
    real = check_inside(path, path.parent) if inside else os.path.realpath(path)
    try:
        descriptor = os.open(real, READ_FLAGS)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        remedy = "raise the limit (ulimit -n)" if getattr(error, "errno", 0) == errno.EMFILE else advice
        raise RefusedFile(path, _lower(reason), remedy) from None
    status = os.fstat(descriptor)
    problem = None
    if not stat.S_ISREG(status.st_mode):
        problem = "it is not a regular file"
    elif limit is not None and status.st_size > limit:
        problem = f"it has {status.st_size:,} bytes, and a file of this kind at most {limit:,}"
    if problem:
        os.close(descriptor)
        raise RefusedFile(path, problem, advice)
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, limit: int, advice: str = ADVICE, *, inside: bool = True) -> bytes:
    """Return the content of a file of at most `limit` bytes."""
    with open_regular(path, limit, advice, inside=inside) as file:
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise RefusedFile(path, _lower(error.strerror), advice) from None
    if len(content) > limit:
        raise RefusedFile(path, f"it has more than {limit:,} bytes", advice)
    return content


def _lower(reason: str | None) -> str:
    """Return the reason of the operating system as part of a sentence."""
    return f"{reason[:1].lower()}{reason[1:]}" if reason else "it cannot be read"


def read_recipe_text(path: Path, *, inside: bool = False) -> str:
    """Return the content of a YAML file; with `inside` one of a run or model directory, else a user's."""
    content = read_bytes(path, RECIPE_BYTES, inside=inside)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = survey_lines(BytesIO(content), path).describe()
        raise RefusedFile(path, f"not UTF-8 text: {problem}", "write it again as UTF-8 text") from None


def read_json(path: Path, shape: type[ShapeT], limit: int = CARD_BYTES, advice: str = ADVICE) -> ShapeT:
    """Return the content of a JSON file as `shape`: a dataclass, or another type that pydantic validates."""
    return parse_json(read_bytes(path, limit, advice), shape, path, advice)


def parse_json(content: bytes, shape: type[ShapeT], path: Path, advice: str = ADVICE) -> ShapeT:
    """Return JSON text from a file as `shape`."""
    from pydantic import ValidationError

    try:
        parsed: ShapeT = _adapter(shape).validate_json(content, strict=True)  # type: ignore[arg-type] # hashable
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}" if where else str(first["msg"])
        raise RefusedFile(path, f"its content is wrong ({what[:200]})", advice) from None
    return parsed


def check_values(values: object, shape: type[ShapeT], path: Path, advice: str = ADVICE) -> ShapeT:
    """Return plain JSON values from a file as `shape`."""
    return parse_json(json.dumps(values).encode(), shape, path, advice)


@cache
def _adapter(shape: Any) -> Any:
    from pydantic import TypeAdapter  # here: other files are read without it

    return TypeAdapter(shape)


def read_card(path: Path, shape: type[ShapeT], limit: int = CARD_BYTES, *, is_sealed: bool = False) -> ShapeT:
    """Return the content of a JSON file that carries the format of its directory.

    Raises NewerFormat if only a newer version can read it. With `is_sealed` the file contains its own
    checksum, `seal`.
    """
    content = read_bytes(path, limit)
    try:
        values = json.loads(content)
        problem = find_format_problem(values)
        is_intact = not is_sealed or problem is not None or values.pop("seal") == compute_seal(values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedFile(path, "the file is truncated or damaged") from None
    if problem:
        raise NewerFormat(path, *problem)
    if not is_intact:
        raise RefusedFile(path, "checksum mismatch")
    return check_values(values, shape, path)


def compute_seal(values: Mapping[str, Any]) -> str:
    """Return the checksum of plain JSON values."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_json_lines(path: Path, limit: int = LOG_BYTES) -> Iterator[tuple[int, Any]]:
    """Yield the number and the value of each complete line; the value is None for a line that is not JSON."""
    for number, line in enumerate(read_bytes(path, limit).split(b"\n")[:-1], 1):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            yield number, None


def check_sha256(path: Path, expected: str) -> None:
    """Raise DataError if a file cannot be read or its SHA-256 differs from the expected one."""
    with open_regular(path) as file:
        try:
            actual = stream_sha256(file)
        except OSError as error:
            raise RefusedFile(path, _lower(error.strerror)) from None
    if actual != expected:
        raise RefusedFile(path, f"checksum mismatch (sha256 {actual[:12]}…, recorded {expected[:12]}…)")


@dataclass(frozen=True)
class TensorEntry:
    """The description of a tensor in the header of a safetensors file."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]

    __pydantic_config__ = {"extra": "forbid"}

    @property
    def bytes(self) -> int:
        """Bytes of the tensor's data."""
        return self.data_offsets[1] - self.data_offsets[0]


@dataclass(frozen=True)
class TensorHeader:
    """The header of a safetensors file: its tensors in the order of their data, and its texts."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]
    start: int  # of the data in the file


def read_tensor_header(path: Path, advice: str = ADVICE) -> TensorHeader:
    """Return the header of a safetensors file, after checking that it describes the file exactly."""
    with open_regular(path, advice=advice) as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 0 < length <= min(HEADER_BYTES, size - 8):
            raise RefusedFile(path, "it has no header of a safetensors file", advice)
        header = file.read(length)
    entries = parse_json(header, dict[str, TensorEntry | dict[str, str]], path, advice)
    metadata, tensors, end = dict[str, str](), dict[str, TensorEntry](), 0
    for name, entry in entries.items():
        if isinstance(entry, TensorEntry):
            tensors[name] = entry
        elif name == "__metadata__":
            metadata = entry
        else:
            raise RefusedFile(path, f"its header does not describe the tensor {name!r}", advice)
    tensors = dict(sorted(tensors.items(), key=lambda item: item[1].data_offsets))
    for name, entry in tensors.items():
        if not _is_consistent(entry, end):
            raise RefusedFile(path, f"its header gives {name!r} a wrong type, shape or position", advice)
        end = entry.data_offsets[1]
    if 8 + length + end != size:
        raise RefusedFile(
            path, f"its header describes {8 + length + end:,} bytes, but it has {size:,}", advice
        )
    return TensorHeader(tensors, metadata, 8 + length)


def _is_consistent(entry: TensorEntry, start: int) -> bool:
    """Return True if the data of a tensor begins at `start`, and has the size of its type and shape."""
    item = DTYPE_BYTES.get(entry.dtype, 0)
    fits = item > 0 and min(entry.shape, default=0) >= 0 and len(entry.shape) <= 8
    return fits and entry.data_offsets[0] == start and entry.bytes == item * prod(entry.shape)
