"""Shards of a translation job, each with OUTPUT.shard.json, which identifies it, and their merge.

Shard k of n consists of the lines that begin in the k-th nth of the input's bytes; merging is concatenation.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt.data.text import LONGEST_LINE, check_line_length, iterate_lines
from nmt.decoding.resume import JobOutput
from nmt.errors import DataError, UsageError
from nmt.files import atomic_file, file_sha256, part_file, write_file
from nmt.outputs import check_output_files
from nmt.untrusted_files import read_json

BLOCK = 1 << 20
PER_SHARD = ("--shard", "--alignments")  # options that differ between the shards of a job


class ShardRange(NamedTuple):
    """The lines of a shard in their file."""

    shard: int  # from 1
    of: int
    start: int  # bytes
    end: int
    first: int  # number of the first line, from 1
    sha256: str  # of the complete file


class ShardInfo(NamedTuple):
    """The content of OUTPUT.shard.json."""

    shard: int
    of: int
    input: str  # SHA-256 of the complete input
    job: dict[str, Any]  # must be equal for all shards
    output: str  # SHA-256


def parse_shard(text: str) -> tuple[int, int]:
    """Parse `2/8`, shard 2 of 8; raise UsageError for anything else."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {text}: expected K/N with 1 ≤ K ≤ N, such as 2/8")
    return int(number), int(of)


def find_shard(stream: BinaryIO, shard: int, of: int) -> ShardRange:
    """Find the range of a shard; the complete file is read for its checksum."""
    size = stream.seek(0, os.SEEK_END)
    start, end = (_next_line_start(stream, size * k // of) for k in (shard - 1, shard))
    stream.seek(0)
    digest, first, position = hashlib.sha256(), 1, 0
    while block := stream.read(BLOCK):
        digest.update(block)
        first += block.count(b"\n", 0, max(0, start - position))
        position += len(block)
    return ShardRange(shard, of, start, end, first, digest.hexdigest())


def _next_line_start(stream: BinaryIO, position: int) -> int:
    """Return the start of the first line that begins at this position or later."""
    if position == 0:
        return 0
    stream.seek(position - 1)
    rest = stream.readline(LONGEST_LINE + 1)
    check_line_length(rest, Path(stream.name), f"the line at byte {position}")
    return stream.tell()


def read_shard(stream: BinaryIO, lines: ShardRange) -> Iterator[bytes]:
    """Yield the raw lines of a shard."""
    position = stream.seek(lines.start)
    for line in iterate_lines(stream, Path(stream.name), first=lines.first):
        if position >= lines.end:
            break
        position += len(line)
        yield line


def info_path(output: Path) -> Path:
    """Return the path of the file that identifies a shard's output."""
    return output.with_name(f"{output.name}.shard.json")


def write_shard_info(lines: ShardRange, output: JobOutput) -> None:
    """Write OUTPUT.shard.json for each file of a job, before the file is renamed."""
    job = {name: value for name, value in output.identity.items() if name not in PER_SHARD}
    for number, path in enumerate(output.paths):
        stream = {"stream": number}  # translations and alignments are not shards of one file
        info = ShardInfo(lines.shard, lines.of, lines.sha256, job | stream, file_sha256(part_file(path)))
        write_file(info_path(path), (json.dumps(info._asdict(), ensure_ascii=False) + "\n").encode())


def merge_shards(outputs: Sequence[Path], output: Path) -> None:
    """Write the outputs of all shards of a job, given in any order, to one file atomically.

    Raises DataError if one is missing, repeated, altered, or of a different job; UsageError if `output` is
    one of them.
    """
    check_output_files({"--output": output}, [*outputs, *map(info_path, outputs)])
    infos = {path: _read_info(path) for path in outputs}
    ordered = sorted(outputs, key=lambda path: infos[path].shard)
    _check_shards([infos[path] for path in ordered], ordered)
    with atomic_file(output) as side, side.open("wb") as merged:
        for path in ordered:
            if file_sha256(path) != infos[path].output:
                raise DataError(f"{path} has been altered: translate shard {infos[path].shard} again")
            with path.open("rb") as part:
                shutil.copyfileobj(part, merged, BLOCK)


def _read_info(path: Path) -> ShardInfo:
    file = info_path(path)
    if not os.path.lexists(file):
        raise DataError(f"{path} is not the output of a complete shard: {file} does not exist")
    return read_json(file, ShardInfo, advice="translate the shard again")


def _check_shards(infos: Sequence[ShardInfo], paths: Sequence[Path]) -> None:
    for info, path in zip(infos, paths, strict=True):
        for name, one, other in (
            ("number of shards", infos[0].of, info.of),
            ("input", infos[0].input, info.input),
            ("model or options", infos[0].job, info.job),
        ):
            if one != other:
                raise DataError(f"{paths[0]} and {path} are not shards of one job: different {name}")
    numbers = [info.shard for info in infos]
    repeated = sorted({number for number in numbers if numbers.count(number) > 1})
    missing = sorted(set(range(1, infos[0].of + 1)) - set(numbers))
    for wrong, problem in ((repeated, "given more than once"), (missing, "missing")):
        if wrong:
            raise DataError(f"shard {', '.join(map(str, wrong))} of {infos[0].of} is {problem}")
