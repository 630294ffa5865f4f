"""Vocabularies that other programs made: SentencePiece models, codes of subword-nmt, lists of words."""

import random
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from nmt.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary, load_vocabulary
from nmt.data.vocabulary.codes import JOINER, BpeCodes, join_segments
from nmt.data.vocabulary.training import SubwordSettings, TranslationSubwordSettings, train_vocabulary
from nmt.errors import DataError
from nmt.recipe.sections import find_conflicts

WORDS = ["низкий", "ниже", "нижний", "новый", "новее", "шире", "широкий", "самый", "ноябрь"]
WORDS += ["lower", "lowest", "newer", "newest", "wider", "widest"]
IDS: dict[str, dict[str, Any]] = {
    "SentencePiece's": {},
    "of T5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "of Marian": {"eos_id": 0, "unk_id": 1, "bos_id": -1},
    "with other names": {"pad_id": 3, "unk_piece": "[UNK]", "bos_piece": "[CLS]", "eos_piece": "[SEP]"},
    "with bytes": {"byte_fallback": True},
    "with tags": {"control_symbols": ["<2ru>"], "user_defined_symbols": ["<url>"]},
}


def lines(count: int = 200) -> list[str]:
    rng = random.Random(1)
    return [" ".join(rng.choices(WORDS, k=rng.randint(2, 8))) for _ in range(count)]


def foreign_model(kind: str, **options: Any) -> bytes:
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()),
        model_writer=model,
        model_type=kind,
        vocab_size=60 + 256 * options.get("byte_fallback", False),
        hard_vocab_limit=False,
        minloglevel=3,
        **options,
    )
    return model.getvalue()


@pytest.mark.parametrize("options", IDS.values(), ids=IDS)
@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_sentencepiece_model_divides_text_as_before(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "foreign.model"
    path.write_bytes(foreign_model(kind, **options))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(path))
    ours = train_vocabulary([], SubwordSettings(model=str(path)), tags=["<2de>"])
    ours.save(tmp_path / "source.spm")
    for vocabulary in (ours, load_vocabulary(tmp_path / "source.spm")):
        assert tuple(vocabulary.tokens([PAD, BOS, EOS, UNK])) == SPECIALS
        assert vocabulary.tokens(vocabulary.encode("<2de> шире")[:1]) == ["<2de>"]
        for line in [*lines(20), "самый <url> 中", "newest 🦜"]:
            unknown = {theirs.unk_id(): UNK}
            expected = [
                unknown.get(i) or ours.spellings.index(theirs.id_to_piece(i)) for i in theirs.encode(line)
            ]
            assert vocabulary.encode(line) == expected
            assert vocabulary.decode(expected) == theirs.decode(theirs.encode(line))


@pytest.mark.parametrize("content", [b"", b"junk", b"#version: 0.2\na b\n", b"<pad>\n<s>\n</s>\n<unk>\n"])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.model"
    path.write_bytes(content)
    for file in (path, tmp_path / "absent", tmp_path):
        with pytest.raises(DataError, match=r"refused: .*; give a file that SentencePiece wrote"):
            train_vocabulary([], SubwordSettings(model=str(file)))


CODES = "#version: 0.2\nи ж\nн иж\nо в\nн ов\nш и\nши р\nниж е</w>\nnew e\nl o\nlo w\ne r</w>\n"


def test_words_are_divided_by_the_codes_and_joined() -> None:
    codes = BpeCodes(CODES.splitlines())
    assert codes.segment("ниже") == ["ниже"]
    assert codes.segment("новый") == ["нов@@", "ы@@", "й"]
    assert codes.segment("lower") == ["low@@", "er"]
    assert join_segments("нов@@ ы@@ й low@@ er") == "новый lower"
    assert join_segments("@@ a@@") == "@@ a"


@pytest.mark.parametrize("version", ["", "#version: 0.1\n", "#version: 0.2\n"])
@pytest.mark.parametrize("threshold", [None, 1, 20, 10_000])
def test_segments_are_those_of_subword_nmt(version: str, threshold: int | None) -> None:
    learn = pytest.importorskip("subword_nmt.learn_bpe", reason="compares with the package subword-nmt")
    apply = pytest.importorskip("subword_nmt.apply_bpe")
    learnt = StringIO()
    learn.learn_bpe(StringIO("\n".join(lines())), learnt, 40)
    text = version + learnt.getvalue().removeprefix("#version: 0.2\n")
    codes, known = BpeCodes(text.rstrip("\n").split("\n")), set[str]()
    if threshold is not None:
        plain = apply.BPE(StringIO(text))
        segments = [one for line in lines() for one in plain.process_line(line).split(" ")]
        known = {one for one in segments if segments.count(one) >= threshold} or {"x"}
    theirs = apply.BPE(StringIO(text), vocab=known or None)
    for line in [*lines(40), "новейший lowwwwer @@ a@@b", "é", "нннннн", "newernewer"]:
        ours = [one for word in line.split(" ") for one in codes.segment(word, known)]
        assert " ".join(ours) == theirs.process_line(line)


def test_raw_and_segmented_text_give_the_same_tokens(tmp_path: Path) -> None:
    (tmp_path / "codes").write_text(CODES, encoding="utf-8")
    settings = SubwordSettings(codes=str(tmp_path / "codes"))
    vocabulary = train_vocabulary(lines(), settings, tags=["<2en>"])
    vocabulary.save(tmp_path / "target.vocab")
    for one in (vocabulary, load_vocabulary(tmp_path / "target.vocab")):
        ids = one.encode("<2en> новый lower шире")
        assert one.tokens(ids) == ["<2en>", "нов@@", "ы@@", "й", "low@@", "er", "шир@@", "е"]
        assert one.encode("<2en> нов@@ ы@@ й low@@ er шире") == ids
        assert one.decode(ids[1:]) == "новый lower шире"
        assert one.join("нов@@ ы@@ й") == "новый"
        assert one.fingerprint() == vocabulary.fingerprint()


