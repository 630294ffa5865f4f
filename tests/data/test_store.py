"""The token store: what went in comes out; it is made again only when it must be; a torn one is refused."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nmt.data import store as store_module
from nmt.data.filters import LengthFilter
from nmt.data.store import TokenStore, prepare_store
from nmt.data.subwords import WordVocabulary
from nmt.data.text import Corpus
from nmt.errors import DataError

VOCABULARY = WordVocabulary([str(n) for n in range(50)])
KEEP = LengthFilter(min_length=1, max_length=5, max_ratio=None)
PAIRS = [("1 2", "3"), ("", "4"), ("5", "6 7 8"), ("9 9 9 9 9 9", "9"), ("10", "\u2028"), ("새 11", "12 x")]


def corpus(folder: Path, pairs: list[tuple[str, str]] = PAIRS) -> Corpus:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{s}\t{t}\n" for s, t in pairs), encoding="utf-8", newline="\n")
    return Corpus((path,))


def made(folder: Path, keep: LengthFilter | None = KEEP, with_text: bool = False) -> TokenStore:
    return prepare_store(
        folder / "train.store", corpus(folder), src=VOCABULARY, tgt=VOCABULARY, keep=keep, with_text=with_text
    )


def rows(store: TokenStore) -> list[tuple[str, str]]:
    def text(values: np.ndarray) -> str:
        return VOCABULARY.decode(values.tolist())

    every = [np.array([i]) for i in range(len(store))]
    return [(text(store.src.tokens.take(i).values), text(store.tgt.tokens.take(i).values)) for i in every]


def test_dropped_pairs_are_counted_and_never_shift_their_neighbours(tmp_path: Path) -> None:
    store = made(tmp_path)
    assert rows(store) == [("1 2", "3"), ("5", "6 7 8"), ("<unk> 11", "12 <unk>")]
    assert store.lines.tolist() == [1, 3, 6]
    assert str(store.report).splitlines() == [
        "kept 3 of 6 pairs; dropped:",
        "  2 blank side (first: line 2)",
        "  1 longer than 5 pieces (first: line 4)",
    ]


def test_without_a_filter_every_pair_is_kept(tmp_path: Path) -> None:
    store = made(tmp_path, keep=None)
    assert len(store) == 6
    assert [side.tolist() for side in store.lengths()] == [[2, 0, 1, 6, 1, 2], [1, 1, 3, 1, 0, 2]]
    assert [side.tolist() for side in store.lengths(np.array([5, 3]))] == [[2, 6], [2, 1]]


def test_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rows(made(tmp_path))
    monkeypatch.setattr(store_module, "CHUNK", 2)
    (tmp_path / "train.store").unlink()
    assert rows(made(tmp_path)) == whole
    assert made(tmp_path).lines.tolist() == [1, 3, 6]


def test_the_text_is_kept_only_where_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without its text"):
        made(tmp_path).src.line(0)
    store = made(tmp_path, with_text=True)
    assert [store.src.line(i) for i in range(3)] == ["1 2", "5", "새 11"]
    assert [store.tgt.line(i) for i in range(3)] == ["3", "6 7 8", "12 x"]


@pytest.mark.parametrize(("words", "kind"), [(100, np.uint16), (65_532, np.uint16), (65_533, np.uint32)])
def test_the_file_is_safetensors_and_ids_take_two_bytes_where_they_can(
    tmp_path: Path, words: int, kind: type
) -> None:
    vocabulary = WordVocabulary(map(str, range(words)))
    pair = [(str(words - 1), "0")]
    path = tmp_path / "s"
    store = prepare_store(path, corpus(tmp_path, pair), src=vocabulary, tgt=vocabulary, keep=None)
    arrays = load_file(path)
    assert arrays["src"].dtype == store.src.tokens.values.dtype == kind
    assert arrays["src"].tolist() == [len(vocabulary) - 1]
    assert arrays["src.offsets"].tolist() == [0, 1]


def test_a_store_is_used_again_while_all_that_it_was_made_from_is_the_same(tmp_path: Path) -> None:
    first = made(tmp_path)
    stamp = first.path.stat().st_ino
    again = made(tmp_path)
    assert again.path.stat().st_ino == stamp
    assert (again.fingerprint, str(again.report)) == (first.fingerprint, str(first.report))


def test_a_store_is_made_again_when_text_filter_or_vocabulary_change(tmp_path: Path) -> None:
    prints = {
        made(tmp_path).fingerprint,
        made(tmp_path, keep=None).fingerprint,
        made(tmp_path, with_text=True).fingerprint,
    }
    path = tmp_path / "train.store"
    shorter = corpus(tmp_path, PAIRS[:3])
    prints.add(prepare_store(path, shorter, src=VOCABULARY, tgt=VOCABULARY, keep=KEEP).fingerprint)
    store = prepare_store(path, shorter, src=VOCABULARY, tgt=WordVocabulary(["3"]), keep=KEEP)
    assert len({*prints, store.fingerprint}) == 5
    assert store.tgt.tokens.values.tolist() == [4, 3, 3, 3]


def test_a_torn_or_altered_store_is_refused_by_name_with_what_to_do(tmp_path: Path) -> None:
    path = made(tmp_path).path
    whole = path.read_bytes()
    altered = whole[:-1] + bytes([whole[-1] ^ 1])
    for content in (whole[:-1], whole + b"x", altered):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"train\.store is damaged .*: delete it"):
            made(tmp_path)
    for content in (b"", whole[:5], whole[:50], b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"train\.store is damaged .*: delete it"):
            TokenStore(path)
    with pytest.raises(DataError, match=r"cannot read .*absent"):
        TokenStore(tmp_path / "absent")


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = corpus(tmp_path, [("1", "2"), ("3", "4\t5")])
    with pytest.raises(DataError, match="line 2: 3 columns"):
        prepare_store(tmp_path / "s", bad, src=VOCABULARY, tgt=VOCABULARY, keep=KEEP)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


@pytest.mark.parametrize("pairs", [[], [("", ""), ("1", "")]])
def test_a_corpus_that_leaves_no_pair_is_refused(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(DataError, match=r"no pair is left of .*pairs\.tsv: kept 0 of"):
        prepare_store(tmp_path / "s", corpus(tmp_path, pairs), src=VOCABULARY, tgt=VOCABULARY, keep=KEEP)


def test_pages_can_be_let_go_and_are_read_again(tmp_path: Path) -> None:
    store = made(tmp_path)
    before = rows(store)
    store.release()
    assert rows(store) == before


def test_a_store_of_an_earlier_version_is_refused_by_name(tmp_path: Path, monkeypatch) -> None:
    path = made(tmp_path).path
    monkeypatch.setattr(store_module, "_report_from", lambda content: content["no such thing"])
    with pytest.raises(DataError, match=r"was written by another version of nmt; delete it"):
        TokenStore(path)
