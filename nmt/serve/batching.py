"""The running searches of a worker: lines enter and leave them at any position.

A line is planned and put together as `translate_window` does it; its searches are generators that share the
batch with those of other lines.
"""

import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import count
from typing import Any, NamedTuple

from nmt.data.sentences import Span, find_separator
from nmt.decoding.beam import REFILL, SearchBatch, SearchSteps
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, Line
from nmt.decoding.options import Options, Request
from nmt.decoding.translation import LineSearch, Translation, finish_line, plan_line, rank_candidates
from nmt.errors import DataError, NmtError, UsageError
from nmt.serve.alternatives import Pauses
from nmt.serve.inspection import Answer
from nmt.serve.requests import LineRequest, TranslatedPart, TranslationSettings, WorkerFailure

WAIT_POSITIONS, MAX_WAIT = 6, 96
"""Positions of waiting, summed over sentences, after which sentences enter a running batch: so many for each
live sentence, and at most so many.

To encode a sentence takes as long as four positions of its search, and all that are live wait meanwhile.
"""
CONFIGURED = 64  # jobs of a model with the settings of requests that are kept

Result = TranslatedPart | Translation | Answer | Exception
"""A part of a line, or the end of its request: a translation, the answer to a question, or an error."""


class Event(NamedTuple):
    """A result, and the ticket of its request."""

    ticket: int
    result: Result


class Computation:
    """A computation of a line that waits for hypotheses, and what is done with its result."""

    def __init__(self, steps: SearchSteps[Any], finish: Callable[[Any], None]) -> None:
        self.steps, self.finish = steps, finish
        self.found = list[list[Hypothesis] | None]()  # of its present requests

    def advance(self) -> list[Request]:
        """Send what was found; return the next requests, none if the computation is finished."""
        try:
            requests = self.steps.send(self.found or None)  # type: ignore[arg-type]
        except StopIteration as end:
            self.finish(end.value)
            return []
        self.found = [None] * len(requests)
        return [*requests]


class WaitingSentence(NamedTuple):
    """A request of a computation that is not in the batch yet."""

    computation: Computation
    slot: int  # of its requests
    request: Request


class LineInProgress:
    """A line that is being translated. `is_streamed`: its parts are results, too."""

    def __init__(self, ticket: int, line: Line, job: Job, *, is_streamed: bool) -> None:
        self.ticket, self.line, self.job, self.is_streamed = ticket, line, job, is_streamed
        self.results = deque[TranslatedPart | Translation]()
        self._sent_parts, self._sent_text = 0, ""
        self.restart()

    def restart(self) -> None:
        """Start from the beginning; parts that are results already do not become results again."""
        self.waiting = deque[WaitingSentence]()
        self.is_queued = False  # in the batch's order of turns
        self._hypotheses = dict[int, list[Hypothesis]]()

    def plan(self) -> None:
        """Plan the searches of the line."""
        self._advance(Computation(plan_line(self.line, self.job), self._search_parts))

    def answer(self, sentence: WaitingSentence, hypotheses: list[Hypothesis]) -> None:
        """Advance a computation whose request was searched, if it has no other."""
        computation = sentence.computation
        computation.found[sentence.slot] = hypotheses
        if all(found is not None for found in computation.found):
            self._advance(computation)

    def _advance(self, computation: Computation) -> None:
        requests = computation.advance()
        self.waiting += [WaitingSentence(computation, *pair) for pair in enumerate(requests)]

    def _search_parts(self, plan: LineSearch) -> None:
        self._plan = plan
        if not plan.parts:
            self.results.append(finish_line(plan, [], self.job))
        for index, search in enumerate(plan.searches(self.job)):
            self._advance(Computation(search, partial(self._finish_part, index)))

    def _finish_part(self, index: int, hypotheses: list[Hypothesis]) -> None:
        self._hypotheses[index] = hypotheses
        while self.is_streamed and self._sent_parts in self._hypotheses:
            self.results.append(self._write_part(self._sent_parts))
            self._sent_parts += 1
        if len(self._hypotheses) == len(self._plan.parts):
            ordered = [found for _, found in sorted(self._hypotheses.items())]
            self.results.append(finish_line(self._plan, ordered, self.job))

    def _write_part(self, index: int) -> TranslatedPart:
        plan, part = self._plan, self._plan.parts[index]
        text = rank_candidates(plan, index, self._hypotheses[index], self.job)[0][1].text
        separator = find_separator(self._sent_text, text, part.gap)
        start = len(self._sent_text) + len(separator)
        self._sent_text += separator + text
        target = Span(start, start + len(text))
        return TranslatedPart(index, len(plan.parts), separator + text, plan.locate(part), target)


