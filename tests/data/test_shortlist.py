"""IBM Model 1 by hand and by its definition; what a shortlist allows, and which files it refuses."""

import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nmt.data.pairs import Corpus
from nmt.data.shortlist import Shortlist, load_shortlist, make_shortlist
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary import EOS, UNK, WordVocabulary
from nmt.data.word_alignment import NULL, Lexicon, train_lexicon
from nmt.errors import DataError

PAIRS = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]
SOURCE = WordVocabulary(["das", "Haus", "Buch", "ein"])
TARGET = WordVocabulary(["the", "house", "book", "a"])
BOTH = {"source": SOURCE, "target": TARGET}


def store(
    folder: Path,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    vocabularies: Sequence[WordVocabulary] = (SOURCE, TARGET),
) -> TokenStore:
    text = folder / "pairs.tsv"
    text.write_text("".join(f"{s}\t{t}\n" for s, t in pairs), encoding="utf-8", newline="\n")
    src, tgt = vocabularies
    return prepare_store(folder / "train.store", Corpus((text,)), src=src, tgt=tgt, keep=None)


def by_word(found: Lexicon) -> dict[tuple[str, str], float]:
    spelt = zip(SOURCE.tokens(found.source.tolist()), TARGET.tokens(found.target.tolist()), strict=True)
    return dict(zip(spelt, found.p.tolist(), strict=True))


def by_definition(
    pairs: Sequence[tuple[list[int], list[int]]], iterations: int
) -> dict[tuple[int, int], float]:
    p = {(s, t): 1.0 for source, target in pairs for s in (NULL, *source) for t in target}
    for _ in range(iterations):
        expected = dict.fromkeys(p, 0.0)
        for source, target in pairs:
            for t in target:
                whole = sum(p[s, t] for s in (NULL, *source))
                for s in (NULL, *source):
                    expected[s, t] += p[s, t] / whole
        total = {s: sum(v for (other, _), v in expected.items() if other == s) for s, _ in p}
        p = {(s, t): v / total[s] for (s, t), v in expected.items()}
    return p


def test_two_iterations_by_hand(tmp_path: Path) -> None:
    first = by_word(train_lexicon(store(tmp_path), iterations=1))
    assert first["das", "the"] == pytest.approx(1 / 2)
    assert first["das", "house"] == first["das", "book"] == pytest.approx(1 / 4)
    assert first["Haus", "house"] == pytest.approx(1 / 2)
    assert first["<pad>", "the"] == pytest.approx(1 / 3)
    assert ("Haus", "book") not in first
    # In das Haus, `the` is shared among NULL, das and Haus as 1/3 : 1/2 : 1/2, and so on.
    the = Fraction(3, 8) + Fraction(6, 13)
    das = the + Fraction(3, 11) + Fraction(3, 13)
    second = by_word(train_lexicon(store(tmp_path), iterations=2))
    assert second["das", "the"] == pytest.approx(float(the / das))


def test_words_that_come_together_find_each_other(tmp_path: Path) -> None:
    found = by_word(train_lexicon(store(tmp_path), iterations=50))
    for pair in (("das", "the"), ("Haus", "house"), ("Buch", "book"), ("ein", "a")):
        assert found[pair] == max(p for (source, _), p in found.items() if source == pair[0])


def many(count: int = 60) -> tuple[list[tuple[str, str]], WordVocabulary]:
    """Pairs of random words, repeated ones too, some sides of one word."""
    draw = np.random.default_rng(1)
    sides = [
        [" ".join(map(str, draw.integers(0, 9, draw.integers(1, 7)))) for _ in range(count)] for _ in "st"
    ]
    return list(zip(*sides, strict=True)), WordVocabulary(map(str, range(9)))


def test_it_is_what_the_definition_gives_in_chunks_of_any_size(tmp_path: Path) -> None:
    pairs, words = many()
    encoded = [(words.encode(source), words.encode(target)) for source, target in pairs]
    expected = by_definition(encoded, 3)
    for together in (1, 100, 10**6):
        found = train_lexicon(store(tmp_path, pairs, (words, words)), iterations=3, together=together)
        entries = dict(
            zip(zip(found.source.tolist(), found.target.tolist(), strict=True), found.p, strict=True)
        )
        assert entries == pytest.approx(expected)
        assert list(entries) == sorted(entries)


