"""Protected spans in translation: each is in the output once, byte for byte, whatever the model writes."""

from dataclasses import replace
from functools import cache

import pytest

from nmt.data.protection import build_protection
from nmt.data.protection.spans import KINDS, find_spans
from nmt.data.vocabulary import Vocabulary
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Options
from nmt.decoding.rescore import rescore_lines
from nmt.decoding.translation import Translation, translate_window
from tests.data.test_vocabulary import sentences
from tests.decoding.models import random_model

SPANS = [
    *("http://x.org/a?b=c", "<b>", "</b>", "{0}", "%s", "a@b.org", '<a title="x y z">', "$name"),
    *("😀", "١٢"),
]
LINES = [
    f"the dog {SPANS[i % 10]} sees ({SPANS[(3 * i + 1) % 10]}) a stone {SPANS[(7 * i + 2) % 10]}."
    for i in range(30)
]
MANY = " and ".join(f"{{{i}}}" for i in range(11))
OPTIONS = {
    "beam": Options(beam=4, n_best=3),
    "greedy": Options(beam=1),
    "groups": Options(beam=4, groups=2, n_best=2),
    "sample": Options(sample=True, n_best=3),
    "top_k": Options(sample=True, top_k=4),
    "top_p": Options(sample=True, top_p=0.5),
    "penalties": Options(beam=3, min_length=8, no_repeat_ngram=2),
    "short": Options(beam=2, max_ratio=0.1, max_extra=0),
}


@cache
def vocabulary() -> Vocabulary:
    settings = SubwordSettings(size=60, symbols=["[S]"])
    return train_vocabulary([*sentences(), "see <copy1> now"], settings, copies=4)


def job(options: Options, seed: int = 3, eos: float = 1.0) -> Job:
    words = vocabulary()
    model = random_model(seed, vocabulary=len(words), sharpness=2.0, eos=eos)
    protection = build_protection(tuple(KINDS), words, words)
    return Job(model, words, words, options, n_best=options.n_best, protection=protection)


def translate(lines: list[str], one: Job, **constraints: object) -> list[Translation]:
    given = LineConstraints(**constraints)  # type: ignore[arg-type]
    return translate_window([Line(i, line, constraints=given) for i, line in enumerate(lines, 1)], one)


def spans(line: str) -> list[str]:
    return sorted(line[start:end] for start, end in find_spans(line, tuple(KINDS)))


@pytest.mark.parametrize("eos", [-30.0, 1.0, 9.0])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_span_is_written_once(name: str, eos: float) -> None:
    for line, found in zip(LINES, translate(LINES, job(OPTIONS[name], eos=eos)), strict=True):
        assert len(found.candidates) == OPTIONS[name].n_best
        for candidate in found.candidates:
            assert [candidate.text.count(s) for s in SPANS] == [line.count(s) for s in SPANS]
            assert "<copy" not in candidate.text


def test_a_line_with_more_spans_than_symbols_is_translated_in_parts() -> None:
    [found] = translate([MANY], job(OPTIONS["beam"]))
    assert spans(found.text) == spans(MANY)
    assert found.text.index("{3}") < found.text.index("{4}")


def test_lines_without_spans_have_no_symbols_and_those_of_others_do_not_matter() -> None:
    one = job(OPTIONS["beam"], seed=5)
    plain = ["the dog sees a stone", "a stone"]
    together = translate([*plain, *LINES], one)
    alone = [translate([line], replace_batch(one, 1))[0] for line in [*plain, *LINES]]
    assert [found.candidates for found in together] == [found.candidates for found in alone]
    assert all("<copy" not in found.text for found in together)
    without = one._replace(protection=None)
    assert [found.line.text for found in translate(plain, without)] == plain


def replace_batch(one: Job, batch: int) -> Job:
    return one._replace(options=replace(one.options, batch=batch))


def test_a_line_that_looks_like_a_symbol_is_copied() -> None:
    [found] = translate(["the <copy3> dog"], job(OPTIONS["beam"]))
    assert found.text.count("<copy3>") == 1


@pytest.mark.parametrize("span", SPANS)
def test_a_prefix_and_a_required_phrase_with_a_span_use_its_symbol(span: str) -> None:
    line, one = f"the dog sees {span}", job(OPTIONS["beam"])
    [found] = translate([line], one, prefix=f"see {span}")
    assert found.text.startswith(f"see {span}")
    assert found.text.count(span) == 1
    [found] = translate([line], one, must=(f"a {span}",))
    assert f"a {span}" in found.text
    assert found.text.count(span) == 1


def test_a_forbidden_span_is_not_protected() -> None:
    [found] = translate(["the dog {0} stone"], job(OPTIONS["beam"]), must_not=("{0}",))
    assert "{0}" not in found.text


def test_alignments_count_the_words_of_the_text() -> None:
    one = job(replace(OPTIONS["beam"], attention=True))._replace(aligned=True)
    line = 'see <b>dog</b> or <a title="x y z"> at http://x.org'
    [found] = translate([line], one)
    source, target = line.split(), found.text.split()
    assert max(s for s, _ in found.alignment) < len(source)
    assert max(t for _, t in found.alignment) < len(target)
    for word in ('title="x', "http://x.org"):
        s, t = (next(i for i, one in enumerate(side) if word in one) for side in (source, target))
        assert (s, t) in found.alignment
    assert (source.index("y"), target.index("y")) in found.alignment


def test_a_given_translation_is_scored_with_the_symbols_of_its_source() -> None:
    [scored] = rescore_lines([("the {0} dog http://x.org", "http://x.org a {0}")], job(OPTIONS["beam"]))
    assert [token for token in scored.tokens if token.startswith("<copy")] == ["<copy2>", "<copy1>"]
    assert scored.text == "http://x.org a {0}"
