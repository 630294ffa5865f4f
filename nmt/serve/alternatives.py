"""A word of a translation: the source that the model attended to, and the words it might have written."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nmt.data.script import is_written_with_spaces
from nmt.data.sentences import Span
from nmt.data.vocabulary import EOS, UNK
from nmt.decoding.beam import SearchBatch, TraceStep, run_together, search
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.options import Request
from nmt.decoding.parts import SPACE, Part
from nmt.decoding.translation import plan_line

MOST = 8  # alternatives
LEAST = 0.001  # probability of the first token of one
SKIPPED = 12  # characters between two tokens, at most: what the vocabulary normalises


class Alternative(NamedTuple):
    """A word that the translation might have continued with."""

    word: str
    probability: float  # of all its tokens


class WordAlternatives(NamedTuple):
    """What a model says about one word of its translation."""

    source: list[tuple[str, float]]  # the line in pieces, with their attention; empty without attention
    alternatives: list[Alternative]  # most probable first


def find_alternatives(job: Job, text: str, before: str, word: str) -> WordAlternatives:
    """Return the attention of a word of the translation of a line, and the words that might have been there.

    `before` is the translation up to the word.
    """
    options = replace(job.options, beam=1, n_best=1, groups=1, sample=False, attention=job.attends)
    job = job._replace(options=options, n_best=1, glossary=None)
    line = Line(1, text, constraints=LineConstraints(prefix=before + word))
    [plan] = run_together([plan_line(line, job)], job.model, job.options)
    unfinished = (pair for pair in zip(plan.requests, plan.parts, strict=True) if EOS not in pair[0].prefix)
    request, part = next(unfinished, (None, None))
    if request is None or part is None or not request.prefix:
        return WordAlternatives([], [])
    start = _find_start(job, request.prefix, word)
    source = list[tuple[str, float]]()
    if job.attends:
        [(_, [forced])] = search(job.model, [request._replace(prefix=[*request.prefix, EOS])], job.options)
        source = _weigh_source(text, part, forced, range(start, len(request.prefix)))
    request = request._replace(prefix=request.prefix[:start])
    return WordAlternatives(source, _continue(job, request, after_space=before[-1:].isspace()))


def _find_start(job: Job, prefix: Sequence[int], word: str) -> int:
    """Return the index of the first token of the last word."""
    start = len(prefix) - 1
    while start > 0 and len(job.target.decode(prefix[start:]).strip()) < len(word):
        start -= 1
    while start > 0 and job.target.tokens(prefix[start - 1 : start]) == [SPACE]:
        start -= 1
    return start


def _weigh_source(text: str, part: Part, forced: Hypothesis, rows: range) -> list[tuple[str, float]]:
    """Divide a line into the words of its tokens, with their mean attention of the given output tokens."""
    assert forced.weights is not None
    weights = forced.weights[rows.start : rows.stop].mean(axis=0).tolist()
    pieces, end = list[tuple[str, float]](), 0
    for span, weight in zip(_locate(text, part), weights, strict=False):
        if span is None:
            continue
        pieces += [(text[end : span.start], 0.0)] if span.start > end else []
        pieces.append((text[span.start : span.end], round(weight, 4)))
        end = span.end
    return [*pieces, (text[end:], 0.0)] if end < len(text) else pieces


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


def _continue(job: Job, request: Request, *, after_space: bool) -> list[Alternative]:
    """Return the most probable words after the prefix of a request, each searched for greedily.

    With `after_space` only words that begin a new one.
    """
    head = job.target.decode(request.prefix)
    tokens = _next_tokens(job, request)
    spaces = [ids for ids in tokens if job.target.tokens(ids) == [SPACE]]
    for ids in spaces:  # the space before a word is a token of its own: the word is the next
        tokens += _next_tokens(job, request._replace(prefix=[*request.prefix, *ids]), ids)
    requests = [
        request._replace(number=number, prefix=[*request.prefix, *ids])
        for number, ids in enumerate(ids for ids in tokens if ids not in spaces)
    ]
    found = dict[str, float]()
    for _, [hypothesis] in search(job.model, requests, job.options):
        word, probability = _first_word(job, hypothesis, len(request.prefix))
        if word and (not (head and after_space) or job.target.decode(hypothesis.ids).startswith(head + " ")):
            found[word] = max(probability, found.get(word, 0.0))
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    return [Alternative(word, round(probability, 4)) for word, probability in ranked[:MOST]]


def _next_tokens(job: Job, request: Request, first: Sequence[int] = ()) -> list[list[int]]:
    """Return the most probable tokens after a prefix, each after `first`."""
    steps = list[TraceStep]()
    batch = SearchBatch(job.model, replace(job.options, beam=MOST), steps.append)
    batch.add([request])
    for _ in range(len(request.prefix) + 1):
        list(batch.advance())
    [tokens], [values] = steps[-1].candidates.tokens.tolist(), steps[-1].candidates.values.tolist()
    likely = sorted(zip(values, tokens, strict=True), reverse=True)[:MOST]
    return [[*first, token] for value, token in likely if token not in (EOS, UNK) and value > math.log(LEAST)]


def _first_word(job: Job, hypothesis: Hypothesis, start: int) -> tuple[str, float]:
    """Return the first word of a hypothesis from a token on, and its probability."""
    ids = hypothesis.ids[start:]
    end, text = 1, job.target.decode(ids[:1]).strip()
    while end < len(ids) and (not text or is_written_with_spaces(text[0])):
        longer = job.target.decode(ids[: end + 1]).strip()
        if len(longer.split()) > 1:
            break
        end, text = end + 1, longer
    return text, math.exp(sum(hypothesis.token_log_probs[start : start + end]))
