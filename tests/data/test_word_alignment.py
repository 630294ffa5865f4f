"""Alignments and weights: from files to batches, right whatever the pieces, refused where they cannot be."""

from pathlib import Path

import numpy as np
import pytest

from nmt.data.batches import BatchPlan, BatchSettings, SubwordSampling, read_batches
from nmt.data.pairs import Corpus
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary import Vocabulary, WordVocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.data.word_alignment import parse_alignment
from nmt.errors import DataError

SRC = ["der kleine Hund schläft", "", "die Katze kommt zurück", "ein Hund"] * 5
TGT = ["the little dog is sleeping", "x", "the cat comes back", "a dog"] * 5
LINKS = ["0-0 1-1 2-2 3-3 3-4", "", "3-3 0-0", ""] * 5
WEIGHTS = ["0.5", "7", "2", "0"] * 5
WORDS = WordVocabulary(sorted({word for line in SRC + TGT for word in line.split()}))


def pieces(tags: tuple[str, ...] = ()) -> Vocabulary:
    lines = [*SRC, *TGT]
    return train_vocabulary(lines, SubwordSettings(kind="unigram", size=60), tags=tags)


def lines(path: Path, content: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8", newline="\n")
    return path


def corpus(
    folder: Path, alignments: list[str] = LINKS, weights: list[str] = WEIGHTS, tag: str | None = None
) -> Corpus:
    return Corpus(
        (lines(folder / "a.de", SRC), lines(folder / "a.en", TGT)),
        tag=tag,
        weights=lines(folder / "weights", weights),
        alignments=lines(folder / "links", alignments),
    )


def stored(folder: Path, vocabulary: Vocabulary, *corpora: Corpus, shard_pairs: int = 1000) -> TokenStore:
    from nmt.data.pair_rules import LengthFilter, LengthSettings

    keep = LengthFilter(LengthSettings(max_length=100))
    return prepare_store(
        folder / "s",
        *corpora,
        src=vocabulary,
        tgt=vocabulary,
        keep=keep,
        with_text=True,
        shard_pairs=shard_pairs,
    )


def linked_words(
    store: TokenStore, vocabulary: Vocabulary, sampling: SubwordSampling | None = None
) -> set[tuple[int, str, str]]:
    """Pair, source word and target word of every link, read off the pieces in the batches."""
    found = set()
    for batch in read_batches(store, BatchPlan(BatchSettings(size=4), 1), 0, sampling=sampling):
        assert batch.alignments is not None
        for row, t, s in batch.alignments.tolist():
            src = vocabulary.tokens(batch.src[row, : batch.src_lengths[row] - 1].tolist())
            tgt = vocabulary.tokens(batch.tgt[row, 1 : batch.tgt_lengths[row]].tolist())
            found.add((int(batch.pairs[row]), word_around(src, s), word_around(tgt, t)))
    return found


def word_around(found: list[str], place: int) -> str:
    """The whole word that a piece belongs to."""
    if not any(piece.startswith("▁") for piece in found):
        return found[place]
    first = max(i for i in range(place + 1) if found[i].startswith("▁"))
    last = next((i for i in range(place + 1, len(found)) if found[i].startswith("▁")), len(found))
    return "".join(found[first:last]).removeprefix("▁")


EXPECTED = {
    (pair, src, tgt)
    for first in range(0, 15, 3)
    for pair, src, tgt in [
        *(
            (first, s, t)
            for s, t in zip(["der", "kleine", "Hund", "schläft"], ["the", "little", "dog", "is"], strict=True)
        ),
        (first, "schläft", "sleeping"),
        (first + 1, "die", "the"),
        (first + 1, "zurück", "back"),
    ]
}


@pytest.mark.parametrize("tag", [None, "<bt>"])
@pytest.mark.parametrize("kind", ["words", "pieces", "sampled"])
def test_links_are_between_the_words_that_the_file_names(tmp_path: Path, kind: str, tag: str | None) -> None:
    tags = () if tag is None else (tag,)
    words = sorted({word for line in SRC + TGT for word in line.split()})
    vocabulary = WordVocabulary([*tags, *words]) if kind == "words" else pieces(tags)
    store = stored(tmp_path, vocabulary, corpus(tmp_path, tag=tag))
    sampling = SubwordSampling(vocabulary, vocabulary, 0.1) if kind == "sampled" else None
    assert linked_words(store, vocabulary, sampling) == EXPECTED


def test_every_piece_of_a_word_is_linked_with_every_piece_of_its_partner(tmp_path: Path) -> None:
    vocabulary = pieces()
    store = stored(tmp_path, vocabulary, corpus(tmp_path))
    batch = next(
        batch
        for batch in read_batches(store, BatchPlan(BatchSettings(size=1), 1), 0)
        if int(batch.pairs[0]) == 1
    )
    back = [len(vocabulary.encode(text)) for text in ("zurück", "back")]
    assert batch.alignments is not None
    links = [link for link in batch.alignments.tolist() if link[1] >= len(vocabulary.encode("the cat comes"))]
    assert len(links) == len({map(tuple, links)}) * back[0] * back[1]


def test_weights_go_with_their_pairs(tmp_path: Path) -> None:
    store = stored(tmp_path, WORDS, corpus(tmp_path))
    for batch in read_batches(store, BatchPlan(BatchSettings(size=4), 1), 0):
        assert batch.weights is not None
        assert batch.weights.tolist() == [[0.5, 2.0, 0.0][pair % 3] for pair in batch.pairs.tolist()]


def test_a_corpus_without_them_weighs_one_and_is_not_aligned(
    tmp_path: Path,
) -> None:
    plain = Corpus(
        (lines(tmp_path / "b.de", ["ein Hund"] * 3), lines(tmp_path / "b.en", ["a dog"] * 3)), name="b"
    )
    store = stored(tmp_path, WORDS, plain, corpus(tmp_path)._replace(name="a"), shard_pairs=7)
    assert [(part.name, part.first, part.pairs) for part in store.parts] == [("b", 0, 3), ("a", 3, 15)]
    assert store.weights is not None
    assert store.weights[np.arange(5)].tolist() == [1, 1, 1, 0.5, 2]
    assert {(pair - 3, src, tgt) for pair, src, tgt in linked_words(store, WORDS)} == EXPECTED


def test_a_line_whose_words_are_not_separated_by_spaces_is_counted_and_not_aligned(tmp_path: Path) -> None:
    vocabulary = pieces()
    text = [line.replace("der kleine", "der\u00a0kleine") for line in SRC]
    given = corpus(tmp_path, ["0-0 2-2", "", "3-3 0-0", ""] * 5)
    lines(tmp_path / "a.de", text)
    store = stored(tmp_path, vocabulary, given)
    assert "5 used without alignment: their words are not separated by spaces (first: line 1)" in str(
        store.report
    )
    assert {pair % 3 for pair, _, _ in linked_words(store, vocabulary)} == {1}


@pytest.mark.parametrize(
    ("alignments", "weights", "message"),
    [
        (
            ["0-0", "", "4-0", ""] * 5,
            WEIGHTS,
            r"links, line 3: 4-0 links a word that does not exist: ",
        ),
        (["0_0", "", "", ""] * 5, WEIGHTS, r"links, line 1: '0_0' is not a link such as 0-2"),
        (LINKS[:-1], WEIGHTS, r"a\.de has 20 lines but .*links has 19"),
        (LINKS, ["1", "1", "x", "1"] * 5, r"weights, line 3: expected a weight .* got 'x'"),
        (LINKS, ["-1", "1", "x", "1"] * 5, r"weights, line 1: expected a weight"),
        (LINKS, ["1", "1", "nan", "inf"] * 5, r"weights, line 3: expected a weight"),
    ],
)
def test_what_cannot_be_is_refused_by_file_and_line(
    tmp_path: Path, alignments: list[str], weights: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        stored(tmp_path, WORDS, corpus(tmp_path, alignments, weights))


def test_links_are_read_as_pharaoh_writes_them() -> None:
    assert parse_alignment(" 0-0  12-3 ") == [(0, 0), (12, 3)]
    assert parse_alignment("") == []
