"""How rows of text become the arrays of a shard: pieces of either side, line numbers, weights, alignments."""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np

from nmt.data.formats import Row
from nmt.data.pair_rules import FilterReport, LengthFilter, LineFilter
from nmt.data.pairs import Corpus
from nmt.data.store.arrays import Array, ArrayType, Column, Int64, TemporaryColumns
from nmt.data.vocabulary import EOS, Vocabulary, split_words
from nmt.data.word_alignment import parse_alignment
from nmt.errors import DataError

CHUNK = 4096  # rows that are encoded together
SIDES = ("src", "tgt")
MAX_WEIGHT = 1_000_000  # what a pair can weigh; of far more the loss is no number
UNALIGNED = "without their alignment: their words are not what spaces separate"


class RowEncoder(NamedTuple):
    """What decides how a text is encoded: see `prepare_store`."""

    vocabularies: dict[str, Vocabulary]
    keep: LengthFilter | LineFilter | None
    with_text: bool
    with_ends: bool
    chunk: int = CHUNK

    def drop_reason(self, src_length: int, tgt_length: int) -> str | None:
        return self.keep.drop_reason(src_length, tgt_length) if self.keep else None

    def encoded(self, side: str, lines: list[str]) -> list[list[int]]:
        return self.vocabularies[side].encode_all(lines) if side in self.vocabularies else [[] for _ in lines]


class _KeptRows(NamedTuple):
    """Rows that are learnt from: their lines, their text by column, their pieces by side."""

    lines: Int64
    texts: dict[str, list[str]]
    pieces: dict[str, list[list[int]]]


class _ColumnWriter(Protocol):
    """Some columns on their way to disk."""

    def append(self, rows: _KeptRows) -> None: ...

    def columns(self) -> dict[str, Column]: ...


def encode_rows(
    encoder: RowEncoder, corpus: Corpus, rows: Sequence[Row], before: int, scratch: TemporaryColumns
) -> tuple[dict[str, Column], FilterReport]:
    """The columns of a shard, and the account of its rows; `before` lines of the corpus come before them.

    The corpus's tag is put before each source, and is no part of its length to the filter. DataError for a
    weight or an alignment that is none.
    """
    report = FilterReport("pairs" if corpus.parallel else "lines")
    writers = _make_writers(encoder, corpus, scratch, report, before)
    for start in range(0, len(rows), encoder.chunk):
        kept = _encode_chunk(encoder, corpus, rows[start : start + encoder.chunk], before + start, report)
        for writer in writers:
            writer.append(kept)
    return {name: column for writer in writers for name, column in writer.columns().items()}, report


def _encode_chunk(
    encoder: RowEncoder, corpus: Corpus, rows: Sequence[Row], before: int, report: FilterReport
) -> _KeptRows:
    texts = dict(zip((*SIDES, *corpus.beside), map(list, zip(*rows, strict=True)), strict=True))
    if corpus.tag is not None:
        texts["src"] = [f"{corpus.tag} {line}" for line in texts["src"]]
    pieces = {side: encoder.encoded(side, texts[side]) for side in SIDES}
    tag = 0 if corpus.tag is None else len(encoder.vocabularies["src"].encode(corpus.tag))
    lengths = ((len(src) - tag, len(tgt)) for src, tgt in zip(*pieces.values(), strict=True))
    kept = [i for i, pair in enumerate(lengths) if report.count(encoder.drop_reason(*pair))]
    return _KeptRows(
        np.array(kept, np.int64) + before + 1,
        {name: [lines[i] for i in kept] for name, lines in texts.items()},
        {side: [found[i] for i in kept] for side, found in pieces.items()},
    )


def _make_writers(
    encoder: RowEncoder, corpus: Corpus, scratch: TemporaryColumns, report: FilterReport, before: int
) -> list[_ColumnWriter]:
    found: list[_ColumnWriter] = [_LineWriter(scratch)]
    found += [_TokenWriter(side, encoder, scratch) for side in SIDES if side in encoder.vocabularies]
    if corpus.weights is not None:
        found.append(_WeightWriter(corpus, scratch))
    if corpus.alignments is not None:
        found.append(_AlignmentWriter(corpus, encoder.vocabularies, scratch, report, before))
    return found


class _LineWriter:
    """The line that each pair came from."""

    def __init__(self, scratch: TemporaryColumns) -> None:
        self.lines = scratch.column("I64")

    def append(self, rows: _KeptRows) -> None:
        self.lines.append(rows.lines)

    def columns(self) -> dict[str, Column]:
        return {"lines": self.lines}


