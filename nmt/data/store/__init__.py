"""The token store: corpora encoded once, in memory-mapped shards. A store is a directory of shards (files of
arrays, each with pairs of one corpus) and a manifest with their checksums and inputs."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.data.pair_rules import FilterReport, join_reports
from nmt.data.store.arrays import Array, ArrayFile, ConcatArrays, Int64, RaggedArray, find_parts
from nmt.data.vocabulary import Flags
from nmt.errors import DataError
from nmt.files import cached_sha256, write_file
from nmt.untrusted_files import STATE_BYTES, RefusedFile, find_member, open_regular, read_json

FORMAT = "nmt-tokens-3"
MANIFEST = "manifest.json"
ROWS_CHECKED = 1 << 20
CHECKSUMS = "sums.json"  # next to the stores of a run; see nmt.files


@dataclass(frozen=True)
class ShardEntry:
    """The entry of a shard in the manifest."""

    file: str
    corpus: str
    pairs: int
    report: FilterReport
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`."""

    made_from: dict[str, Any]
    shards: list[ShardEntry]


class CorpusPart(NamedTuple):
    """The pairs of one corpus, which are consecutive in a store."""

    name: str
    first: int
    pairs: int
    report: FilterReport


class StoreSide(NamedTuple):
    """One side of a store: its tokens and, for subword sampling, its text."""

    tokens: RaggedArray
    text: RaggedArray | None

    def lines(self, pairs: Int64) -> list[str]:
        """Return the text of some pairs."""
        if self.text is None:
            raise ValueError("this store was built without text")
        values, lengths = self.text.take(pairs)
        return [row.tobytes().decode() for row in np.split(values, np.cumsum(lengths)[:-1])]


class WordAlignments(NamedTuple):
    """Word alignments: alternating source and target words, and the tokens that start words, by side."""

    words: RaggedArray
    starts: tuple[Flags, Flags]


class TokenStore:
    """The kept pairs of one or several corpora as tokens, with the line that each came from (counted from 1).

    The source of plain text has no tokens. If the rows include eos, `tgt.tokens.values` is the text as one
    stream.
    """

    def __init__(self, path: Path) -> None:
        """Open a store written by `prepare_store`; DataError if it is damaged or of another version."""
        self.path = path
        made_from, shards = read_manifest(path)
        self.fingerprint = store_fingerprint(made_from)
        self._files = [ArrayFile(file, rebuild_advice(path)) for file in _check_shards(path, shards)]
        for file, shard in zip(self._files, shards, strict=True):
            _check_arrays(file, shard)
        self.lines = ConcatArrays([file.arrays["lines"] for file in self._files])
        self.parts = list(_parts(shards))
        self.report = join_reports(part.report for part in self.parts)
        self.src, self.tgt = self._side("src"), self._side("tgt")
        ones = self._arrays("weights", lambda pairs: np.broadcast_to(np.float32(1), pairs))
        self.weights = ConcatArrays(ones) if self._has("weights") else None
        self.alignments = self._alignments() if self._has("links") else None

    def _side(self, name: str) -> StoreSide:
        return StoreSide(self._rows(name), self._rows(f"{name}.text") if self._has(f"{name}.text") else None)

    def _rows(self, name: str) -> RaggedArray:
        """Return the rows of all shards; a shard without this array has empty rows."""
        offsets = self._arrays(f"{name}.offsets", lambda pairs: np.broadcast_to(np.int64(0), pairs + 1))
        values = self._arrays(name, lambda pairs: np.empty(0, np.int64))
        return RaggedArray(offsets, values, self.release)

    def _has(self, name: str) -> bool:
        return any(name in file.arrays for file in self._files)

    def _arrays(self, name: str, default: Callable[[int], Array]) -> list[Array]:
        """Return an array of each shard; `default` makes the missing ones, given the number of pairs."""
        shards = [file.arrays for file in self._files]
        return [shard[name] if name in shard else default(len(shard["lines"])) for shard in shards]

    def _alignments(self) -> WordAlignments:
        arrays = next(file.arrays for file in self._files if "links" in file.arrays)
        src, tgt = (arrays[f"{side}.starts"].astype(np.bool_) for side in ("src", "tgt"))
        return WordAlignments(self._rows("links"), (src, tgt))

    def __len__(self) -> int:
        return len(self.lines)

    def lengths(self, pairs: Int64 | None = None) -> tuple[Int64, Int64]:
        """Return the number of tokens of some pairs (default: all) on either side, without bos and eos."""
        chosen = np.arange(len(self)) if pairs is None else pairs
        return self.src.tokens.lengths(chosen), self.tgt.tokens.lengths(chosen)

    def corpus_lines(self, pairs: Int64) -> list[tuple[str, int]]:
        """Return the corpus and line that each of some pairs came from."""
        parts = find_parts(pairs, np.array([*(part.first for part in self.parts), len(self)]))
        names = [self.parts[part].name for part in parts.tolist()]
        return list(zip(names, self.lines[pairs].tolist(), strict=True))

    def release(self) -> None:
        """Release the memory pages that were read."""
        for file in self._files:
            file.release()


