"""A line's translation is that of `translate_window`, whatever enters and leaves the batch around it."""

import random
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.translation import Translation, translate_window
from nmt.errors import UsageError
from nmt.serve import batching
from nmt.serve.alternatives import Pauses
from nmt.serve.batching import WAIT_POSITIONS, RunningSearches
from nmt.serve.requests import LineRequest, TranslatedPart, TranslationSettings, WorkerFailure
from tests.decoding.models import Fake
from tests.decoding.test_translate import NASTY, job
from tests.grid import mark_slow

SETTINGS = (
    TranslationSettings(),
    TranslationSettings(beam=1),
    TranslationSettings(n_best=3),
    TranslationSettings(beam=4, aligned=True),
    TranslationSettings(attention=True, split="never"),
)
CONSTRAINTS = (
    LineConstraints(),
    LineConstraints(prefix="abc"),
    LineConstraints(must=("abc def",)),
    LineConstraints(must_not=("a", "b", "ab")),
    LineConstraints(must=("x", "yz"), must_not=("c",)),
    LineConstraints(glossary=(("dog", "abc"), ("runs", "d e", "suggested"))),
)
TICKETS = count()
SENTENCES = ("A dog runs.", "Where is it?", "word word word!", "x", "한국어 문장입니다.", "A B, c; d.")


def draw_request(draw: random.Random, models: Sequence[str]) -> LineRequest:
    line = Line(
        1,
        draw.choice([draw.choice(NASTY), " ".join(draw.choices(SENTENCES, k=draw.randrange(1, 6)))]),
        constraints=draw.choice(CONSTRAINTS),
    )
    return LineRequest(draw.choice(models), line, draw.choice(SETTINGS))


def expected(request: LineRequest, jobs: dict[str, Job]) -> Translation:
    return translate_window([request.line], request.settings.configure(jobs[request.model]))[0]


def plain(translation: Translation) -> str:
    """What two translations must agree on: all fields, arrays with their bytes."""
    candidates = [
        (*one[:5], None if one.attention is None else one.attention.tobytes())
        for one in translation.candidates
    ]
    return repr((*translation._replace(candidates=[]), candidates))


def check(seed: int, requests: int) -> None:
    """Start requests at random positions, cancel some, and compare what comes."""
    draw, jobs = random.Random(seed), {"one": job(), "two": job(batch=3)}
    given = {number: draw_request(draw, ["one", "two"]) for number in range(requests)}
    streamed = {number for number in given if draw.random() < 0.3}
    searches, cancelled, running = RunningSearches(jobs), set[int](), set[int]()
    found, parts = dict[int, Any](), {number: list[TranslatedPart]() for number in given}
    waiting = [*given]
    while waiting or not searches.is_idle:
        while waiting and draw.random() < 0.5:
            number = waiting.pop(0)
            searches.add(number, given[number], is_streamed=number in streamed)
            running.add(number)
        if running and draw.random() < 0.1:
            cancelled.add(number := draw.choice(sorted(running)))
            searches.cancel(number)
            running.discard(number)
        for number, result in searches.advance():
            if isinstance(result, TranslatedPart):
                parts[number].append(result)
            else:
                found[number] = result
                running.discard(number)
    assert {*found} | cancelled == {*given}
    assert searches.live == 0
    for number, translation in found.items():
        assert isinstance(translation, Translation)
        assert plain(translation) == plain(expected(given[number], jobs))
        if number in streamed:
            assert "".join(part.text for part in parts[number]) == translation.text
            assert [part.index for part in parts[number]] == [*range(len(parts[number]))]
            assert all(translation.text[p.target.start : p.target.end] in p.text for p in parts[number])


@pytest.mark.parametrize("seed", mark_slow(range(20), default=[0]))
def test_every_translation_is_the_one_of_its_line_alone(seed: int) -> None:
    check(seed, 30)


def test_the_sentences_of_long_and_short_lines_take_turns() -> None:
    searches = RunningSearches({"m": job(batch=2)})
    searches.add(1, LineRequest("m", Line(1, "A dog runs. " * 30)), is_streamed=False)
    searches.add(2, LineRequest("m", Line(1, "A dog.")), is_streamed=False)
    ended = list[int]()
    while not searches.is_idle:
        ended += [event.ticket for event in searches.advance()]
    assert ended == [2, 1]