class _RaggedWriter:
    """Rows of unequal length."""

    def __init__(self, name: str, kind: ArrayType, scratch: TemporaryColumns) -> None:
        self.name, self.values, self.offsets = name, scratch.column(kind), scratch.column("I64")
        self.offsets.append(np.zeros(1, np.int64))

    def append(self, values: Array, lengths: Iterable[int]) -> None:
        self.offsets.append(self.values.count + np.cumsum(np.fromiter(lengths, np.int64)))
        self.values.append(values)

    def columns(self) -> dict[str, Column]:
        return {self.name: self.values, f"{self.name}.offsets": self.offsets}


class _TokenWriter:
    """The pieces of one language and, where they are sampled from, its text."""

    def __init__(self, side: str, encoder: RowEncoder, scratch: TemporaryColumns) -> None:
        self.side, self.end = side, [EOS] if encoder.with_ends else []
        small = len(encoder.vocabularies[side]) <= 1 << 16
        self.tokens = _RaggedWriter(side, "U16" if small else "U32", scratch)
        self.text = _RaggedWriter(f"{side}.text", "U8", scratch) if encoder.with_text else None

    def append(self, rows: _KeptRows) -> None:
        pieces = [row + self.end for row in rows.pieces[self.side]]
        self.tokens.append(np.fromiter(chain.from_iterable(pieces), np.int64), map(len, pieces))
        if self.text is not None:
            raw = [line.encode() for line in rows.texts[self.side]]
            self.text.append(np.frombuffer(b"".join(raw), np.uint8), map(len, raw))

    def columns(self) -> dict[str, Column]:
        return self.tokens.columns() | (self.text.columns() if self.text else {})


class _WeightWriter:
    """What each pair counts."""

    def __init__(self, corpus: Corpus, scratch: TemporaryColumns) -> None:
        self.place, self.weights = corpus.place("weights"), scratch.column("F32")

    def append(self, rows: _KeptRows) -> None:
        entries = zip(rows.texts["weights"], rows.lines.tolist(), strict=True)
        self.weights.append(np.array([self._read(text, line) for text, line in entries], np.float32))

    def _read(self, text: str, line: int) -> float:
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not 0 <= weight <= MAX_WEIGHT:
            raise DataError(
                f"{self.place}, line {line}: expected a weight from 0 to {MAX_WEIGHT:,}, got '{text}'"
            )
        return weight

    def columns(self) -> dict[str, Column]:
        return {"weights": self.weights}


class _AlignmentWriter:
    """Which words translate each other, as numbers of words that pieces tell.

    A tag may be a word among the pieces; in the alignment it is none.
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabularies: dict[str, Vocabulary],
        scratch: TemporaryColumns,
        report: FilterReport,
        before: int,
    ) -> None:
        self.place, self.report, self.before = corpus.place("links"), report, before
        self.starts = {side: vocabularies[side].starts() for side in SIDES}
        tag = [] if corpus.tag is None else vocabularies["src"].encode(corpus.tag)
        self.tag_words = {"src": 0 if corpus.tag is None else 1, "tgt": 0}  # in the text
        self.shift = {"src": int(self.starts["src"][tag].sum()), "tgt": 0}  # among the pieces
        self.links, self.flags = (
            _RaggedWriter("links", "U32", scratch),
            {s: scratch.column("U8") for s in SIDES},
        )
        for side, column in self.flags.items():
            column.append(self.starts[side])

    def append(self, rows: _KeptRows) -> None:
        found = [self._row(rows, i) for i in range(len(rows.lines))]
        self.links.append(np.fromiter(chain.from_iterable(found), np.int64), map(len, found))

    def _row(self, rows: _KeptRows, i: int) -> list[int]:
        """Source and target word in turn, as the pieces count them."""
        line = int(rows.lines[i])
        try:
            links = parse_alignment(rows.texts["links"][i])
        except ValueError as error:
            raise DataError(f"{self.place}, line {line}: {error}") from None
        words = {side: len(split_words(rows.texts[side][i])) - self.tag_words[side] for side in SIDES}
        for link in links:
            if link[0] >= words["src"] or link[1] >= words["tgt"]:
                raise DataError(
                    f"{self.place}, line {line}: {link[0]}-{link[1]} links a word that does not exist: "
                    f"the source has {words['src']} words and the target {words['tgt']}, counted from 0"
                )
        if links and any(words[side] != self._words(rows, side, i) for side in SIDES):
            self.report.note(UNALIGNED, line - self.before)
            return []
        return [word for source, target in links for word in (source + self.shift["src"], target)]

    def _words(self, rows: _KeptRows, side: str, i: int) -> int:
        """Words of the text, as its pieces tell."""
        return int(self.starts[side][rows.pieces[side][i]].sum()) - self.shift[side]

    def columns(self) -> dict[str, Column]:
        return self.links.columns() | {f"{side}.starts": column for side, column in self.flags.items()}
