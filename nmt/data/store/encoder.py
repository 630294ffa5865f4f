"""Encoding of text rows as the arrays of a shard: tokens, line numbers, weights and alignments."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from nmt.data.formats import Row
from nmt.data.pair_rules import FilterReport, LengthFilter, LineFilter
from nmt.data.pairs import Corpus
from nmt.data.protection import Protection
from nmt.data.store.arrays import Array, ArrayType, Int64, TemporaryColumns
from nmt.data.vocabulary import EOS, Vocabulary, split_words
from nmt.data.word_alignment import parse_alignment
from nmt.errors import DataError

CHUNK = 4096  # rows encoded together
SIDES = ("src", "tgt")
MAX_WEIGHT = 1_000_000  # of a pair; far larger weights make the loss infinite
UNALIGNED = "used without alignment: their words are not separated by spaces"


class RowEncoder(NamedTuple):
    """The settings that determine how rows are encoded; see `prepare_store`."""

    vocabularies: dict[str, Vocabulary]
    keep: LengthFilter | LineFilter | None
    with_text: bool
    with_ends: bool
    chunk: int = CHUNK
    protection: Protection | None = None

    def encode(self, side: str, lines: list[str]) -> list[list[int]]:
        return self.vocabularies[side].encode_all(lines) if side in self.vocabularies else [[] for _ in lines]


class _KeptRows(NamedTuple):
    """Rows that pass the filter: their lines, their text by column, their tokens by side."""

    lines: Int64
    texts: dict[str, list[str]]
    tokens: dict[str, list[list[int]]]


def encode_rows(
    encoder: RowEncoder, corpus: Corpus, rows: Sequence[Row], before: int, scratch: TemporaryColumns
) -> FilterReport:
    """Add the columns of a shard to `scratch`, and report on its rows, which follow `before` lines.

    The corpus's tag is added to the beginning of each source, but not counted by the filter. Raises DataError
    for an invalid weight or alignment.
    """
    report = FilterReport("pairs" if corpus.parallel else "lines")
    lines = scratch.add("lines", "I64")
    writers: list[_TokenWriter | _WeightWriter | _AlignmentWriter] = [
        _TokenWriter(side, encoder, scratch) for side in SIDES if side in encoder.vocabularies
    ]
    if corpus.weights is not None:
        writers.append(_WeightWriter(corpus, scratch))
    if corpus.alignments is not None:
        writers.append(_AlignmentWriter(corpus, encoder, scratch, report, before))
    for start in range(0, len(rows), encoder.chunk):
        kept = _encode_chunk(encoder, corpus, rows[start : start + encoder.chunk], before + start, report)
        lines.append(kept.lines)
        for writer in writers:
            writer.append(kept)
    return report


def _encode_chunk(
    encoder: RowEncoder, corpus: Corpus, rows: Sequence[Row], before: int, report: FilterReport
) -> _KeptRows:
    texts = dict(zip((*SIDES, *corpus.annotations), map(list, zip(*rows, strict=True)), strict=True))
    if encoder.protection is not None:
        pairs = _protect_pairs(encoder.protection, corpus, texts["src"], texts["tgt"])
        texts |= dict(zip(SIDES, map(list, zip(*pairs, strict=True)), strict=True))
    if corpus.tag is not None:
        texts["src"] = [f"{corpus.tag} {line}" for line in texts["src"]]
    tokens = {side: encoder.encode(side, texts[side]) for side in SIDES}
    tag = 0 if corpus.tag is None else len(encoder.vocabularies["src"].encode(corpus.tag))
    lengths = ((len(src) - tag, len(tgt)) for src, tgt in zip(*tokens.values(), strict=True))
    reasons = (encoder.keep and encoder.keep.drop_reason(*pair) for pair in lengths)
    kept = [i for i, reason in enumerate(reasons) if report.count(reason)]
    return _KeptRows(
        np.array(kept, np.int64) + before + 1,
        {name: [lines[i] for i in kept] for name, lines in texts.items()},
        {side: [ids[i] for i in kept] for side, ids in tokens.items()},
    )


def _protect_pairs(
    protection: Protection, corpus: Corpus, sources: Sequence[str], targets: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Protect pairs; of those with word alignments only where the words remain the same."""
    for pair in zip(sources, targets, strict=True):
        protected = protection.protect_pair(*pair)
        same_words = [len(split_words(line)) for line in pair] == [
            len(split_words(line)) for line in protected
        ]
        yield protected if same_words or corpus.alignments is None else pair


