"""What a word of a translation looked at, and what else it might have been."""

import math
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.data.vocabulary.vocabulary import Vocabulary
from nmt.data.vocabulary.words import WordVocabulary
from nmt.decoding.job import Job
from nmt.decoding.options import Options
from nmt.decoding.translation import translate_lines
from nmt.serve.alternatives import Pauses, WordAlternatives, find_alternatives
from tests.decoding.models import Fake, fixed_model, random_model
from tests.decoding.test_copies import job as copying_job

TEXT = "the old  dog runs home"
WORDS = WordVocabulary(["the", "old", "dog", "cat", "runs", "sleeps", "home", "away", ".", "today"])
LINES = [" ".join(np.random.default_rng(seed).permutation(TEXT.split())) for seed in range(200)]
OPTIONS = Options(beam=3, max_ratio=1.0, max_extra=2, unk=False)


def make(vocabulary: Vocabulary, attends: bool = True) -> tuple[Fake, Job]:
    model = random_model(3, vocabulary=len(vocabulary), sharpness=1.0, eos=-4.0, attention=attends)
    return model, Job(model, vocabulary, vocabulary, OPTIONS, attends=attends)


def answer(job: Job, text: str, before: str, word: str) -> WordAlternatives:
    return run(find_alternatives(job, text, before, word))[0]


def run(steps: Pauses[WordAlternatives]) -> tuple[WordAlternatives, int]:
    """The answer, and the number of pauses before it."""
    for pauses in count():
        try:
            next(steps)
        except StopIteration as end:
            return end.value, pauses
    raise AssertionError


def words(job: Job, text: str = TEXT) -> list[tuple[str, str]]:
    """The words of the translation, each with the text before it."""
    [found] = translate_lines([(text, None)], job)
    split = found.text.split(" ")
    assert len(split) > 2
    return [(" ".join([*split[:at], ""]), word) for at, word in enumerate(split)]


def test_alternatives_are_the_most_probable_next_words_the_word_itself_among_them() -> None:
    model, job = make(WORDS)
    source, output = tuple(WORDS.encode(TEXT)), list[int]()
    for before, word in words(job):
        found = answer(job, TEXT, before, word).alternatives
        log_probs = model.log_probs(source, tuple(output))
        assert {one.word: pytest.approx(one.probability, abs=1e-4) for one in found} == {
            one.word: math.exp(log_probs[WORDS.encode(one.word)[0]]) for one in found
        }
        assert word in [one.word for one in found]
        assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
        output += WORDS.encode(word)


def test_the_weights_of_the_source_are_the_attention_when_the_word_was_written() -> None:
    model, job = make(WORDS)
    source, output = tuple(WORDS.encode(TEXT)), list[int]()
    for before, word in words(job):
        pieces = answer(job, TEXT, before, word).source
        assert "".join(text for text, _ in pieces) == TEXT
        weights = model.weights(source, tuple(output))[:-1]
        assert [weight for text, weight in pieces if text.strip()] == pytest.approx(
            weights.tolist(), abs=1e-3
        )
        output += WORDS.encode(word)


@pytest.mark.parametrize("kind", ["unigram", "bpe", "word"])
def test_pieces_are_the_line_and_alternatives_are_whole_words(kind: str) -> None:
    _, job = make(train_vocabulary(LINES, SubwordSettings(kind=kind, size=24 if kind != "word" else 10)))
    for before, word in [("", "the"), ("the dog ", "runs"), ("the dog runs ", "home")]:
        found = answer(job, TEXT, before, word)
        assert "".join(text for text, _ in found.source) == TEXT
        assert found.alternatives
        assert all(one.word == one.word.strip() and " " not in one.word for one in found.alternatives)


def test_the_word_itself_is_listed_if_a_longer_one_is_more_probable() -> None:
    """Of a model that always generates the same piece, which joins the word before it."""
    vocabulary = train_vocabulary(LINES, SubwordSettings(kind="bpe", size=24))
    logits = [float(token == "s") * 5 for token in vocabulary.tokens(range(len(vocabulary)))]
    job = Job(fixed_model(logits), vocabulary, vocabulary, OPTIONS, attends=True)
    found = answer(job, TEXT, "the ", "dog").alternatives
    assert "dog" in [one.word for one in found]


def test_after_a_space_every_alternative_is_a_word_of_its_own() -> None:
    _, job = make(train_vocabulary(LINES, SubwordSettings(kind="bpe", size=24)))
    found = answer(job, TEXT, "the dog", "s").alternatives
    after_space = answer(job, TEXT, "the dog ", "s").alternatives
    assert {one.word for one in after_space} < {one.word for one in found}


def test_protected_spans_are_words_like_others() -> None:
    one = copying_job(Options(beam=2, max_ratio=1.0, max_extra=2), eos=-4.0)
    text = "the dog http://x.org/a?b=c sees {0}"
    for before, word in words(one, text):
        found = answer(one, text, before, word)
        assert "".join(piece for piece, _ in found.source) == text
        assert not [other for other in found.alternatives if "copy" in other.word]


def test_a_model_without_attention_has_alternatives_only() -> None:
    _, job = make(WORDS, attends=False)
    found = answer(job, TEXT, "the ", "dog")
    assert found.source == []
    assert found.alternatives


@pytest.mark.parametrize("text", ["", " ", "\u2028"])
def test_of_a_blank_line_nothing_is_found(text: str) -> None:
    assert answer(make(WORDS)[1], text, "", "a") == WordAlternatives([], [])


def test_a_word_that_is_not_of_the_translation_is_no_error() -> None:
    _, job = make(WORDS)
    assert isinstance(answer(job, TEXT, "x y z", "?"), WordAlternatives)
    assert answer(job, TEXT, "", "") == WordAlternatives([], [])


def test_a_long_question_pauses_at_every_position_and_in_a_batch_of_one_finds_the_same() -> None:
    _, job = make(WORDS)
    before = "the old dog " * 20
    found, pauses = run(find_alternatives(job, TEXT, before, "runs"))
    assert pauses > 3 * 60
    small = job._replace(options=replace(job.options, batch=1))
    assert run(find_alternatives(small, TEXT, before, "runs"))[0] == found