def test_a_vocabulary_of_segments_has_a_least_count(tmp_path: Path) -> None:
    (tmp_path / "codes").write_text(CODES, encoding="utf-8")
    counts = "low@@ 90\ner 80\nlower 70\nl@@ 60\no@@ 50\nw@@ 40\n"
    (tmp_path / "counts").write_text(counts, encoding="utf-8")
    files = {"codes": str(tmp_path / "codes"), "vocabulary": str(tmp_path / "counts")}
    for least, expected in ((1, ["low@@", "er"]), (85, ["low@@", "<unk>", "<unk>"])):
        vocabulary = train_vocabulary([], SubwordSettings(**files, min_count=least))
        assert vocabulary.tokens(vocabulary.encode("lower")) == expected


def test_segmented_text_is_recognised_and_joined(tmp_path: Path) -> None:
    segmented = ["das ist bes@@ ser", "der Schnee schmil@@ zt", "ein Haus"] * 5
    vocabulary = train_vocabulary(segmented, SubwordSettings(kind="pretokenized"))
    vocabulary.save(tmp_path / "target.vocab")
    again = load_vocabulary(tmp_path / "target.vocab")
    assert again.decode(again.encode(segmented[0])) == "das ist besser"
    assert again.join(segmented[1]) == "der Schnee schmilzt"
    plain = train_vocabulary(["a @@ b", "c d"] * 5, SubwordSettings(kind="pretokenized"))
    assert plain.decode(plain.encode("a @@ b")) == "a @@ b"


def test_a_list_of_words_is_the_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "words"
    path.write_text("<pad>\n<unk> 0\nширe 30\nновый 20\r\nниже\t5\n\n", encoding="utf-8")
    made = train_vocabulary([], SubwordSettings(kind="pretokenized", vocabulary=str(path), min_count=10))
    assert made.spellings == [*SPECIALS, "ширe", "новый"]


def test_a_list_of_characters_is_the_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "characters"
    path.write_text("н\nо\nв\nы\nй\n東\n", encoding="utf-8")
    made = train_vocabulary([], SubwordSettings(kind="char", vocabulary=str(path)))
    assert {*made.spellings} == {*SPECIALS, "▁", *"новый東"}
    assert made.decode(made.encode("новый 東")) == "новый 東"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("codes", b"", "it has no merges"),
        ("codes", b"#version: 0.2\n", "it has no merges"),
        ("codes", b"#version: 9\na b\n", "line 1: version 9"),
        ("codes", b"a b\nc\n", "line 2: expected two segments separated by a space, got 'c'"),
        ("codes", b"a b c\n", "line 1: expected two segments"),
        ("codes", b"a b\n\xff \xfe\n", "line 2 is not UTF-8"),
        ("vocabulary", b"a 1 2\n", "line 1: expected a word, or a word and its count"),
        ("vocabulary", b"a 1\nb x\n", "line 2: expected a word, or a word and its count"),
        ("vocabulary", b"a 1\nb\n", "line 2: no count, and subwords.min_count needs it"),
        ("vocabulary", b"a 1\n", "it has no words that are frequent enough"),
        ("vocabulary", "e\u0301 5\n".encode(), "is not in the normal form nfc"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    name: str, content: bytes, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match="file: refused") as refused:
        train_vocabulary(lines(), SubwordSettings(kind="pretokenized", min_count=2, **{name: str(path)}))
    assert expected in str(refused.value)


def test_words_are_no_characters(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("шире\n", encoding="utf-8")
    with pytest.raises(DataError, match="'шире' is not a character"):
        train_vocabulary([], SubwordSettings(kind="char", vocabulary=str(tmp_path / "words")))


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"model": "a", "codes": "b"}, "codes"),
        ({"model": "a", "vocabulary": "b"}, "vocabulary"),
        ({"vocabulary": "b"}, "vocabulary"),
        ({"codes": "a", "kind": "char"}, "codes"),
        ({"codes": "a", "normalisation": "nmt_nfkc"}, "normalisation"),
        ({"codes": "a", "byte_fallback": True}, "byte_fallback"),
        ({"codes": "a", "sampling": 0.1}, "sampling"),
        ({"model": ["a", "b"]}, "model"),
    ],
)
def test_settings_that_cannot_be_combined_are_refused(settings: dict[str, Any], path: str) -> None:
    found = find_conflicts(TranslationSubwordSettings(**settings))
    assert [at for at, _ in found] == [(path,)]


def test_damaged_files_of_segments_are_refused(tmp_path: Path) -> None:
    (tmp_path / "codes").write_text(CODES, encoding="utf-8")
    vocabulary: Vocabulary = train_vocabulary(lines(), SubwordSettings(codes=str(tmp_path / "codes")))
    assert JOINER in "".join(vocabulary.spellings)
    path, content = tmp_path / "target.vocab", vocabulary.content
    for old, new in ((b"codes=12", b"codes=99999"), (b"joined", b"glued"), (b"codes=12", b"codes=20")):
        path.write_bytes(content.replace(old, new, 1))
        with pytest.raises(DataError, match=r"target\.vocab"):
            load_vocabulary(path)
