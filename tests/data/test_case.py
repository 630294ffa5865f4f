"""Case as marks: each word has the same tokens in any case, and every text comes back as it was."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.vocabulary import SentencePieceVocabulary, Vocabulary, load_vocabulary
from nmt.data.vocabulary.case import CAPITAL, CAPITALS, CaseMarks
from nmt.data.vocabulary.extension import extend_vocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.errors import UsageError
from nmt.recipe.reader import read_recipe
from nmt.recipe.sections import find_conflicts
from tests.data.test_vocabulary import sentences

MARKED = [
    ("Der HUND läuft.", "der⁺ hund‼ läuft."),
    ("L'École d'été À Paris", "l⁺'école⁺ d'été à⁺ paris⁺"),
    ("ПРИВЕТ Мир", "привет‼ мир⁺"),
    ("ΟΔΟΣ Ὀδυσσεύς", "οδος‼ ὀδυσσεύς⁺"),
    ("ԵՐԵՎԱՆ Հայ և", "երեվան‼ հայ⁺ և"),
    ("iPhone McDonald eBay", "iPhone McDonald eBay"),
    ("STRAßE Straße STRASSE", "STRAßE straße⁺ strasse‼"),
    ("İZMİR IŞIK", "İZMİR işik‼"),
    ("ǅungla Ǆ ŉ ﬁN", "ǅungla ǆ‼ ŉ ﬁN"),
    ("SNS는 A씨", "sns‼는 a⁺씨"),
    ("使用Linux系统 नमस्ते 안녕", "使用linux⁺系统 नमस्ते 안녕"),
    ("E\u0301te\u0301 Z\u030cIVOT", "e\u0301te\u0301⁺ z\u030civot‼"),
    ("[SEP] X<copy1>Y", "[SEP] x⁺<copy1>y⁺"),
]


def show(text: str) -> str:
    return text.replace(CAPITAL, "⁺").replace(CAPITALS, "‼")


@pytest.mark.parametrize(("line", "marked"), MARKED)
def test_marks_follow_words_that_they_restore(line: str, marked: str) -> None:
    marks = CaseMarks(["[SEP]", "<copy1>"])
    assert show(marks.mark(line)) == marked
    assert marks.restore(marks.mark(line)) == line


@pytest.mark.parametrize(
    ("marked", "text"), [("⁺ a⁺⁺‼ !⁺", " A !"), ("‼‼", ""), ("1⁺ 한국⁺ 中‼", "1 한국 中")]
)
def test_marks_that_belong_to_no_word_are_not_written(marked: str, text: str) -> None:
    assert CaseMarks().restore(marked.replace("⁺", CAPITAL).replace("‼", CAPITALS)) == text


TEXT = [*sentences(), *(line.title() for line in sentences()), "THE DOG SEES Ä STONE"]


@cache
def trained(kind: str, rule: str = "nmt_nfkc") -> Vocabulary:
    chosen = SubwordSettings(kind=kind, size=60, normalisation=rule, byte_fallback=kind != "char" or None)
    return train_vocabulary(TEXT, chosen, copies=2, tags=["<2EN>"], marks_case=True)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
def test_a_word_has_the_same_tokens_in_any_case(kind: str, tmp_path: Path) -> None:
    trained(kind).save(tmp_path / "source.spm")
    for vocabulary in (trained(kind), load_vocabulary(tmp_path / "source.spm")):
        small = vocabulary.tokens(vocabulary.encode("dog stone"))
        for line, mark in (("Dog Stone", "<capital>"), ("DOG STONE", "<capitals>")):
            tokens = vocabulary.tokens(vocabulary.encode(line))
            assert [token for token in tokens if token != mark] == small
            assert tokens.count(mark) == 2
            assert vocabulary.decode(vocabulary.encode(line)) == line
        assert vocabulary.tokens(vocabulary.encode("<2EN> <copy1> Dog"))[0] == "<2EN>"
        assert not vocabulary.starts()[list(vocabulary.case_tokens())].any()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampled_segmentations_keep_the_case(kind: str) -> None:
    if kind == "unigram":
        for seed in range(8):
            assert trained(kind).decode(trained(kind).sample("The DOG sees iPhone", 0.3, seed)) == (
                "The DOG sees iPhone"
            )
    ids = trained(kind).encode_phrase("Dog")
    assert trained(kind).tokens(ids)[-1] == "<capital>"
    assert {*trained(kind).case_tokens()} <= {*trained(kind).continuations()}


LETTERS = "aßſİıIiΣσςǅǄǆŉΐᾼᾳÅÅΩKſﬁﬀჯᲯꭰᎠ𐐀𐐨Ⅳⅳⓐ①ͅ\u0301\u0307'-. 한中हि\u200d"


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(st.one_of(st.sampled_from(LETTERS + "ABCdef"), st.characters(categories=("L", "M", "P")))))
def test_every_text_comes_back(line: str) -> None:
    line = line.replace("▁", "_")
    plain = train_plain()
    for rule in ("nfc", "nmt_nfkc"):
        vocabulary = trained("unigram", rule)
        expected = plain[rule].decode(plain[rule].encode(line))
        assert vocabulary.decode(vocabulary.encode(line)) == expected


@cache
def train_plain() -> dict[str, Vocabulary]:
    rules = ("nfc", "nmt_nfkc")
    return {rule: train_vocabulary(TEXT, SubwordSettings(size=60, normalisation=rule, byte_fallback=True))
            for rule in rules}  # fmt: skip


def test_a_vocabulary_without_marks_is_unchanged() -> None:
    plain = train_plain()["nfc"]
    assert not plain.case_tokens()
    assert isinstance(plain, SentencePieceVocabulary)
    assert plain.case is None


def test_an_extended_vocabulary_keeps_its_marks() -> None:
    new = train_vocabulary(["Новый МИР"] * 9, SubwordSettings(kind="char", size=40), marks_case=True)
    both = extend_vocabulary(trained("char"), new)
    assert both.decode(both.encode("Мир DOG")) == "Мир DOG"
    assert len(both.case_tokens()) == 2


@pytest.mark.parametrize(
    "subwords",
    [
        ["kind=pretokenized"],
        ["codes=bpe.codes"],
        ["model=spm.model"],
        ["kind=char", "vocabulary=characters.txt"],
        ["normalisation=none"],
    ],
)
def test_marks_are_refused_where_they_cannot_be_written(subwords: list[str]) -> None:
    with pytest.raises(UsageError, match=r"data\.case: inline needs"):
        read_recipe(["quickstart-lstm"], ["data.case=inline", *(f"subwords.{one}" for one in subwords)])


def test_marks_are_accepted_with_every_kind_of_subwords() -> None:
    for kind in ("unigram", "bpe", "char"):
        recipe = read_recipe(["quickstart-lstm"], ["data.case=inline", f"subwords.kind={kind}"])
        assert not [*find_conflicts(recipe)]
