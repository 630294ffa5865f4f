"""Case in translation: marks are restored, and what is prescribed is written in its case."""

from functools import cache

import pytest

from nmt.data.protection import build_protection
from nmt.data.protection.spans import DEFAULT_KINDS
from nmt.data.vocabulary import Vocabulary
from nmt.data.vocabulary.capitals import Truecaser, lower, upper
from nmt.data.vocabulary.case import MARK_NAMES
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.decoding.glossary import Glossary
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Options
from nmt.decoding.rescore import rescore_lines
from nmt.decoding.translation import Translation, translate_window
from tests.data.test_case import trained
from tests.data.test_vocabulary import sentences
from tests.decoding.models import random_model

BEAM = Options(beam=4)


def job(words: Vocabulary, options: Options = BEAM) -> Job:
    model = random_model(3, vocabulary=len(words), sharpness=2.0, eos=1.0)
    return Job(model, words, words, options, n_best=options.n_best)


def translate(one: Job, *lines: str, **constraints: object) -> list[Translation]:
    given = LineConstraints(**constraints)  # type: ignore[arg-type]
    return translate_window([Line(i, line, constraints=given) for i, line in enumerate(lines, 1)], one)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
def test_no_mark_is_written(kind: str) -> None:
    one = job(trained(kind), Options(beam=6, n_best=6, max_extra=30))
    found = translate(one, *(f"The DOG sees {i} stones" for i in range(20)))
    candidates = [candidate for translation in found for candidate in translation.candidates]
    assert any("<capital>" in candidate.tokens for candidate in candidates)
    assert any(candidate.text != candidate.text.lower() for candidate in candidates)
    assert not any(mark in candidate.text for candidate in candidates for mark in MARK_NAMES)


@pytest.mark.parametrize("phrase", ["dog", "Dog", "DOG", "Zoltán STRAßE", "привет", "ПРИВЕТ Мир", "iPhone"])
def test_required_text_is_written_in_its_case(phrase: str) -> None:
    one = job(trained("unigram"))
    [prefixed] = translate(one, "the dog sees a stone", prefix=phrase)
    assert prefixed.text.startswith(phrase)
    [required] = translate(one, "the dog sees a stone", must=(phrase,))
    assert phrase in required.text.split() or phrase in required.text
    with_terms = one._replace(glossary=Glossary({"stone": phrase}))
    [translated] = translate(with_terms, "the dog sees a Stone")
    assert phrase in translated.text
    [forbidden] = translate(one, "the dog sees a stone", must_not=(phrase,))
    assert phrase not in forbidden.text


def test_given_translations_are_encoded_with_marks() -> None:
    one = job(trained("bpe"))
    [scored] = rescore_lines([("The DOG sees", "A Stone IS")], one)
    assert scored.text == "A Stone IS"
    assert [token for token in scored.tokens if token in MARK_NAMES.values()] == [
        *("<capital>", "<capital>", "<capitals>")
    ]


NATO_TEXT = ["The NATO sees a dog", "das Mädchen hört den Hund", "Я вижу собаку", "Buz ılık ve ince işte"]


@cache
def plain(kind: str) -> Vocabulary:
    chosen = SubwordSettings(kind=kind, size=500, byte_fallback=kind == "bpe" or None)
    return train_vocabulary([*sentences(), *NATO_TEXT * 40], chosen, copies=2, tags=["<2en>"])


SENTENCES = {
    "MÄDCHEN HÖRT HUND": "Mädchen hört Hund",
    "THE DOG SEES NATO": "The dog sees NATO",
    "<copy1> THE DOG, SEES. THE HUND": "<copy1> The dog, sees. The Hund",
    "ВИЖУ СОБАКУ!": "Вижу собаку!",
}
UNCHANGED = [
    "NATO",
    "NATO UNO",
    "UN, EU, US",
    "Mädchen HÖRT HUND",
    "한국 NATO",
    "개가 돌을 본다",
    "中文",
    "123 !",
    "",
]


@pytest.mark.parametrize("kind", ["bpe", "pretokenized"])
def test_text_in_capitals_is_read_as_it_is_usually_written(kind: str) -> None:
    reader = Truecaser(plain(kind), "de")
    for text, usual in SENTENCES.items():
        spaced = (
            (text, usual) if kind != "pretokenized" else (text.replace(",", " ,"), usual.replace(",", " ,"))
        )
        assert reader.is_in_capitals(spaced[0])
        assert kind == "pretokenized" or reader.truecase(text) == usual
    for text in [*UNCHANGED, *SENTENCES.values()]:
        assert not reader.is_in_capitals(text), text
    assert not Truecaser(trained_on_capitals(kind), "en").is_in_capitals("THE DOG SEES")


