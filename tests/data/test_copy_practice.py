"""Symbols to copy in training: inserted on both sides, the same for every process and after a resume."""

from pathlib import Path

import numpy as np

from nmt.data.batches import BatchPlan, BatchSettings, read_batches
from nmt.data.pairs import Corpus
from nmt.data.protection import Protection
from nmt.data.protection.practice import CopyPractice
from nmt.data.store.arrays import RaggedRows
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary import Vocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from tests.data.test_vocabulary import sentences

TEXT = ["der Hund sieht einen Stein .", "ein Baum"]
SOURCE = train_vocabulary(TEXT, SubwordSettings(kind="char"), copies=4)
TARGET = train_vocabulary(sentences(), SubwordSettings(kind="bpe", size=50), copies=4)
PAIRS = [("der Hund sieht", "the dog sees a stone"), ("ein Baum", "a dog"), ("Hund .", "dog sees"), ("", "")]


def ragged(ids: list[list[int]]) -> RaggedRows:
    values = np.array([i for row in ids for i in row], np.int64)
    return RaggedRows(values, np.array([len(row) for row in ids]))


def split(rows: RaggedRows) -> list[list[int]]:
    return [row.tolist() for row in np.split(rows.values, np.cumsum(rows.lengths)[:-1])]


def numbers(rows: RaggedRows, vocabulary: Vocabulary) -> list[list[int]]:
    copies = vocabulary.copies
    return [[copies.index(i) for i in row if i in copies] for row in split(rows)]


def test_both_sides_of_a_share_of_the_pairs_get_the_same_symbols() -> None:
    draws = np.random.default_rng(1).integers(1 << 63, size=200).astype(np.uint64) * np.uint64(2)
    src = ragged([SOURCE.encode(pair[0]) for pair in PAIRS * 50])
    tgt = ragged([TARGET.encode(pair[1]) for pair in PAIRS * 50])
    found = CopyPractice(SOURCE, TARGET, 0.5).apply(src, tgt, draws)
    for before, after, moved in [
        (src, found.src, found.src_positions),
        (tgt, found.tgt, found.tgt_positions),
    ]:
        for old, new, positions in zip(split(before), split(after), moved, strict=True):
            assert [new[position] for position in positions] == old
    ours, theirs = numbers(found.src, SOURCE), numbers(found.tgt, TARGET)
    assert list(map(sorted, ours)) == list(map(sorted, theirs))
    assert 70 < sum(map(bool, ours)) < 130
    assert {number for row in ours for number in row} == {0, 1, 2, 3}


def test_without_a_share_only_the_numbers_of_symbols_change() -> None:
    src = ragged([SOURCE.encode("a <copy1> b <copy2>"), [9]])
    tgt = ragged([TARGET.encode("<copy2> <copy1>"), [9]])
    seen = set()
    for draw in range(8):
        found = CopyPractice(SOURCE, TARGET, 0.0).apply(src, tgt, np.array([draw, draw], np.uint64))
        [(first, second), _], [written, _] = numbers(found.src, SOURCE), numbers(found.tgt, TARGET)
        assert written == [second, first]
        assert (second - first) % 4 == 1
        seen.add(first)
    assert seen == {0, 1, 2, 3}


def test_a_resumed_epoch_gets_the_same_symbols(tmp_path: Path) -> None:
    pairs = [("dog {0} <b>", "<b> a {0} dog"), *PAIRS[:3]] * 20
    for number, side in enumerate("st"):
        text = "".join(pair[number] + "\n" for pair in pairs)
        (tmp_path / f"x.{side}").write_text(text, encoding="utf-8")
    corpus = Corpus((tmp_path / "x.s", tmp_path / "x.t"))
    protection = Protection(("placeholder", "tag"), 4)
    store = prepare_store(
        tmp_path / "store", corpus, src=TARGET, tgt=TARGET, keep=None, protection=protection
    )
    assert sum(map(len, numbers(store.src.tokens.take(np.arange(80)), TARGET))) == 40
    plan, practice = BatchPlan(BatchSettings(size=8), 1), CopyPractice(TARGET, TARGET, 0.5)
    whole = list(read_batches(store, plan, 3, 0, None, practice))
    for ours, theirs in zip(whole[4:], read_batches(store, plan, 3, 4, None, practice), strict=True):
        assert ours.src.tolist() == theirs.src.tolist()
        assert ours.tgt.tolist() == theirs.tgt.tolist()
    other = read_batches(store, plan, 4, 0, None, practice)
    texts = [sorted(str(batch.src.tolist()) for batch in batches) for batches in (whole, other)]
    assert texts[0] != texts[1]
