"""The encoded corpus: every pair turned into pieces once, in one file that is mapped into memory."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.arrays import Array, ArrayFile, Column, Scratch, Type, read_metadata, write_arrays
from nmt.data.download import sha256_of
from nmt.data.filters import Dropped, FilterReport, LengthFilter, LineFilter
from nmt.data.subwords import EOS, Vocabulary
from nmt.data.text import Corpus, read_pairs
from nmt.errors import DataError

FORMAT = "nmt-tokens-2"
CHUNK = 4096  # pairs that are encoded together
SIDES = ("src", "tgt")
REBUILD = "delete it, and the next run makes it again from the corpus"

Int64 = NDArray[np.int64]


class Taken(NamedTuple):
    """Rows end to end, and the length of each."""

    values: Array
    lengths: Int64


class Rows(NamedTuple):
    """Rows of unequal length: row i is values[offsets[i]:offsets[i + 1]]."""

    offsets: Array
    values: Array

    def lengths(self, rows: Int64) -> Int64:
        starts: Int64 = self.offsets[rows]
        return self.offsets[rows + 1] - starts

    def take(self, rows: Int64) -> Taken:
        lengths = self.lengths(rows)
        moved = self.offsets[rows] - np.cumsum(lengths) + lengths
        return Taken(self.values[np.repeat(moved, lengths) + np.arange(lengths.sum())], lengths)


class Side(NamedTuple):
    """One language of a store: its pieces and, where it is sampled from, its text."""

    tokens: Rows
    text: Rows | None

    def line(self, pair: int) -> str:
        if self.text is None:
            raise ValueError("this store was made without its text")
        start, end = self.text.offsets[pair : pair + 2]
        return self.text.values[start:end].tobytes().decode()


class TokenStore:
    """The kept pairs of a corpus as pieces, and of each the line it came from (counted from 1).

    The source of plain text has no pieces. Where its rows hold their eos too, `tgt.tokens.values` is the text
    as one stream.
    """

    def __init__(self, path: Path) -> None:
        """Open a store that `prepare_store` made; DataError if it is torn, altered or of another version."""
        self.path = path
        self._file = ArrayFile(path, REBUILD)
        metadata = self._file.metadata
        self.fingerprint = hashlib.sha256(metadata["made_from"].encode()).hexdigest()
        try:
            self.report = _report_from(json.loads(metadata["report"]))
        except KeyError:
            raise DataError(f"{path} was written by another version of nmt; {REBUILD}") from None
        self.lines: Int64 = self._file.arrays["lines"]
        self.src, self.tgt = self._side("src"), self._side("tgt")

    def _side(self, name: str) -> Side:
        arrays = self._file.arrays
        if name not in arrays:
            return Side(_no_pieces(len(self)), None)
        tokens = Rows(arrays[f"{name}.offsets"], arrays[name])
        if f"{name}.text" not in arrays:
            return Side(tokens, None)
        return Side(tokens, Rows(arrays[f"{name}.text.offsets"], arrays[f"{name}.text"]))

    def __len__(self) -> int:
        return len(self.lines)

    def lengths(self, pairs: Int64 | None = None) -> tuple[Int64, Int64]:
        """How many pieces the chosen pairs (or all) have on either side, without bos and eos."""
        chosen = np.arange(len(self)) if pairs is None else pairs
        return self.src.tokens.lengths(chosen), self.tgt.tokens.lengths(chosen)

    def release(self) -> None:
        """Let go the pages of the file that were read."""
        self._file.release()


def _no_pieces(rows: int) -> Rows:
    return Rows(np.broadcast_to(np.int64(0), rows + 1), np.empty(0, np.int64))


def prepare_store(
    path: Path,
    corpus: Corpus,
    *,
    src: Vocabulary | None = None,
    tgt: Vocabulary,
    keep: LengthFilter | LineFilter | None,
    with_text: bool = False,
    with_ends: bool = False,
) -> TokenStore:
    """The store of a corpus: that at `path` if it was made of the same, else a new one.

    Plain text has no `src`. Without a filter every pair is kept, blank ones too; the text is stored too where
    pieces are sampled from it, and with `with_ends` eos behind every row, which makes the rows a stream.
    Raises DataError if the files do not match or no pair is left.
    """
    vocabularies = {name: side for name, side in {"src": src, "tgt": tgt}.items() if side is not None}
    making = _Making(corpus, vocabularies, keep, with_text, with_ends)
    made_from = making.inputs()
    if read_metadata(path).get("made_from") != made_from:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(making, path, made_from)
    return TokenStore(path)


class _Making(NamedTuple):
    """All that decides on the content of a store."""

    corpus: Corpus
    vocabularies: dict[str, Vocabulary]
    keep: LengthFilter | LineFilter | None
    with_text: bool
    with_ends: bool

    def inputs(self) -> str:
        """The same text for the same content; what it says of files and vocabularies are checksums."""
        return json.dumps(
            {
                "format": FORMAT,
                "files": checksums(self.corpus),
                "vocabularies": {name: side.fingerprint() for name, side in self.vocabularies.items()},
                "filter": self.keep and self.keep._asdict(),
                "text": self.with_text,
                "ends": self.with_ends,
            }
        )

    def why_dropped(self, src: list[int], tgt: list[int]) -> str | None:
        return self.keep.why_dropped(len(src), len(tgt)) if self.keep else None

    def encoded(self, side: str, lines: list[str]) -> list[list[int]]:
        return self.vocabularies[side].encode_all(lines) if side in self.vocabularies else [[] for _ in lines]


def checksums(corpus: Corpus) -> list[str]:
    """The SHA-256 of each file of a corpus."""
    return [_sha256(path) for path in corpus.files]


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def _make(making: _Making, path: Path, made_from: str) -> None:
    """Encode the corpus chunk by chunk into files aside, then put them together at `path`."""
    with Scratch(path.parent) as scratch:
        columns, report = _encode(making, scratch)
        if report.kept == 0:
            raise DataError(f"no {report.unit[:-1]} is left of {making.corpus}: {report}")
        write_arrays(path, columns, {"made_from": made_from, "report": json.dumps(asdict(report))})


def _encode(making: _Making, scratch: Scratch) -> tuple[dict[str, Column], FilterReport]:
    report = FilterReport("pairs" if making.corpus.parallel else "lines")
    lines, sides = scratch.column("I64"), _side_writers(making, scratch)
    for chunk in _chunks(read_pairs(making.corpus)):
        texts = dict(zip(SIDES, map(list, zip(*chunk, strict=True)), strict=True))
        encoded = {side: making.encoded(side, text) for side, text in texts.items()}
        first, pairs = report.seen + 1, zip(*encoded.values(), strict=True)
        kept = [i for i, pair in enumerate(pairs) if report.count(making.why_dropped(*pair))]
        lines.append(np.array(kept, np.int64) + first)
        for side, writer in sides.items():
            writer.append([encoded[side][i] for i in kept], [texts[side][i] for i in kept])
    columns = [writer.columns(side) for side, writer in sides.items()]
    return {"lines": lines, **{name: column for side in columns for name, column in side.items()}}, report


def _side_writers(making: _Making, scratch: Scratch) -> "dict[str, _SideWriter]":
    return {
        side: _SideWriter(len(vocabulary), making.with_text, making.with_ends, scratch)
        for side, vocabulary in making.vocabularies.items()
    }


def _chunks(pairs: Iterator[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    while chunk := list(islice(pairs, CHUNK)):
        yield chunk


class _RowsWriter:
    """Rows of unequal length on their way to disk."""

    def __init__(self, kind: Type, scratch: Scratch) -> None:
        self.values, self.offsets = scratch.column(kind), scratch.column("I64")
        self.offsets.append(np.zeros(1, np.int64))

    def append(self, values: Array, lengths: Iterable[int]) -> None:
        self.offsets.append(self.values.count + np.cumsum(np.fromiter(lengths, np.int64)))
        self.values.append(values)


class _SideWriter:
    """One side of the pairs on its way to disk."""

    def __init__(self, pieces: int, with_text: bool, with_ends: bool, scratch: Scratch) -> None:
        self.end = [EOS] if with_ends else []
        self.tokens = _RowsWriter("U16" if pieces <= 1 << 16 else "U32", scratch)
        self.text = _RowsWriter("U8", scratch) if with_text else None

    def append(self, rows: list[list[int]], lines: list[str]) -> None:
        rows = [row + self.end for row in rows]
        self.tokens.append(np.fromiter(chain.from_iterable(rows), np.int64), map(len, rows))
        if self.text is not None:
            raw = [line.encode() for line in lines]
            self.text.append(np.frombuffer(b"".join(raw), np.uint8), map(len, raw))

    def columns(self, name: str) -> dict[str, Column]:
        columns = {name: self.tokens.values, f"{name}.offsets": self.tokens.offsets}
        if self.text is not None:
            columns |= {f"{name}.text": self.text.values, f"{name}.text.offsets": self.text.offsets}
        return columns


def _report_from(content: dict[str, Any]) -> FilterReport:
    dropped = {reason: Dropped(*entry) for reason, entry in content["dropped"].items()}
    return FilterReport(content["unit"], content["seen"], dropped)