class RunningBatch:
    """A search with some options, the lines in it, and those that wait for free slots."""

    def __init__(self, job: Job) -> None:
        self.lines = dict[int, LineInProgress]()  # by ticket
        self._search, self._slots = SearchBatch(job.model, job.options), job.options.batch
        self._turns = deque[
            LineInProgress
        ]()  # lines with sentences that wait: each has one turn after another
        self._running = dict[int, tuple[LineInProgress, WaitingSentence]]()  # by the number of the request
        self._numbers, self._waited = count(), 0

    @property
    def live(self) -> int:
        """Sentences in the search."""
        return len(self._running)

    def add(self, line: LineInProgress) -> Iterator[Event]:
        """Plan a line; its sentences enter the batch at the next position that has room for them."""
        self.lines[line.ticket] = line
        return self._follow(line, line.plan)

    def cancel(self, ticket: int) -> None:
        """Remove a line with all its sentences."""
        line = self.lines.pop(ticket)
        line.waiting.clear()
        numbers = {number for number, (owner, _) in self._running.items() if owner is line}
        for number in numbers:
            del self._running[number]
        self._search.remove(numbers)

    def advance(self) -> Iterator[Event]:
        """Let sentences in, and advance all by one position."""
        entering, is_open = list[Request](), self._is_open()
        while is_open and self._turns and len(self._running) < self._slots:
            line = self._turns.popleft()
            line.is_queued = False
            if line.waiting:
                sentence, number = line.waiting.popleft(), next(self._numbers)
                self._running[number] = (line, sentence)
                entering.append(sentence.request._replace(number=number))
                self._queue(line)
        if entering:
            self._waited = 0
            self._search.add(entering)
        for number, hypotheses in [*self._search.advance()] if self._running else []:
            if number in self._running:  # not if its line failed at this position
                line, sentence = self._running.pop(number)
                yield from self._follow(line, partial(line.answer, sentence, hypotheses))

    def _is_open(self) -> bool:
        """Return whether sentences enter now: together, since encoding one holds up all that are live.

        They wait until free slots and the positions waited, summed over them, are worth it.
        """
        live = len(self._running)
        self._waited += sum(len(line.waiting) for line in self._turns)
        has_room = self._slots - live >= max(1, self._slots // REFILL)
        return not live or (has_room and self._waited >= min(WAIT_POSITIONS * live, MAX_WAIT))

    def _follow(self, line: LineInProgress, action: Callable[[], None]) -> Iterator[Event]:
        """Run an action of a line; yield the results, or its error, which ends this line only."""
        try:
            action()
        except Exception as error:
            self.cancel(line.ticket)
            yield Event(line.ticket, describe_error(error))
            return
        self._queue(line)
        while line.results:
            result = line.results.popleft()
            if isinstance(result, Translation):
                del self.lines[line.ticket]
            yield Event(line.ticket, result)

    def _queue(self, line: LineInProgress) -> None:
        if line.waiting and not line.is_queued:
            line.is_queued = True
            self._turns.append(line)


class RunningSearches:
    """All running batches of a worker, by model and options."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self.positions = 0  # advanced so far, summed over all sentences
        self._jobs, self._batches = jobs, dict[tuple[str, Options, int | None], RunningBatch]()
        self._questions = dict[int, Pauses[Answer]]()  # by ticket, in order
        self._events = list[Event]()
        self._configure = lru_cache(CONFIGURED)(self._build_job)

    @property
    def live(self) -> int:
        """Sentences in the searches."""
        return sum(batch.live for batch in self._batches.values())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is searched, and no result waits."""
        return not self._batches and not self._questions and not self._events

    def add(self, ticket: int, request: LineRequest, *, is_streamed: bool) -> None:
        """Start a request."""
        try:
            job = self._configure(request.model, request.settings)
        except Exception as error:
            self._events.append(Event(ticket, describe_error(error)))
            return
        line = LineInProgress(ticket, request.line, job, is_streamed=is_streamed)
        self._add(line, (request.model, job.options, None))

    def inspect(self, ticket: int, answer: Pauses[Answer]) -> None:
        """Answer a question, after those that came before it."""
        self._questions[ticket] = answer

    def cancel(self, ticket: int) -> None:
        """End a request, unless it has ended already."""
        self._questions.pop(ticket, None)
        for key, batch in [*self._batches.items()]:
            if ticket in batch.lines:
                batch.cancel(ticket)
                self._drop_empty(key)

    def advance(self) -> list[Event]:
        """Advance every batch and a question by one position; return the results since the last call."""
        self._advance_question()
        for key, batch in [*self._batches.items()]:
            self.positions += batch.live
            try:
                self._events += batch.advance()
            except Exception as error:
                self._isolate(key, error)
            self._drop_empty(key)
        events, self._events = self._events, []
        return events

    def _build_job(self, model: str, settings: TranslationSettings) -> Job:
        return settings.configure(self._jobs[model])

    def _advance_question(self) -> None:
        for ticket, answer in [*self._questions.items()][:1]:
            try:
                next(answer)
                continue
            except StopIteration as end:
                result: Result = end.value
            except Exception as error:
                result = describe_error(error)
            del self._questions[ticket]
            self._events.append(Event(ticket, result))

    def _add(self, line: LineInProgress, key: tuple[str, Options, int | None]) -> None:
        if key not in self._batches:
            self._batches[key] = RunningBatch(line.job)
        self._events += self._batches[key].add(line)
        self._drop_empty(key)

    def _drop_empty(self, key: tuple[str, Options, int | None]) -> None:
        if key in self._batches and not self._batches[key].lines:
            del self._batches[key]

    def _isolate(self, key: tuple[str, Options, int | None], error: Exception) -> None:
        """After a failure of a batch, start each of its lines again in a batch of its own."""
        lines = [*self._batches.pop(key).lines.values()]
        if len(lines) == 1:
            self._events.append(Event(lines[0].ticket, describe_error(error)))
            return
        for line in lines:
            line.restart()
            self._add(line, (*key[:2], line.ticket))


def describe_error(error: Exception) -> Exception:
    """Return the error that answers a request, of a class that can be sent; print internal ones."""
    if isinstance(error, NmtError):
        return (UsageError if isinstance(error, UsageError) else DataError)(str(error))
    traceback.print_exception(error, file=sys.stderr)
    return WorkerFailure(f"internal error: {type(error).__name__}: {error}")
