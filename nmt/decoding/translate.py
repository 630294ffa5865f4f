"""The translation job: one line in, one line out, in order, whatever the line holds.

The same line gives the same text whatever stands beside it: the search keeps sentences apart, and a model
gives a row the same numbers in every batch.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from nmt.decoding.beam import search
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, Line, LineReader, number_lines
from nmt.decoding.options import Request
from nmt.decoding.translation import LinePlan, Translation, assemble_translation, split_tokens


def translate_lines(lines: Iterable[tuple[str, str | None]], job: Job) -> Iterator[Translation]:
    """A translation for each line, in order; a line comes with a note on how it was read, or None."""
    for window in LineReader(number_lines(lines)).windows(max(1, job.read_ahead * job.options.batch)):
        yield from translate_window(window.lines, job)


def translate_window(lines: Sequence[Line], job: Job) -> list[Translation]:
    """The translation of each of these lines."""
    plans = [_plan(line, job) for line in lines]
    found = iter(_search([request for plan in plans for request in plan.requests], job))
    return [assemble_translation(plan, list(islice(found, len(plan.requests))), job) for plan in plans]


def _plan(line: Line, job: Job) -> LinePlan:
    plan = LinePlan(line, list(line.notes), [], [])
    if line.error:
        return plan.noting(line.error)
    if not line.text.strip():
        return plan
    if line.wishes.must and (job.options.sample or job.options.groups > 1):
        return plan.noting("neither sampling nor groups can hold to what must be written: left blank")
    ids = job.source.encode(line.text)
    if not ids:
        return plan.noting("nothing in this line has a piece in the source vocabulary: left blank")
    pieces = job.source.pieces(ids)
    slices = split_tokens(pieces, job.longest_part)
    if len(slices) > 1:
        plan = plan.noting(
            f"{len(ids):,} pieces, more than {job.longest_part}: translated in {len(slices):,} parts"
        )
    return plan._replace(pieces=pieces, requests=_requests(line, [ids[part] for part in slices], job))


def _requests(line: Line, sources: Sequence[Sequence[int]], job: Job) -> list[Request]:
    """What is asked of the search; how a line begins and what it must hold is for its first part."""
    wishes, encode = line.wishes, job.target.encode
    draws = [line.number, 0] if wishes.seed is None else [wishes.seed, 1]
    must_not = [encode(phrase) for phrase in wishes.must_not]
    requests = [
        Request(0, source, must_not=must_not, draws=[*draws, part]) for part, source in enumerate(sources)
    ]
    must = [encode(phrase) for phrase in wishes.must]
    return [requests[0]._replace(prefix=encode(wishes.prefix), must=must), *requests[1:]]


def _search(requests: Sequence[Request], job: Job) -> list[list[Hypothesis]]:
    """The hypotheses of each request; the longest go first, so that few are alone at the end."""
    order = sorted(range(len(requests)), key=lambda place: -len(requests[place].source))
    found = dict(search(job.model, (requests[place]._replace(number=place) for place in order), job.options))
    return [found[place] for place in range(len(requests))]


BATCHES = (1, 7, 64)


class VerificationSample:
    """Some of the translations of a job, drawn evenly (Vitter, 1985, algorithm R)."""

    def __init__(self, size: int) -> None:
        self.drawn: list[Translation] = []
        self._size, self._seen, self._random = size, 0, random.Random(1)

    def take(self, translation: Translation) -> None:
        """Perhaps keep this one."""
        self._seen += 1
        if len(self.drawn) < self._size:
            self.drawn.append(translation)
        elif (slot := self._random.randrange(self._seen)) < self._size:
            self.drawn[slot] = translation


def find_differing_lines(sample: Sequence[Translation], job: Job) -> list[int]:
    """The numbers of the lines that another batch size or order translates, scores or aligns otherwise."""
    wrong = set()
    for batch in BATCHES:
        order = random.Random(batch).sample(sample, len(sample))
        otherwise = job._replace(options=replace(job.options, batch=batch))
        again = translate_window([translation.line for translation in order], otherwise)
        wrong |= {one.number for one, other in zip(order, again, strict=True) if one != other}
    return sorted(wrong)
