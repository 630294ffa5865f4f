"""The token store: what went in comes out; it is made again only when it must be; a torn one is refused."""

import os
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nmt.data.pair_rules import LengthFilter, LengthSettings
from nmt.data.pairs import Corpus
from nmt.data.store import TokenStore
from nmt.data.store import builder as building
from nmt.data.store.arrays import ArrayFile
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary import WordVocabulary
from nmt.errors import DataError

VOCABULARY = WordVocabulary([str(n) for n in range(50)])
KEEP = LengthFilter(LengthSettings(min_length=1, max_length=5, max_ratio=None))
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
        "  1 longer than 5 tokens (first: line 4)",
    ]


def test_without_a_filter_every_pair_is_kept(tmp_path: Path) -> None:
    store = made(tmp_path, keep=None)
    assert len(store) == 6
    assert [side.tolist() for side in store.lengths()] == [[2, 0, 1, 6, 1, 2], [1, 1, 3, 1, 0, 2]]
    assert [side.tolist() for side in store.lengths(np.array([5, 3]))] == [[2, 6], [2, 1]]


def test_chunks_change_nothing(tmp_path: Path) -> None:
    whole = rows(made(tmp_path))
    store = prepare_store(
        tmp_path / "chunks", corpus(tmp_path), src=VOCABULARY, tgt=VOCABULARY, keep=KEEP, chunk=2
    )
    assert rows(store) == whole
    assert store.lines.tolist() == [1, 3, 6]


def test_the_text_is_kept_only_where_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without text"):
        made(tmp_path).src.lines(np.array([0]))
    store = made(tmp_path, with_text=True)
    assert store.src.lines(np.arange(3)) == ["1 2", "5", "새 11"]
    assert store.tgt.lines(np.arange(3)) == ["3", "6 7 8", "12 x"]


@pytest.mark.parametrize(("words", "kind"), [(100, np.uint16), (65_532, np.uint16), (65_533, np.uint32)])
def test_the_file_is_safetensors_and_ids_take_two_bytes_where_they_can(
    tmp_path: Path, words: int, kind: type
) -> None:
    vocabulary = WordVocabulary(map(str, range(words)))
    pair = [(str(words - 1), "0")]
    path = tmp_path / "s"
    store = prepare_store(path, corpus(tmp_path, pair), src=vocabulary, tgt=vocabulary, keep=None)
    arrays = load_file(path / "00000.safetensors")
    assert arrays["src"].dtype == store.src.tokens.values.parts[0].dtype == kind
    assert arrays["src"].tolist() == [len(vocabulary) - 1]
    assert arrays["src.offsets"].tolist() == [0, 1]


def test_a_store_is_used_again_while_all_that_it_was_made_from_is_the_same(tmp_path: Path) -> None:
    first = made(tmp_path)
    stamp = (first.path / "manifest.json").stat().st_mtime_ns
    again = made(tmp_path)
    assert (again.path / "manifest.json").stat().st_mtime_ns == stamp
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


@pytest.mark.parametrize("file", ["00000.safetensors", "manifest.json"])
def test_a_torn_or_altered_store_is_refused_by_name_with_what_to_do(tmp_path: Path, file: str) -> None:
    store = made(tmp_path).path
    whole = (store / file).read_bytes()
    for content in (whole[:-2], whole + b"x", whole[:-2] + bytes([whole[-2] ^ 1]), b"", whole[:50], b"[1]"):
        (store / file).write_bytes(content)
        with pytest.raises(
            DataError, match=rf"{file}(: refused:| is damaged) .*delete .*train\.store; the next run"
        ):
            TokenStore(store)
    (store / file).unlink()
    with pytest.raises(DataError, match=rf"{file}(: refused|: no such file)|cannot read .*{file}"):
        TokenStore(store)


def test_a_store_without_a_complete_manifest_is_rebuilt(tmp_path: Path) -> None:
    whole = rows(made(tmp_path))
    (tmp_path / "train.store" / "manifest.json").write_text("{", encoding="utf-8")
    assert rows(made(tmp_path)) == whole


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"x"])
def test_a_file_that_holds_no_arrays_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(DataError, match="file: refused: .*; what to do"):
        ArrayFile(file, "what to do")


def test_arrays_that_are_not_what_was_written_are_named(tmp_path: Path) -> None:
    file = made(tmp_path).path / "00000.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match=r"checksum mismatch in its (src|tgt)\): what to do"):
        ArrayFile(file, "what to do").check()


def test_a_failed_build_leaves_no_store(tmp_path: Path) -> None:
    bad = corpus(tmp_path, [("1", "2"), ("3", "4\t5")])
    with pytest.raises(DataError, match="line 2: 3 columns"):
        prepare_store(tmp_path / "s", bad, src=VOCABULARY, tgt=VOCABULARY, keep=KEEP)
    assert list((tmp_path / "s").iterdir()) == []


MANY = [(f"{n % 50} {n % 7}", f"{n % 11}" if n % 9 else "") for n in range(100)]


