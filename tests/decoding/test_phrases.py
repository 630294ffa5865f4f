"""Prefixes and required phrases: written exactly, as whole words, or refused."""

import json
import re
from functools import cache

import pytest

from nmt.data.script import is_written_with_spaces
from nmt.data.vocabulary import Vocabulary, WordVocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.decoding.io import write_json_line
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Options
from nmt.decoding.translation import Translation, translate_window
from tests.data.test_vocabulary import sentences
from tests.decoding.models import random_model

EXACT = [
    "https://x.org/a?b=1",
    "Zoltán",
    "O'Brien-Łęcki",
    "Дмитрий",
    "{name}",
    "50 % 🦜",
    "dog",
    "a<b>",
    "दिल्ली",
]
JAPANESE = ["東京は大きい都市です。", "京都の庭は静かです。", "東京の庭。"]


@cache
def subwords(kind: str, has_bytes: bool = True) -> Vocabulary:
    lines = [*sentences(), *JAPANESE * 20]
    return train_vocabulary(lines, SubwordSettings(kind=kind, size=120, byte_fallback=has_bytes or None))


def translate(vocabulary: Vocabulary, constraints: LineConstraints, seed: int = 0) -> Translation:
    model = random_model(seed, vocabulary=len(vocabulary), sharpness=2.0)
    options = Options(beam=6, max_extra=30, n_best=3, unk=not vocabulary.byte_tokens())
    job = Job(model, vocabulary, vocabulary, options, n_best=3)
    [translation] = translate_window([Line(1, "the old dog sees a house", (), constraints)], job)
    return translation


def is_whole(phrase: str, text: str) -> bool:
    """Whether a text contains a phrase, and no letter extends it on either side."""
    for match in re.finditer(re.escape(phrase), text):
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        joins = [(before, phrase[0]), (phrase[-1], after)]
        if not any(a and b and is_written_with_spaces(a) and is_written_with_spaces(b) for a, b in joins):
            return True
    return False


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("phrase", EXACT)
def test_a_required_phrase_is_written_exactly_as_whole_words(kind: str, phrase: str) -> None:
    for seed in range(2):
        found = translate(subwords(kind), LineConstraints(must=(phrase, "house")), seed)
        assert is_whole(phrase, found.text), found.text
        assert is_whole("house", found.text), found.text
        assert "\ufffd" not in "".join(one.text for one in found.candidates)


@pytest.mark.parametrize("phrase", EXACT)
def test_an_output_begins_with_exactly_its_prefix(phrase: str) -> None:
    for seed in range(2):
        found = translate(subwords("unigram"), LineConstraints(prefix=phrase), seed)
        assert found.text.startswith(phrase)
        assert is_whole(phrase, found.text[: len(phrase) + 1])


def test_a_phrase_without_spaces_between_words_is_written_without_a_space() -> None:
    vocabulary = subwords("unigram")
    assert vocabulary.decode([*vocabulary.encode("京都"), *vocabulary.encode_phrase("東京")]) == "京都東京"
    assert vocabulary.decode([*vocabulary.encode("dog"), *vocabulary.encode_phrase("house")]) == "dog house"
    assert "東京" in translate(vocabulary, LineConstraints(must=("東京",))).text


def test_constraints_are_normalised_like_all_text() -> None:
    vocabulary = subwords("unigram")
    dirty = LineConstraints(prefix="Zol\u00adtán", must=("hou\u200bse",), must_not=("do\u2060g",))
    clean = LineConstraints(prefix="Zoltán", must=("house",), must_not=("dog",))
    assert translate(vocabulary, dirty).candidates == translate(vocabulary, clean).candidates


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (LineConstraints(must=("https://x.org",)), "the required phrase 'https://x.org' cannot be written"),
        (LineConstraints(prefix="Ωmega"), "the prefix 'Ωmega' cannot be written"),
        (LineConstraints(must=("dog", "Ж")), "no tokens for Ж: left blank"),
    ],
)
def test_what_the_vocabulary_cannot_write_is_refused(constraints: LineConstraints, expected: str) -> None:
    for vocabulary in (subwords("unigram", False), subwords("char", False), WordVocabulary(["dog", "house"])):
        found = translate(vocabulary, constraints)
        assert found.text == ""
        assert expected in (found.line.error or "")
        assert expected in found.notes[0]
        assert expected in json.loads(write_json_line(found))["error"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_forbidden_phrase_is_not_written_with_other_tokens_either(kind: str) -> None:
    vocabulary, unusual = subwords(kind), 0
    for seed in range(6):
        free = translate(vocabulary, LineConstraints(), seed)
        for word in free.text.split()[:2]:
            unusual += vocabulary.tokens(vocabulary.encode(word))[0] not in free.candidates[0].tokens
            found = translate(vocabulary, LineConstraints(must_not=(word,)), seed)
            assert not any(is_whole(word, candidate.text) for candidate in found.candidates)
    assert unusual


def test_what_cannot_be_written_need_not_be_forbidden() -> None:
    for vocabulary in (subwords("unigram", False), WordVocabulary(["dog", "house"])):
        free = translate(vocabulary, LineConstraints())
        assert translate(vocabulary, LineConstraints(must_not=("Ж",))).candidates == free.candidates
