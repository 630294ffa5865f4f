"""Training pairs joined with their next neighbour: drawn from seed, epoch and position alone."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from nmt.data.batches import (
    Batch,
    BatchPlan,
    BatchSettings,
    SubwordSampling,
    count_batches,
    read_batches,
    read_validation_batches,
)
from nmt.data.pair_joining import PairJoin, join_lines
from nmt.data.pair_rules import LengthFilter, LengthSettings
from nmt.data.pairs import Corpus
from nmt.data.protection import build_protection
from nmt.data.sources import PairSettings
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.trained_lengths import LENGTHS, TrainedLengths, measure_lengths, read_lengths, write_lengths
from nmt.data.vocabulary import EOS, Vocabulary, WordVocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.errors import DataError
from nmt.recipe.sections import find_conflicts, validate

COUNT = 300
WORDS = WordVocabulary(["<x>", *map(str, range(COUNT)), *(f"t{n}" for n in range(COUNT))])
SETTINGS = BatchSettings(size=16)


def corpus(folder: Path, name: str, numbers: range, tag: str | None = None) -> Corpus:
    """Pairs `n n` and `tn`; every 50th is blank, and left out."""
    path = folder / f"{name}.tsv"
    lines = (f"{n} {n}\tt{n}\n" if n % 50 else "\t\n" for n in numbers)
    path.write_text("".join(lines), encoding="utf-8")
    return Corpus((path,), name=name, tag=tag)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    folder = tmp_path_factory.mktemp("joined")
    corpora = corpus(folder, "a", range(200)), corpus(folder, "b", range(200, COUNT), tag="<x>")
    keep = LengthFilter(LengthSettings())
    return prepare_store(folder / "store", *corpora, src=WORDS, tgt=WORDS, keep=keep, with_text=True)


def plan(share: float, longest: int = 100) -> BatchPlan:
    return BatchPlan(SETTINGS, seed=1, join=PairJoin(share, longest, (WORDS, WORDS), (None, "<x>")))


def texts(batches: list[Batch]) -> list[tuple[str, str]]:
    return [
        (WORDS.decode(src.tolist()), WORDS.decode(tgt.tolist()))
        for batch in batches
        for src, tgt in zip(batch.src, batch.tgt, strict=True)
    ]


def test_the_copy_symbols_of_a_joined_pair_are_numbered_on(tmp_path: Path) -> None:
    words = WordVocabulary(["x", *(f"<copy{number}>" for number in range(1, 6))])
    lines = [("{0} x {1}", "{1} x {0}"), ("{a} x {b}", "{b} {a}"), ("x", "x"), ("{2} x", "x {2}")]
    (tmp_path / "p.tsv").write_text("".join(f"{src}\t{tgt}\n" for src, tgt in lines), encoding="utf-8")
    protection = build_protection(("placeholder",), words, words)
    pairs = Corpus((tmp_path / "p.tsv",), name="p")
    keep = LengthFilter(LengthSettings())
    made = prepare_store(
        tmp_path / "store", pairs, src=words, tgt=words, keep=keep, with_text=True, protection=protection
    )
    join = PairJoin(1.0, 100, (words, words))
    sides = [join_lines(made, side, np.array([0, 1, 2]), join) for side in (made.src, made.tgt)]
    assert sides[0] == ["<copy1> x <copy2> <copy3> x <copy4>", "<copy1> x <copy2> x", "x <copy1> x"]
    assert sides[1] == ["<copy2> x <copy1> <copy4> <copy3>", "<copy2> <copy1> x", "x x <copy1>"]


def test_every_pair_with_a_neighbour_is_joined_at_most(store: TokenStore) -> None:
    found = texts(list(read_batches(store, plan(1.0), 0)))
    assert len(found) == len(store)
    joined = {pair for pair in found if len(pair[1].split()) == 2}
    expected = {
        (f"{tag}{n} {n} {n + 1} {n + 1}", f"t{n} t{n + 1}")
        for n in range(COUNT - 1)
        for tag in ["<x> " if n >= 200 else ""]
        if n % 50 and (n + 1) % 50 and n != 199
    }
    assert joined == expected
    assert len(found) - len(joined) == 6


def test_a_share_is_joined_others_in_each_epoch(store: TokenStore) -> None:
    chosen = [
        {pair for pair in texts(list(read_batches(store, plan(0.3), epoch))) if " " in pair[1]}
        for epoch in (0, 1)
    ]
    assert all(0.2 * len(store) < len(one) < 0.4 * len(store) for one in chosen)
    assert chosen[0] != chosen[1]
    assert not any(" " in tgt for _, tgt in texts(list(read_batches(store, plan(0.0), 0))))


def test_an_epoch_resumes_at_any_batch(store: TokenStore) -> None:
    whole = list(read_batches(store, plan(0.5), 3))
    assert count_batches(store, plan(0.5), 3) == len(whole)
    for start in (1, len(whole) // 2):
        rest = list(read_batches(store, plan(0.5), 3, start))
        for one, other in zip(rest, whole[start:], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one[:5], other[:5], strict=True))


def test_joined_pairs_are_batched_by_their_lengths_and_within_the_limit(store: TokenStore) -> None:
    for batch in read_batches(store, plan(0.5), 0):
        assert int((batch.src == EOS).sum()) == len(batch.src)
    padding = sum(b.src.numel() - int(b.src_lengths.sum()) for b in read_batches(store, plan(0.5), 0))
    assert padding < 0.2 * sum(int(b.src_lengths.sum()) for b in read_batches(store, plan(0.5), 0))
    assert not any(" " in tgt for _, tgt in texts(list(read_batches(store, plan(1.0, longest=3), 0))))


def test_validation_pairs_are_not_joined(store: TokenStore) -> None:
    assert not any(" " in tgt for _, tgt in texts(list(read_validation_batches(store, plan(1.0)))))


def subword_store(folder: Path) -> tuple[TokenStore, Vocabulary]:
    path = folder / "pairs.tsv"
    path.write_text("".join(f"你好{n}。\tHello {n}.\n" for n in range(40)), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").replace("\t", "\n").splitlines()
    subwords = train_vocabulary(lines, SubwordSettings(size=60), seed=1)
    return prepare_store(
        folder / "store", Corpus((path,)), src=subwords, tgt=subwords, keep=None, with_text=True
    ), subwords


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_sentences_are_joined_as_their_script_joins_them(tmp_path: Path, alpha: float) -> None:
    store, subwords = subword_store(tmp_path)
    join = BatchPlan(SETTINGS, seed=1, join=PairJoin(1.0, 100, (subwords, subwords)))
    sampling = SubwordSampling(subwords, subwords, alpha) if alpha else None
    [batch] = islice(read_batches(store, join, 0, sampling=sampling), 1)
    for src, tgt in zip(batch.src.tolist(), batch.tgt.tolist(), strict=True):
        number = int(subwords.decode(src).split("。")[0].removeprefix("你好"))
        assert subwords.decode(src) in (f"你好{number}。你好{number + 1}。", "你好39。")
        assert subwords.decode(tgt) in (f"Hello {number}. Hello {number + 1}.", "Hello 39.")
        if not alpha:
            assert src[: src.index(EOS)] == subwords.encode(subwords.decode(src))


def test_lengths_of_training_lines_are_measured(store: TokenStore) -> None:
    singles = [f"Satz {n}." for n in range(95)]
    doubles = ["Ein Satz. Noch einer."] * 5
    sources = store.src.tokens
    assert measure_lengths(sources, singles + doubles, "de") == TrainedLengths(tokens=3, sentences=2)
    assert measure_lengths(sources, [*singles, "x", *doubles[1:]], "de").sentences == 1
    joined = measure_lengths(sources, singles, "de", joined=0.5, max_length=100)
    assert joined == TrainedLengths(tokens=6, sentences=2)
    assert measure_lengths(sources, singles, "de", joined=0.5, max_length=3).tokens == 3


def test_lengths_are_kept_in_a_directory(tmp_path: Path) -> None:
    assert read_lengths(tmp_path) is None
    write_lengths(tmp_path, TrainedLengths(tokens=57, sentences=3))
    assert read_lengths(tmp_path) == TrainedLengths(tokens=57, sentences=3)
    for content in ("", "{}", '{"tokens": 0, "sentences": 1}', '{"tokens": "x", "sentences": 1}', "[1, 2]"):
        (tmp_path / LENGTHS).write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=LENGTHS):
            read_lengths(tmp_path)


def test_word_alignments_do_not_fit_joined_pairs() -> None:
    one = {"name": "a", "pairs": "a", "alignments": "a.align"}
    tree = {"src": "de", "tgt": "en", "train": [one], "valid": "v", "join_sentences": 0.1}
    assert find_conflicts(validate(PairSettings, tree))[0][0] == ("join_sentences",)
