"""One line in, one line out, in order, and the same text whatever stands beside it."""

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

import pytest

from benchmarks.trips import trace
from nmt.decoding.beam import search
from nmt.decoding.job import Job
from nmt.decoding.options import Options, Request
from nmt.decoding.translation import Translation, replace_line_ends, translate_lines
from nmt.errors import UsageError
from tests.decoding.models import fixed_model, random_model
from tests.decoding.words import CutWords

NASTY = [
    "a dog runs",
    "",
    "\u2028x",
    "   ",
    "\u2028",
    "\x00",
    "a\x0bb\x0cc\x85d\x1ce",
    "한국어 문장입니다",
    "\ufffd\ufffd",
    "a dog runs",
    "word " * 60,
    "x" * 200,
    "Ende. " * 30,
    "\r",
    "\ufeff",
    "𝔘𝔫𝔦 👩‍👩‍👧",
]


OPTIONS = Options(beam=3, length_penalty=0.6, max_ratio=1.0, max_extra=5, batch=8)


def job(**changes: object) -> Job:
    """A job of a small model; changes are of its options, or of itself."""
    words, model = CutWords(60), random_model(2, vocabulary=60, sharpness=2.0, eos=1.0)
    of_options = {name: value for name, value in changes.items() if hasattr(OPTIONS, name)}
    of_job = {name: value for name, value in changes.items() if name in Job._fields}
    options = replace(OPTIONS, **of_options, attention="aligned" in changes or "copy_unknown" in changes)
    return Job(model, words, words, options, longest_part=40)._replace(**of_job)


def translated(lines: list[str], job: Job) -> list[Translation]:
    return list(translate_lines([(line, None) for line in lines], job))


def some_lines(number: int) -> list[str]:
    draw = random.Random(3)
    return [" ".join(draw.choices("abcdefgh ", k=draw.randrange(12))) for _ in range(number)]


def test_every_line_gives_one_line_in_order() -> None:
    found = translated(NASTY, job())
    assert [translation.number for translation in found] == list(range(1, len(NASTY) + 1))
    assert all(len((translation.text + "\n").splitlines()) == 1 for translation in found)
    assert found[0].text == found[9].text != ""


def test_a_plain_line_does_not_enter_what_it_does_not_use() -> None:
    """The modules of constraints, glossaries and copy symbols: to be read only by who uses them."""
    one = job()
    entered = {file for file, _ in trace(lambda: translated(["a dog runs. It ends."], one))}
    assert "decoding/translation.py" in entered
    unused = ("decoding/phrases.py", "decoding/glossary.py", "decoding/constraints.py", "data/protection/")
    assert [file for file in entered if file.startswith((*unused, "decoding/copying/"))] == []


def test_blank_lines_stay_blank_and_do_not_meet_the_model() -> None:
    found = translated(["", " ", "\t", "\u3000", "\u2028"], job(model=None))
    assert [(translation.text, translation.notes) for translation in found] == [("", [])] * 5


def test_a_line_without_a_piece_is_blank_and_noted() -> None:
    class Deaf(CutWords):
        def encode(self, line: str) -> list[int]:
            return []

    [found] = translated(["?"], job(source=Deaf(60)))
    assert found.text == ""
    assert "left blank" in found.notes[0]


@pytest.mark.parametrize("changes", [{"batch": 1}, {"batch": 64}, {"read_ahead": 1}])
def test_batch_and_window_change_no_bit(changes: dict[str, int]) -> None:
    lines = NASTY + some_lines(30)
    expected = translated(lines, job(n_best=3))
    assert translated(lines, job(n_best=3, **changes)) == expected


def test_order_changes_no_bit() -> None:
    lines = NASTY + some_lines(60)
    expected = dict(zip(lines, (t.candidates for t in translated(lines, job())), strict=True))
    random.Random(1).shuffle(lines)
    assert [t.candidates for t in translated(lines, job())] == [expected[line] for line in lines]


def test_a_line_alone_is_searched_as_the_job_searches_it() -> None:
    one = job(n_best=2)
    [found] = translated(["a small house"], one)
    request = Request(0, one.source.encode("a small house"))
    options = Options(beam=3, length_penalty=0.6, max_ratio=1.0, max_extra=5, n_best=2)
    [(_, best)] = search(one.model, [request], options)
    assert [c.text for c in found.candidates] == [one.target.decode(h.ids) for h in best]
    assert [c.score for c in found.candidates] == [h.score for h in best]


def test_notes_on_reading_are_passed_on() -> None:
    [found] = translate_lines([("a\ufffd", "byte 0xff is not UTF-8")], job())
    assert found.notes[0] == "byte 0xff is not UTF-8"


def test_a_long_line_is_translated_in_parts_and_says_so() -> None:
    one = job()
    [found] = translated(["word " * 60], one)
    assert found.notes[0] == "120 tokens, more than 40: translated in 3 parts"
    [part] = translated(["word " * 20], one)
    assert found.text == " ".join([part.text] * 3)
    assert found.score == pytest.approx(3 * part.score)


def test_an_output_without_end_is_noted() -> None:
    [found] = translated(["abc"], job(model=fixed_model([0.0, 0.0, -50.0, *[0.0] * 56])))
    assert "no end" in found.notes[0]


def test_what_comes_out_never_holds_a_line_end() -> None:
    assert replace_line_ends("a\nb\rc\u2028d\x85e\x0bf\n") == "a b c d e f"
    assert replace_line_ends("") == ""


def test_lines_are_read_no_further_ahead_than_a_window() -> None:
    read = 0

    def endless() -> Iterator[tuple[str, str | None]]:
        nonlocal read
        for number in count():
            read += 1
            yield f"line {number % 7}", None

    assert len(list(islice(translate_lines(endless(), job(read_ahead=2)), 20))) == 20
    assert read == 32
    read = 0
    next(translate_lines(endless(), job(read_ahead=0)))
    assert read == 1


def test_long_lines_make_the_window_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.decoding.job.WINDOW_CHARACTERS", 100)
    lines = iter([("word " * 10, None)] * 50)
    next(translate_lines(lines, job()))
    assert len(list(lines)) == 48


def test_alignments_name_words_of_the_whole_line() -> None:
    one = job(aligned=True)
    line = "word " * 60
    [found] = translated([line], one)
    source = one.source.tokens(one.source.encode(line))
    assert found.alignment
    assert max(s for s, _ in found.alignment) < len("".join(source).replace("▁", " ").split())
    assert {t for _, t in found.alignment} == set(range(len(found.text.split())))
    assert [t.alignment for t in translated([line], job())] == [[]]


def test_alignments_of_a_model_without_attention_are_refused() -> None:
    with pytest.raises(UsageError, match="no attention"):
        translated(["abc"], job(model=random_model(0, vocabulary=60, attention=False), aligned=True))
