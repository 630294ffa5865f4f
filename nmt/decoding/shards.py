"""One of n shares of a file, and the shares put together again.

Shard k of n holds the lines that begin in the k-th nth of the file's bytes: a stretch of whole lines, so that
shards of any format are put together by writing them one after another. Beside each output of a shard lies
OUTPUT.shard.json, which says what it is a shard of.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nmt.decoding.resume import JobOutput
from nmt.errors import DataError, UsageError
from nmt.files import atomic_file, file_sha256, part_file, write_file

BLOCK = 1 << 20
OF_A_SHARD = ("--shard", "--alignments")  # what differs from shard to shard of one job


class ShardNumber(NamedTuple):
    """Which share."""

    number: int  # from 1
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class ShardRange(NamedTuple):
    """Where the lines of a shard stand in their file."""

    shard: ShardNumber
    start: int  # bytes
    end: int
    first: int  # number of the first line, from 1
    sha256: str  # of the whole file


class ShardInfo(NamedTuple):
    """What an output is a shard of."""

    shard: int
    of: int
    input: str  # SHA-256 of the whole input
    job: dict[str, Any]  # what must be the same for all shards
    output: str  # SHA-256


def parse_shard(text: str) -> ShardNumber:
    """`2/8`; UsageError for anything else."""
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {text}: expected k/n with 1 ≤ k ≤ n, such as 2/8")
    return ShardNumber(int(number), int(of))


def find_shard(stream: BinaryIO, shard: ShardNumber) -> ShardRange:
    """The stretch of a shard; the whole file is read for its sum."""
    size = stream.seek(0, os.SEEK_END)
    start, end = (_line_start(stream, size * k // shard.of) for k in (shard.number - 1, shard.number))
    stream.seek(0)
    whole, first, position = hashlib.sha256(), 1, 0
    while block := stream.read(BLOCK):
        whole.update(block)
        first += block.count(b"\n", 0, max(0, start - position))
        position += len(block)
    return ShardRange(shard, start, end, first, whole.hexdigest())


def _line_start(stream: BinaryIO, place: int) -> int:
    """Where the first line begins that begins here or after."""
    if place == 0:
        return 0
    stream.seek(place - 1)
    stream.readline()
    return stream.tell()


def read_shard(stream: BinaryIO, stretch: ShardRange) -> Iterator[bytes]:
    """The raw lines of a stretch."""
    position = stream.seek(stretch.start)
    while position < stretch.end:
        line = stream.readline()
        position += len(line)
        yield line


def info_path(output: Path) -> Path:
    """Where the card of a shard's output stands."""
    return output.with_name(output.name + ".shard.json")


def write_shard_info(stretch: ShardRange, output: JobOutput) -> None:
    """Say of each file of a job that it is a shard, before it is given its name."""
    job = {name: value for name, value in output.identity.items() if name not in OF_A_SHARD}
    for number, place in enumerate(output.places):
        stream = {"stream": number}  # translations and alignments are not shards of one file
        card = ShardInfo(*stretch.shard, stretch.sha256, job | stream, file_sha256(part_file(place)))
        write_file(info_path(place), (json.dumps(card._asdict(), ensure_ascii=False) + "\n").encode())


def merge_shards(outputs: Sequence[Path], output: Path) -> None:
    """Write the outputs of all shards of a job, in any order, to one file, which is named when it is whole.

    DataError if one is missing, there twice, altered, or of another job.
    """
    cards = {path: _read_card(path) for path in outputs}
    ordered = sorted(outputs, key=lambda path: cards[path].shard)
    _check([cards[path] for path in ordered], ordered)
    with atomic_file(output) as place, place.open("wb") as whole:
        for path in ordered:
            if file_sha256(path) != cards[path].output:
                raise DataError(
                    f"{path} is not what its shard wrote: translate shard {cards[path].shard} again"
                )
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole, BLOCK)


def _read_card(path: Path) -> ShardInfo:
    try:
        return ShardInfo(**json.loads(info_path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(
            f"{path} is not the output of a whole shard: {info_path(path)} does not exist"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{info_path(path)} cannot be read: {error}") from None


def _check(cards: Sequence[ShardInfo], paths: Sequence[Path]) -> None:
    for card, path in zip(cards, paths, strict=True):
        for name, one, other in (
            ("number of shards", cards[0].of, card.of),
            ("input", cards[0].input, card.input),
            ("model or options", cards[0].job, card.job),
        ):
            if one != other:
                raise DataError(f"{paths[0]} and {path} are not shards of one job: another {name}")
    numbers = [card.shard for card in cards]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    missing = sorted(set(range(1, cards[0].of + 1)) - set(numbers))
    if twice:
        raise DataError(f"shard {', '.join(map(str, twice))} of {cards[0].of} is there more than once")
    if missing:
        raise DataError(f"shard {', '.join(map(str, missing))} of {cards[0].of} is missing")