def sharded(folder: Path, workers: int = 1, shard_pairs: int = 17) -> TokenStore:
    pairs = corpus(folder, MANY)
    return prepare_store(
        folder / "s",
        pairs,
        src=VOCABULARY,
        tgt=VOCABULARY,
        keep=KEEP,
        with_text=True,
        workers=workers,
        shard_pairs=shard_pairs,
        chunk=5,
    )


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "s").glob("*.safetensors"))}


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    store = sharded(tmp_path)
    assert len(shards(tmp_path)) == 6
    kept = [n for n in range(100) if n % 9]
    assert store.lines.tolist() == [n + 1 for n in kept]
    assert rows(store) == [MANY[n] for n in kept]
    order = np.random.default_rng(1).permutation(len(store))
    taken = store.src.tokens.take(order)
    assert VOCABULARY.decode(taken.values.tolist()) == " ".join(MANY[kept[i]][0] for i in order)
    assert taken.lengths.tolist() == [2] * len(store)
    assert store.src.lines(np.array([0, 50, 87])) == [MANY[kept[i]][0] for i in (0, 50, 87)]
    assert [store.tgt.tokens.next_start(place) for place in (0, 1, 50, 87, 88)] == [0, 1, 50, 87, 88]
    starts = {1: 2, 2: 2, 33: 34, 175: 176, 176: 176}
    assert {place: store.src.tokens.next_start(place) for place in starts} == starts
    whole = sharded(tmp_path, shard_pairs=1000)
    assert len(shards(tmp_path)) == 1
    assert (str(whole.report), rows(whole)) == (str(store.report), rows(store))


def test_several_processes_make_the_same_files(tmp_path: Path) -> None:
    sharded(tmp_path)
    alone = shards(tmp_path)
    shutil.rmtree(tmp_path / "s")
    sharded(tmp_path, workers=2)
    assert shards(tmp_path) == alone


def test_a_killed_build_goes_on_with_the_shards_that_are_there(tmp_path: Path) -> None:
    sharded(tmp_path)
    whole, folder = shards(tmp_path), tmp_path / "s"
    for name in whole:
        os.utime(folder / name, ns=(0, 0))
    (folder / "manifest.json").unlink()  # it is written last
    (folder / "00004.safetensors").unlink()
    (folder / "00005.safetensors.77.part").write_bytes(b"torn")
    (folder / "00002.safetensors").write_bytes(whole["00002.safetensors"][:-1])
    (folder / "00009.safetensors").write_bytes(b"of an older, longer corpus")
    store = sharded(tmp_path)
    again = [name for name in whole if (folder / name).stat().st_mtime_ns]
    assert again == ["00002.safetensors", "00004.safetensors"]
    assert shards(tmp_path) == whole
    assert {path.name for path in folder.iterdir()} == {*whole, "manifest.json"}
    assert len(store) == 88


def test_a_killed_build_is_resumed_from_its_complete_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def killed() -> None:
        left = [kill, building.encode_rows, building.encode_rows]
        monkeypatch.setattr(building, "encode_rows", lambda *given: left.pop()(*given))
        sharded(tmp_path)

    child = get_context("fork").Process(target=killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    left = shards(tmp_path)
    assert len(left) == 2
    for name in left:
        os.utime(tmp_path / "s" / name, ns=(0, 0))
    store = sharded(tmp_path)
    assert {name for name in left if (tmp_path / "s" / name).stat().st_mtime_ns} == set()
    shutil.rmtree(tmp_path / "s")
    assert rows(store) == rows(sharded(tmp_path))


def test_shards_of_another_text_are_not_reused(tmp_path: Path) -> None:
    sharded(tmp_path)
    before = ArrayFile(tmp_path / "s" / "00000.safetensors", "").metadata["made_from"]
    (tmp_path / "s" / "manifest.json").unlink()
    MANY.append(("1", "1"))
    try:
        store = sharded(tmp_path)
    finally:
        MANY.pop()
    assert len(store) == 89
    marks = {ArrayFile(file, "").metadata["made_from"] for file in (tmp_path / "s").glob("*.safetensors")}
    assert len(marks) == 1
    assert marks != {before}


@pytest.mark.parametrize("pairs", [[], [("", ""), ("1", "")]])
def test_a_corpus_that_leaves_no_pair_is_refused(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(DataError, match=r"no pair is left of .*pairs\.tsv: kept 0 of"):
        prepare_store(tmp_path / "s", corpus(tmp_path, pairs), src=VOCABULARY, tgt=VOCABULARY, keep=KEEP)


def test_pages_can_be_let_go_and_are_read_again(tmp_path: Path) -> None:
    store = made(tmp_path)
    before = rows(store)
    store.release()
    assert rows(store) == before


def test_a_store_of_an_earlier_version_is_refused_by_name(tmp_path: Path) -> None:
    manifest = made(tmp_path).path / "manifest.json"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("nmt-tokens-3", "nmt-tokens-2"), encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"was written by a different version of nmt; delete .*train\.store"):
        TokenStore(manifest.parent)


def test_of_a_corpus_as_many_rows_are_stored_as_it_says_first(tmp_path: Path) -> None:
    whole, store = made(tmp_path), tmp_path / "train.store"
    first = prepare_store(
        store, corpus(tmp_path)._replace(first=3), src=VOCABULARY, tgt=VOCABULARY, keep=KEEP
    )
    assert rows(first) == rows(whole)[:2]
    assert str(first.report).splitlines()[0] == "kept 2 of 3 pairs; dropped:"
    assert len(made(tmp_path)) == 3  # the store of three is not taken for that of all
