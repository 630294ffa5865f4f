"""The encoded corpora: every pair turned into pieces once, in shards that are mapped into memory.

A store is a folder: files of arrays (shards), each with pairs of one corpus, and a manifest that says which
they are, what they were made from, and what their sums are. A shard is read when a pair of it is asked for.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.data.pair_rules import DropCount, FilterReport
from nmt.data.store.arrays import ArrayFile, ConcatArrays, Int64, RaggedArray, find_parts
from nmt.data.vocabulary import Flags
from nmt.errors import DataError
from nmt.files import cached_sha256, write_file

FORMAT = "nmt-tokens-3"
MANIFEST = "manifest.json"
CHECKSUMS = "sums.json"  # beside the stores of a run; see nmt.files


class ShardEntry(NamedTuple):
    """What the manifest says of a shard."""

    file: str
    corpus: str
    pairs: int
    report: FilterReport
    sha256: str

    def facts(self) -> dict[str, Any]:
        """The same in plain JSON values."""
        return {**self._asdict(), "report": asdict(self.report)}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "ShardEntry":
        """What `facts` gave."""
        return cls(**{**facts, "report": load_report(facts["report"])})


def load_report(content: Mapping[str, Any]) -> FilterReport:
    """Return the report that was saved as plain JSON values."""
    dropped, notes = (
        {reason: DropCount(*entry) for reason, entry in content[name].items()}
        for name in ("dropped", "notes")
    )
    return FilterReport(content["unit"], content["seen"], dropped, notes)


class CorpusPart(NamedTuple):
    """The pairs of one corpus, which stand together in a store."""

    name: str
    first: int
    pairs: int
    report: FilterReport


class StoreSide(NamedTuple):
    """One language of a store: its pieces and, where it is sampled from, its text."""

    tokens: RaggedArray
    text: RaggedArray | None

    def lines(self, pairs: Int64) -> list[str]:
        """The text of some pairs."""
        if self.text is None:
            raise ValueError("this store was built without text")
        values, lengths = self.text.take(pairs)
        return [row.tobytes().decode() for row in np.split(values, np.cumsum(lengths)[:-1])]


class WordAlignments(NamedTuple):
    """Word alignments: source and target word in turn, and the pieces that begin a word on either side."""

    words: RaggedArray
    starts: tuple[Flags, Flags]


class TokenStore:
    """The kept pairs of one corpus or several as pieces, and of each the line it came from (counted from 1).

    The source of plain text has no pieces. Where its rows hold their eos too, `tgt.tokens.values` is the text
    as one stream.
    """

    def __init__(self, path: Path) -> None:
        """Open a store that `prepare_store` made; DataError if it is torn, altered or of another version."""
        self.path = path
        made_from, shards = read_manifest(path)
        self.fingerprint = store_fingerprint(made_from)
        self._files = [ArrayFile(file, rebuild_advice(path)) for file in _whole(path, shards)]
        self.lines = ConcatArrays([file.arrays["lines"] for file in self._files])
        self.parts = list(_parts(shards))
        self.report = join_reports(part.report for part in self.parts)
        self.src, self.tgt = self._side("src"), self._side("tgt")
        self.weights, self.alignments = self._weights(), self._links()

    def _side(self, name: str) -> StoreSide:
        return StoreSide(self._rows(name), self._rows(f"{name}.text") if self._has(f"{name}.text") else None)

    def _rows(self, name: str) -> RaggedArray:
        """The rows of all shards; those that have none have empty ones."""
        empty = [np.broadcast_to(np.int64(0), len(file.arrays["lines"]) + 1) for file in self._files]
        offsets = [
            f.arrays.get(f"{name}.offsets", zeros) for f, zeros in zip(self._files, empty, strict=True)
        ]
        values = [file.arrays.get(name, np.empty(0, np.int64)) for file in self._files]
        return RaggedArray(offsets, values, self.release)

    def _has(self, name: str) -> bool:
        return any(name in file.arrays for file in self._files)

    def _weights(self) -> ConcatArrays | None:
        """What each pair counts, where a corpus says so; in the others 1."""
        if not self._has("weights"):
            return None
        ones = [np.broadcast_to(np.float32(1), len(file.arrays["lines"])) for file in self._files]
        return ConcatArrays([f.arrays.get("weights", one) for f, one in zip(self._files, ones, strict=True)])

    def _links(self) -> WordAlignments | None:
        if not self._has("links"):
            return None
        arrays = next(file.arrays for file in self._files if "links" in file.arrays)
        src, tgt = (arrays[f"{side}.starts"].astype(np.bool_) for side in ("src", "tgt"))
        return WordAlignments(self._rows("links"), (src, tgt))

    def __len__(self) -> int:
        return len(self.lines)

    def lengths(self, pairs: Int64 | None = None) -> tuple[Int64, Int64]:
        """How many pieces the chosen pairs (or all) have on either side, without bos and eos."""
        chosen = np.arange(len(self)) if pairs is None else pairs
        return self.src.tokens.lengths(chosen), self.tgt.tokens.lengths(chosen)

    def source_lines(self, pairs: Int64) -> list[tuple[str, int]]:
        """The corpus and the line that each of some pairs came from."""
        part = find_parts(pairs, np.array([*(part.first for part in self.parts), len(self)]))
        return [
            (self.parts[number].name, line)
            for number, line in zip(part.tolist(), self.lines[pairs].tolist(), strict=True)
        ]

    def release(self) -> None:
        """Let go the pages of the files that were read."""
        for file in self._files:
            file.release()


def store_fingerprint(made_from: Mapping[str, Any]) -> str:
    """SHA-256 of what a store was made from."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def rebuild_advice(path: Path) -> str:
    """What to do about a store that cannot be read."""
    return f"delete {path}, and the next run makes it again from the corpus"