class _RaggedWriter:
    """A writer of rows of unequal length."""

    def __init__(self, name: str, kind: ArrayType, scratch: TemporaryColumns) -> None:
        self.values, self.offsets = scratch.add(name, kind), scratch.add(f"{name}.offsets", "I64")
        self.offsets.append(np.zeros(1, np.int64))

    def append(self, values: Array, lengths: Iterable[int]) -> None:
        self.offsets.append(self.values.count + np.cumsum(np.fromiter(lengths, np.int64)))
        self.values.append(values)


class _TokenWriter:
    """A writer of the tokens of one side and, for subword sampling, its text."""

    def __init__(self, side: str, encoder: RowEncoder, scratch: TemporaryColumns) -> None:
        self.side, self.end = side, [EOS] if encoder.with_ends else []
        small = len(encoder.vocabularies[side]) <= 1 << 16
        self.tokens = _RaggedWriter(side, "U16" if small else "U32", scratch)
        self.text = _RaggedWriter(f"{side}.text", "U8", scratch) if encoder.with_text else None

    def append(self, rows: _KeptRows) -> None:
        tokens = [row + self.end for row in rows.tokens[self.side]]
        self.tokens.append(np.fromiter(chain.from_iterable(tokens), np.int64), map(len, tokens))
        if self.text is not None:
            raw = [line.encode() for line in rows.texts[self.side]]
            self.text.append(np.frombuffer(b"".join(raw), np.uint8), map(len, raw))


class _WeightWriter:
    """A writer of the weight of each pair."""

    def __init__(self, corpus: Corpus, scratch: TemporaryColumns) -> None:
        self.file, self.weights = corpus.locate("weights"), scratch.add("weights", "F32")

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
                f"{self.file}, line {line}: expected a weight from 0 to {MAX_WEIGHT:,}, got '{text}'"
            )
        return weight


class _AlignmentWriter:
    """A writer of word alignments, with the word numbers of the tokens.

    A tag counts as a word of the tokens, but not of the alignment.
    """

    def __init__(
        self, corpus: Corpus, encoder: RowEncoder, scratch: TemporaryColumns, report: FilterReport, start: int
    ) -> None:
        self.vocabularies = vocabularies = encoder.vocabularies
        self.file, self.report, self.before = corpus.locate("links"), report, start
        self.starts = {side: vocabularies[side].starts() for side in SIDES}
        tag = [] if corpus.tag is None else vocabularies["src"].encode(corpus.tag)
        self.tag_words = {"src": 0 if corpus.tag is None else 1, "tgt": 0}  # in the text
        self.shift = {"src": int(self.starts["src"][tag].sum()), "tgt": 0}  # among the tokens
        self.links = _RaggedWriter("links", "U32", scratch)
        for side, starts in self.starts.items():
            scratch.add(f"{side}.starts", "U8").append(starts)

    def append(self, rows: _KeptRows) -> None:
        links = [self._row(rows, i) for i in range(len(rows.lines))]
        self.links.append(np.fromiter(chain.from_iterable(links), np.int64), map(len, links))

    def _row(self, rows: _KeptRows, i: int) -> list[int]:
        """Return alternating source and target words, with the word numbers of the tokens."""
        line = int(rows.lines[i])
        try:
            links = parse_alignment(rows.texts["links"][i])
        except ValueError as error:
            raise DataError(f"{self.file}, line {line}: {error}") from None
        words = {side: self._count_words(side, rows.texts[side][i]) for side in SIDES}
        for link in links:
            if link[0] >= words["src"] or link[1] >= words["tgt"]:
                raise DataError(
                    f"{self.file}, line {line}: {link[0]}-{link[1]} links a word that does not exist: "
                    f"the source has {words['src']} words and the target {words['tgt']}, counted from 0"
                )
        shown = {side: self.starts[side][rows.tokens[side][i]].sum() - self.shift[side] for side in SIDES}
        if links and words != shown:  # the tokens are divided into other words
            self.report.note(UNALIGNED, line - self.before)
            return []
        return [word for source, target in links for word in (source + self.shift["src"], target)]

    def _count_words(self, side: str, text: str) -> int:
        """Count the words of a text, without its tag."""
        return len(split_words(self.vocabularies[side].normalise(text))) - self.tag_words[side]
