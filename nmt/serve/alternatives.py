"""A word of a translation: the source that the model attended to, and the words it might have written."""

import math
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from nmt.data.script import is_written_with_spaces
from nmt.data.sentences import Span
from nmt.data.vocabulary import EOS, UNK
from nmt.decoding.beam import SearchBatch, SearchSteps, TraceStep
from nmt.decoding.copying import PartWords, locate_copies
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Request
from nmt.decoding.parts import SPACE, Part
from nmt.decoding.translation import plan_line

ResultT = TypeVar("ResultT")
Pauses = Generator[None, None, ResultT]
"""A computation that pauses at every position, so that a worker can advance other searches."""

MOST = 8  # alternatives
LEAST = 0.001  # probability of one
SKIPPED = 12  # characters between two tokens, at most: what the vocabulary normalises


class Alternative(NamedTuple):
    """A word that the translation might have continued with."""

    word: str
    probability: float  # of all its tokens


class WordAlternatives(NamedTuple):
    """What a model says about one word of its translation."""

    source: list[tuple[str, float]]  # the line in pieces, with their attention; empty without attention
    alternatives: list[Alternative]  # most probable first


def find_alternatives(job: Job, text: str, before: str, word: str) -> Pauses[WordAlternatives]:
    """Return the attention of a word of the translation of a line, and the words that might have been there.

    `before` is the translation up to the word.
    """
    options = replace(job.options, beam=1, n_best=1, groups=1, sample=False, attention=job.attends)
    job = job._replace(options=options, n_best=1, glossary=None)
    line = Line(1, text, constraints=LineConstraints(prefix=before + word))
    plan = yield from _run(plan_line(line, job), job)
    located = locate_copies(plan.parts, plan.protected.copies if plan.protected else (), job)
    unfinished = (
        both for both in zip(plan.requests, plan.parts, located, strict=True) if EOS not in both[0].prefix
    )
    request, part, words = next(unfinished, (None, None, None))
    if not (request and part and words and request.prefix):
        return WordAlternatives([], [])
    search_word = _WordSearch(job, request, part, words)
    source = (yield from search_word.weigh_source(text, word)) if job.attends else []
    alternatives = yield from search_word.continue_prefix(word, after_space=before[-1:].isspace())
    return WordAlternatives(source, alternatives)


def _run(steps: SearchSteps[ResultT], job: Job) -> Pauses[ResultT]:
    found: list[list[Hypothesis]] | None = None
    while True:
        try:
            requests = steps.send(found)  # type: ignore[arg-type]
        except StopIteration as end:
            result: ResultT = end.value
            return result
        found = yield from _search(requests, job)


def _search(requests: Iterable[Request], job: Job) -> Pauses[list[list[Hypothesis]]]:
    """Return the hypotheses of each request."""
    batch, found = SearchBatch(job.model, job.options), dict[int, list[Hypothesis]]()
    waiting = [request._replace(number=number) for number, request in enumerate(requests)]
    while waiting or batch.sentences:
        free = job.options.batch - len(batch.sentences)
        batch.add(waiting[:free])
        del waiting[:free]
        found |= dict(batch.advance())
        yield
    return [hypotheses for _, hypotheses in sorted(found.items())]