def write_manifest(path: Path, made_from: Mapping[str, Any], shards: Sequence[ShardEntry]) -> None:
    """Say that a store is whole."""
    content = {"made_from": made_from, "shards": [shard.facts() for shard in shards]}
    write_file(path / MANIFEST, (json.dumps(content, indent=1) + "\n").encode())


def read_manifest(path: Path) -> tuple[dict[str, Any], list[ShardEntry]]:
    """What a store was made from, and its shards; DataError if it is not whole or of another version."""
    try:
        content = json.loads((path / MANIFEST).read_bytes())
        if content["made_from"]["format"] != FORMAT:
            raise DataError(f"{path} was written by a different version of nmt; {rebuild_advice(path)}")
        return content["made_from"], [ShardEntry.from_facts(facts) for facts in content["shards"]]
    except OSError as error:
        raise DataError(f"cannot read {path / MANIFEST}: {error.strerror}; {rebuild_advice(path)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / MANIFEST} is damaged ({error}): {rebuild_advice(path)}") from None


def _whole(path: Path, shards: Sequence[ShardEntry]) -> list[Path]:
    """The files of the shards, each as the manifest says; one is read only if it may have changed."""
    files = [path / shard.file for shard in shards]
    for file, shard, found in zip(files, shards, cached_sha256(files, path.parent / CHECKSUMS), strict=True):
        if found != shard.sha256:
            raise DataError(f"{file} is damaged (it does not match the manifest): {rebuild_advice(path)}")
    return files


def _parts(shards: Sequence[ShardEntry]) -> Iterable[CorpusPart]:
    by_corpus = {name: list(group) for name, group in groupby(shards, lambda shard: shard.corpus)}
    sizes = [sum(shard.pairs for shard in group) for group in by_corpus.values()]
    for (name, group), first, pairs in zip(
        by_corpus.items(), accumulate(sizes, initial=0), sizes, strict=False
    ):
        yield CorpusPart(name, first, pairs, join_reports(shard.report for shard in group))


def join_reports(reports: Iterable[FilterReport]) -> FilterReport:
    """The account of all, as if they had been read one after the other."""
    first, *others = reports
    whole = FilterReport(first.unit)
    for report in (first, *others):
        whole.extend(report)
    return whole