def store_fingerprint(made_from: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the inputs of a store."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def rebuild_advice(path: Path) -> str:
    """Return the advice for a store that cannot be read."""
    return f"delete {path}; the next run creates it again from the corpus"


def write_manifest(path: Path, made_from: Mapping[str, Any], shards: Sequence[ShardEntry]) -> None:
    """Write the manifest, which marks a store as complete."""
    content = {"made_from": made_from, "shards": [asdict(shard) for shard in shards]}
    write_file(path / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())


def read_manifest(path: Path) -> tuple[dict[str, Any], list[ShardEntry]]:
    """Return the inputs of a store, and its shards; DataError if it is damaged or outdated."""
    manifest = read_json(path / MANIFEST, Manifest, STATE_BYTES, rebuild_advice(path))
    if manifest.made_from.get("format") != FORMAT:
        raise DataError(f"{path} was written by a different version of nmt; {rebuild_advice(path)}")
    if not manifest.shards:
        raise RefusedFile(path / MANIFEST, "it lists no shard", rebuild_advice(path))
    return manifest.made_from, manifest.shards


def _check_shards(path: Path, shards: Sequence[ShardEntry]) -> list[Path]:
    """Return the files of the shards after comparing checksums; only files that may have changed are read."""
    files = [find_member(path, shard.file, path / MANIFEST) for shard in shards]
    for file in files:
        open_regular(file, advice=rebuild_advice(path)).close()
    for file, shard, digest in zip(files, shards, cached_sha256(files, path.parent / CHECKSUMS), strict=True):
        if digest != shard.sha256:
            raise DataError(f"{file} is damaged (it does not match the manifest): {rebuild_advice(path)}")
    return files


def _check_arrays(file: ArrayFile, shard: ShardEntry) -> None:
    """Raise DataError unless the rows of a shard lie within its arrays, one row for every pair."""
    pairs = len(file.array("lines", "I64"))
    ragged = [name.removesuffix(".offsets") for name in file.arrays if name.endswith(".offsets")]
    rows = [file.array(f"{name}.offsets", "I64") for name in ragged]
    is_whole = pairs == shard.pairs == shard.report.kept and (not pairs or "tgt" in ragged)
    is_whole &= all(
        len(offsets) == pairs + 1 and offsets[0] == 0 and offsets[-1] == len(file.arrays.get(name, ()))
        for name, offsets in zip(ragged, rows, strict=True)
    )
    is_whole &= len(file.arrays.get("weights", file.arrays["lines"])) == pairs
    for offsets in rows if is_whole else ():
        for start in range(0, len(offsets), ROWS_CHECKED):
            is_whole &= bool((np.diff(offsets[start : start + ROWS_CHECKED + 1]) >= 0).all())
            file.release()
    if not is_whole:
        raise RefusedFile(file.path, "its arrays do not match each other", file.advice)


def _parts(shards: Sequence[ShardEntry]) -> Iterator[CorpusPart]:
    first = 0
    for name, group in groupby(shards, attrgetter("corpus")):
        report = join_reports(shard.report for shard in group)
        yield CorpusPart(name, first, report.kept, report)
        first += report.kept