def test_of_a_large_corpus_every_nth_pair_is_read(tmp_path: Path) -> None:
    pairs, words = many()
    links = sum((len(s.split()) + 1) * len(t.split()) for s, t in pairs)
    part = train_lexicon(store(tmp_path, pairs, (words, words)), most=-(-links // 3))
    shutil.rmtree(tmp_path / "train.store")
    alone = train_lexicon(store(tmp_path, pairs[::3], (words, words)))
    for given, expected in zip(part, alone, strict=True):
        np.testing.assert_array_equal(given, expected)


def test_the_best_of_each_source_are_kept_and_ties_go_by_piece() -> None:
    found = Lexicon(
        np.array([4, 4, 4, 5, 6, 6]), np.array([7, 8, 9, 8, 7, 9]), np.array([0.2, 0.4, 0.4, 1, 0.5, 0.5])
    )
    kept = found.best(1)
    assert list(zip(kept.source.tolist(), kept.target.tolist(), strict=True)) == [(4, 8), (5, 8), (6, 7)]


def test_a_list_contains_the_best_translations_the_frequent_tokens_eos_and_unk(tmp_path: Path) -> None:
    made = make_shortlist(store(tmp_path), len(SOURCE), len(TARGET), best=1, frequent=1)
    (the, house, book, a), (das, haus, buch, ein) = (
        TARGET.encode("the house book a"),
        SOURCE.encode("das Haus Buch ein"),
    )
    assert made.select([]).tolist() == [EOS, UNK, the]  # the most frequent, and the best of NULL
    assert made.select([haus, haus]).tolist() == [EOS, UNK, the, house]
    assert made.select([ein, das, buch]).tolist() == [EOS, UNK, the, book, a]
    assert made.select([UNK]).tolist() == made.select([]).tolist()


def test_all_bytes_are_on_every_list_if_some_occur(tmp_path: Path) -> None:
    words = WordVocabulary([*TARGET.spellings[4:], "<0x00>", "<0x01>"])
    opened = store(tmp_path, vocabularies=(SOURCE, words))
    house, first, second = words.encode("house <0x00> <0x01>")
    unused = make_shortlist(opened, len(SOURCE), len(words), best=1, frequent=1, byte_tokens=[first, second])
    used = make_shortlist(opened, len(SOURCE), len(words), best=1, frequent=1, byte_tokens=[house, second])
    assert {first, second}.isdisjoint(unused.always)
    assert {house, second} <= {*used.always}


def test_frequent_tokens_are_counted_in_blocks_of_any_size(tmp_path: Path) -> None:
    pairs, words = many()
    opened = store(tmp_path, pairs, (words, words))
    whole = make_shortlist(opened, len(words), len(words), best=1, frequent=4)
    parts = make_shortlist(opened, len(words), len(words), best=1, frequent=4, block=7)
    assert parts.always.tolist() == whole.always.tolist()
    counts = np.bincount(opened.tgt.tokens.values)
    assert set(np.argsort(-counts, kind="stable")[:4].tolist()) <= set(whole.always.tolist())


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    made = make_shortlist(store(tmp_path), len(SOURCE), len(TARGET), best=2, frequent=1)
    made.save(tmp_path / "list", BOTH)
    read = load_shortlist(tmp_path / "list", BOTH, "")
    for piece in range(len(SOURCE)):
        assert read.select([piece]).tolist() == made.select([piece]).tolist()
        assert read.select([piece]).dtype == np.int64


def test_other_vocabularies_and_damaged_files_are_refused(tmp_path: Path) -> None:
    file, empty = tmp_path / "list", np.zeros(0, np.int64)
    Shortlist(np.zeros(9, np.int64), empty, np.array([EOS, UNK])).save(file, BOTH)
    with pytest.raises(DataError, match="made for a different target vocabulary: make it again"):
        load_shortlist(file, {"source": SOURCE, "target": SOURCE}, "make it again")
    with pytest.raises(DataError, match="made for a different source vocabulary"):
        load_shortlist(file, {"source": TARGET, "target": TARGET}, "make it again")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="refused: .*make it again"):
        load_shortlist(file, BOTH, "make it again")
