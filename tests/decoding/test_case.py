"""Case in translation: marks are restored, and what is prescribed is written in its case."""

import pytest

from nmt.data.vocabulary import Vocabulary
from nmt.data.vocabulary.case import MARK_NAMES
from nmt.decoding.glossary import Glossary
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Options
from nmt.decoding.rescore import rescore_lines
from nmt.decoding.translation import Translation, translate_window
from tests.data.test_case import trained
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