@cache
def trained_on_capitals(kind: str) -> Vocabulary:
    lines = [line for text in sentences() for line in (text, text.upper())]
    return train_vocabulary(lines, SubwordSettings(kind=kind, size=300))


@pytest.mark.parametrize(
    "words", [plain("char"), trained("unigram"), trained("char")], ids=["char", "u", "c"]
)
def test_letters_and_marks_of_case_are_read_too(words: Vocabulary) -> None:
    reader = Truecaser(words, "en")
    assert reader.is_in_capitals("THE STONE SEES")
    assert reader.truecase("THE STONE SEES") == "The stone sees"
    assert not reader.is_in_capitals("NATO UN")


@pytest.mark.parametrize(("language", "small", "capitals"),
    [("tr-TR", "ılık ince", "ILIK İNCE"), ("de", "süß", "SÜSS"), ("el", "οδός", "ΟΔΌΣ"), ("ko", "개", "개")],
)  # fmt: skip
def test_the_translation_of_capitals_is_in_capitals(language: str, small: str, capitals: str) -> None:
    assert upper(f"{small} <copy1> {small}.", language) == f"{capitals} <copy1> {capitals}."
    assert (
        upper(f"{small} http://x.y {small}", language, ["http://x.y", ""])
        == f"{capitals} http://x.y {capitals}"
    )
    assert language == "el" or language == "de" or lower(capitals, language) == small


def test_a_line_in_capitals_is_translated_like_the_usual_one() -> None:
    words = plain("bpe")
    protection = build_protection(DEFAULT_KINDS, words, words)
    one = job(words, Options(beam=4, n_best=2))._replace(protection=protection, languages=("de", "en"))
    capitals = "MÄDCHEN HÖRT http://x.org/a HUND. THE DOG SEES NATO!"
    loud, quiet = translate(one, capitals, "Mädchen hört http://x.org/a Hund. The dog sees NATO!")
    assert [loud.text, loud.score] == [upper(quiet.text, "en", ["http://x.org/a"]), quiet.score]
    assert "http://x.org/a" in loud.text
    assert loud.parts[0].source == quiet.parts[0].source
    mixed = translate(one, "Das Mädchen hört. THE DOG SEES A STONE.")[0]
    assert mixed.text != upper(mixed.text, "en")
    assert mixed.text[slice(*mixed.parts[1].target)].isupper()


def test_pairs_in_capitals_are_scored_as_they_are_translated() -> None:
    one = job(plain("bpe"))._replace(languages=("de", "en"))
    pairs = [
        ("MÄDCHEN HÖRT HUND.", "THE DOG SEES NATO."),
        ("<2en> MÄDCHEN HÖRT HUND.", "The dog sees NATO."),
        ("Das Mädchen hört. THE DOG SEES.", "THE DOG SEES. Я вижу собаку. THE NATO SEES A DOG."),
        ("Das Mädchen hört.", "THE DOG SEES."),
        ("", "THE DOG SEES."),
    ]
    usual = [
        ("Mädchen hört Hund.", "The dog sees NATO."),
        ("<2en> Mädchen hört Hund.", "The dog sees NATO."),
        ("Das Mädchen hört. The dog sees.", "The dog sees. Я вижу собаку. The NATO sees a dog."),
        *pairs[3:],
    ]
    found, expected = list(rescore_lines(pairs, one)), list(rescore_lines(usual, one))
    assert [one.text for one in found][:4] == [target for _, target in pairs][:4]
    assert [one._replace(text="") for one in found] == [one._replace(text="") for one in expected]


@pytest.mark.parametrize("kept", ["a", "he", "og"])
def test_only_whole_words_keep_their_case(kept: str) -> None:
    assert upper(f"a the dog {kept} heat", "en", [kept]).split()[1:] == ["THE", "DOG", kept, "HEAT"]


def test_what_is_prescribed_for_a_line_in_capitals_keeps_its_case() -> None:
    one = job(plain("bpe"))._replace(glossary=Glossary({"Hund": "Dog"}))
    [found] = translate(one, "MÄDCHEN HÖRT HUND.", prefix="Das a", must=("e-Mail",), must_not=("THE",))
    assert found.text.startswith("Das a")
    assert "e-Mail" in found.text
    assert "Dog" in found.text
    assert "THE" not in found.text.split()