class _WordSearch(NamedTuple):
    """The searches for the last word of a request's prefix."""

    job: Job
    request: Request
    part: Part
    words: PartWords

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, with what their copy symbols stand for."""
        return self.words.restore(self.job.target.decode(ids))

    def find_start(self, word: str) -> int:
        """Return the index of the first token of the word."""
        prefix = self.request.prefix
        start = len(prefix) - 1
        while start > 0 and len(self.decode(prefix[start:]).strip()) < len(word):
            start -= 1
        while start > 0 and self.job.target.tokens(prefix[start - 1 : start]) == [SPACE]:
            start -= 1
        return start

    def weigh_source(self, text: str, word: str) -> Pauses[list[tuple[str, float]]]:
        """Divide a line into the words of its tokens, with their mean attention of the word."""
        request, start = self.request, self.find_start(word)
        complete = request._replace(prefix=[*request.prefix, EOS])
        [[hypothesis]] = yield from _search([complete], self.job)
        assert hypothesis.weights is not None
        weights = hypothesis.weights[start : len(request.prefix)].mean(axis=0).tolist()
        pieces, end = list[tuple[str, float]](), 0
        for span, weight in zip(_locate(text, self.part), weights, strict=False):
            if span is None:
                continue
            pieces += [(text[end : span.start], 0.0)] if span.start > end else []
            pieces.append((text[span.start : span.end], round(weight, 4)))
            end = span.end
        return [*pieces, (text[end:], 0.0)] if end < len(text) else pieces

    def continue_prefix(self, word: str, *, after_space: bool) -> Pauses[list[Alternative]]:
        """Return the word, and the most probable others in its place, each searched for greedily.

        With `after_space` only words that begin a new one.
        """
        start = self.find_start(word)
        prefix, own = self.request.prefix[:start], [*self.request.prefix[start:]]
        head, tokens = self.decode(prefix), (yield from self.next_tokens(prefix))
        spaces = [ids for ids in tokens if self.job.target.tokens(ids) == [SPACE]]
        for ids in spaces:  # the space before a word is a token of its own: the word is the next
            following = yield from self.next_tokens([*prefix, *ids])
            tokens += [[*ids, *more] for more in following]
        tokens = [own, *(ids for ids in tokens if ids not in spaces)]
        requests = [self.request._replace(prefix=[*prefix, *ids]) for ids in tokens]
        found = dict[str, float]()
        for number, [hypothesis] in enumerate((yield from _search(requests, self.job))):
            if number == 0:  # its greedy continuation may be a longer word
                found[word] = math.exp(sum(hypothesis.token_log_probs[start : start + len(own)]))
                continue
            other, probability = self.first_word(hypothesis, start)
            begins = not (head and after_space) or self.decode(hypothesis.ids).startswith(head + " ")
            if other and begins and probability >= LEAST:
                found[other] = max(probability, found.get(other, 0.0))
        kept = sorted(found, key=lambda other: (other != word, -found[other]))[:MOST]
        return [Alternative(one, round(found[one], 4)) for one in sorted(kept, key=lambda one: -found[one])]

    def next_tokens(self, prefix: Sequence[int]) -> Pauses[list[list[int]]]:
        """Return the most probable tokens after a prefix."""
        steps = deque[TraceStep](maxlen=1)
        batch = SearchBatch(self.job.model, replace(self.job.options, beam=MOST), steps.append)
        batch.add([self.request._replace(prefix=prefix)])
        for _ in range(len(prefix) + 1):
            list(batch.advance())
            yield
        [tokens], [values] = steps[-1].candidates.tokens.tolist(), steps[-1].candidates.values.tolist()
        likely = sorted(zip(values, tokens, strict=True), reverse=True)[:MOST]
        return [[token] for value, token in likely if token not in (EOS, UNK) and value > math.log(LEAST)]

    def first_word(self, hypothesis: Hypothesis, start: int) -> tuple[str, float]:
        """Return the first word of a hypothesis from a token on, and its probability."""
        ids = hypothesis.ids[start:]
        end, text = 1, self.decode(ids[:1]).strip()
        while end < len(ids) and (not text or is_written_with_spaces(text[0])):
            longer = self.decode(ids[: end + 1]).strip()
            if len(longer.split()) > 1:
                break
            end, text = end + 1, longer
        return text, math.exp(sum(hypothesis.token_log_probs[start : start + end]))


def _locate(text: str, part: Part) -> list[Span | None]:
    """Return the characters of each token of a part; None for those that are not in the text as they are."""
    spans, end, lower = list[Span | None](), part.span.start, text.lower()
    lower = lower if len(lower) == len(text) else text
    for token in part.tokens:
        bare = token.replace(SPACE, "").lower()
        start = lower.find(bare, end, end + len(bare) + SKIPPED) if bare else -1
        spans.append(None if start < 0 else Span(start, start + len(bare)))
        end = end if start < 0 else start + len(bare)
    return spans
