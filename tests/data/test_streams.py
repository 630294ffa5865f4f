"""A text in streams: every piece once, in order, each chunk going on where the one before ended."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.data.batches import BatchPlan, BatchSettings, read_batches
from nmt.data.pair_rules import LineFilter
from nmt.data.pairs import find_text_file
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.streams import StreamLayout, count_chunks, find_lines, read_chunks
from nmt.data.vocabulary import BOS, EOS, PAD, WordVocabulary
from nmt.errors import DataError

WORDS = WordVocabulary([str(number) for number in range(100)])
TEXT = ["0 1 2", "", "3", "4 5 6 7", "8 9", "10 11 12 13 14", "15"]
CUTS = [
    StreamLayout(1, 4),
    StreamLayout(1, 100),
    StreamLayout(2, 3),
    StreamLayout(3, 1),
    StreamLayout(3, 5),
    StreamLayout(5, 2),
    StreamLayout(40, 2),
]


def stored(folder: Path, lines: list[str]) -> TokenStore:
    (folder / "text").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return prepare_store(
        folder / "store", find_text_file("text", root=folder), tgt=WORDS, keep=None, with_ends=True
    )


def whole(lines: list[str]) -> list[int]:
    return [piece for line in lines for piece in (*WORDS.encode(line), EOS)]


def streams(store: TokenStore, cut: StreamLayout) -> list[list[int]]:
    """What each stream is asked for, chunk by chunk, without the filling."""
    gold = torch.cat([batch.tgt[:, 1:] for batch in read_chunks(store, cut)], dim=1)
    return [[piece for piece in row if piece != PAD] for row in gold.tolist()]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("lines", [TEXT, [" ".join(TEXT)]], ids=["lines", "one line"])
def test_every_piece_of_the_text_comes_once_and_in_order(
    cut: StreamLayout, lines: list[str], tmp_path: Path
) -> None:
    store = stored(tmp_path, lines)
    assert [piece for stream in streams(store, cut) for piece in stream] == whole(lines)
    found = list(read_chunks(store, cut))
    assert len(found) == count_chunks(store, cut)
    assert sum(int(batch.tgt_lengths.sum()) for batch in found) == len(whole(lines))
    assert max(batch.tgt.shape[1] - 1 for batch in found) <= cut.chunk
    assert [batch.is_continued for batch in found] == [True] * (len(found) - 1) + [False]


@pytest.mark.parametrize("cut", CUTS)
def test_a_chunk_begins_with_the_piece_that_the_one_before_ended_with(
    cut: StreamLayout, tmp_path: Path
) -> None:
    found = list(read_chunks(stored(tmp_path, TEXT), cut))
    for one, other in pairwise(found):
        real = other.tgt_lengths > 0
        assert torch.equal(one.tgt[real, -1], other.tgt[real, 0])
    assert int(found[0].tgt[0, 0]) == EOS


def test_streams_begin_with_a_line_where_lines_are_short(tmp_path: Path) -> None:
    lines = [f"{number} {number + 1}" for number in range(60)]
    for batch in list(read_chunks(stored(tmp_path, lines), StreamLayout(7, 4)))[:1]:
        assert batch.tgt[:, 0].tolist() == [EOS] * 7


def test_the_line_of_every_piece_is_known(tmp_path: Path) -> None:
    store = stored(tmp_path, TEXT)
    lines = [number for number, line in enumerate(TEXT, 1) for _ in (*line.split(), EOS)]
    assert find_lines(store, np.arange(len(lines) + 1)) == [*lines, len(TEXT)]


def test_a_text_can_be_entered_at_any_chunk(tmp_path: Path) -> None:
    store, cut = stored(tmp_path, TEXT), StreamLayout(2, 3)
    all_of_them = list(read_chunks(store, cut))
    for start in range(len(all_of_them) + 1):
        rest = list(read_chunks(store, cut, start))
        assert [batch.tgt.tolist() for batch in rest] == [batch.tgt.tolist() for batch in all_of_them[start:]]


def test_line_by_line_blank_and_long_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in TEXT), encoding="utf-8")
    store = prepare_store(
        tmp_path / "store", find_text_file("text", root=tmp_path), tgt=WORDS, keep=LineFilter(4)
    )
    assert str(store.report) == (
        "kept 5 of 7 lines; dropped:\n  1 blank (first: line 2)\n  1 longer than 4 tokens (first: line 6)"
    )
    [batch] = read_batches(store, BatchPlan(BatchSettings(size=10), 1), 0)
    assert sorted(batch.tgt.tolist())[0] == [BOS, *WORDS.encode("0 1 2"), EOS, PAD]
    assert batch.src.tolist() == [[EOS]] * 5
    assert not batch.is_continued


def test_a_text_that_is_not_there_is_looked_for_with_every_compression(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*text \(nor with .gz"):
        find_text_file("text", root=tmp_path)


def test_more_streams_than_tokens_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("a b\n", encoding="utf-8")
    words = WordVocabulary(["a", "b"])
    store = prepare_store(
        tmp_path / "s", find_text_file("text", root=tmp_path), tgt=words, keep=None, with_ends=True
    )
    with pytest.raises(DataError, match=r"3 tokens cannot be read in 1,000,000,000 streams: reduce"):
        count_chunks(store, StreamLayout(10**9, 10))