def record_entries() -> tuple[RunningSearches, list[int]]:
    """Searches, and how many sentences entered their batch each time."""
    one = job(batch=64)
    assert isinstance(one.model, Fake)
    sizes, encode = list[int](), one.model.encode
    one.model.encode = lambda sources: sizes.append(len(sources)) or encode(sources)  # type: ignore
    return RunningSearches({"m": one}), sizes


def add(searches: RunningSearches, text: str, times: int) -> None:
    for _ in range(times):
        searches.add(next(TICKETS), LineRequest("m", Line(1, text)), is_streamed=False)


def test_sentences_wait_to_be_encoded_together() -> None:
    searches, sizes = record_entries()
    add(searches, "word " * 20, 1)
    searches.advance()
    assert sizes == [1]  # at once
    add(searches, "word " * 20, WAIT_POSITIONS - 1)
    searches.advance()
    add(searches, "word " * 20, 1)
    searches.advance()
    assert sizes == [1, WAIT_POSITIONS]
    for _ in range(32):
        add(searches, "a dog", 1)
        searches.advance()
    assert min(sizes[1:]) > 1
    while not searches.is_idle:
        searches.advance()
    assert sum(sizes) == 33 + WAIT_POSITIONS


def test_a_sentence_waits_for_a_limited_number_of_positions_however_many_are_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "MAX_WAIT", 5)
    searches, sizes = record_entries()
    add(searches, "word " * 20, 40)
    searches.advance()
    add(searches, "a dog", 1)
    for _ in range(4):
        searches.advance()
    assert (sizes, searches.live) == ([40], 40)
    searches.advance()
    assert sizes == [40, 1]


def test_settings_that_a_model_cannot_do_are_the_error_of_their_request() -> None:
    searches = RunningSearches({"m": job(attends=False)})
    for ticket, settings in enumerate(
        [
            TranslationSettings(beam=0),
            TranslationSettings(aligned=True),
            TranslationSettings(beam=2, n_best=3),
        ]
    ):
        searches.add(ticket, LineRequest("m", Line(1, "a dog"), settings), is_streamed=False)
    assert [type(event.result) for event in searches.advance()] == [UsageError] * 3
    assert searches.is_idle


class Poisoned(Fake):
    """A model that fails whenever one sentence is in the batch."""

    def __init__(self, model: Fake, poison: tuple[int, ...]) -> None:
        vars(self).update(vars(model))
        self.poison = poison

    def step(self, y: Any, state: Any, parents: Any, memories: Any) -> Any:
        if self.poison in memories:
            raise ZeroDivisionError("a defect")
        return super().step(y, state, parents, memories)


def test_a_failure_of_the_search_is_the_error_of_the_line_that_causes_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    one = job()
    assert isinstance(one.model, Fake)
    poisoned = one._replace(model=Poisoned(one.model, tuple(one.source.encode("a poison"))))
    searches, texts = RunningSearches({"m": poisoned}), ["a dog", "a poison", "runs", "A dog runs. Where?"]
    for ticket, text in enumerate(texts):
        searches.add(ticket, LineRequest("m", Line(1, text)), is_streamed=True)
    found = dict[int, Any]()
    while not searches.is_idle:
        events = searches.advance()
        found |= {
            event.ticket: event.result for event in events if not isinstance(event.result, TranslatedPart)
        }
    assert isinstance(found[1], WorkerFailure)
    assert "ZeroDivisionError: a defect" in str(found[1])
    assert "Traceback" in capfd.readouterr().err
    for ticket in (0, 2, 3):
        assert found[ticket].text == expected(LineRequest("m", Line(1, texts[ticket])), {"m": one}).text


def ask(pauses: int, result: Any) -> Pauses[Any]:
    """A question that is answered, or fails, after some pauses."""
    for _ in range(pauses):
        yield
    if isinstance(result, Exception):
        raise result
    return result


def test_lines_are_translated_while_questions_are_answered_in_order() -> None:
    searches = RunningSearches({"one": job()})
    searches.inspect(1, ask(10_000, {}))
    searches.inspect(2, ask(0, {"second": 2}))
    searches.inspect(3, ask(1, UsageError("no gates")))
    request = LineRequest("one", Line(1, "A dog runs."))
    searches.add(4, request, is_streamed=False)
    events = list[Any]()
    while not events:
        events += searches.advance()
    assert [event.ticket for event in events] == [4]
    assert plain(events[0].result) == plain(expected(request, {"one": job()}))
    searches.cancel(1)
    while not searches.is_idle:
        events += searches.advance()
    assert [(event.ticket, str(event.result)) for event in events[1:]] == [
        (2, "{'second': 2}"),
        (3, "no gates"),
    ]
