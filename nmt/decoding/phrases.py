"""The lexical constraints of a line as tokens, divided among its parts: phrases are written exactly, as whole
words."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from nmt.data.script import is_word_boundary, is_written_with_spaces
from nmt.data.sentences import split_sentences
from nmt.data.vocabulary import EOS, UNK
from nmt.data.vocabulary.capitals import lowercase_forms
from nmt.decoding.beam import SearchSteps, search_request
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, LineConstraints, Tokenizer
from nmt.decoding.options import Request, TokenSequence
from nmt.decoding.parts import Part

SPELLINGS = 20  # of forbidden phrases that are looked for in the outputs of one sentence


class EncodedConstraints(NamedTuple):
    """The constraints of a line, in the fields of a `Request`."""

    prefix: list[int]
    required: list[list[int]]
    forbidden: list[list[int]]
    closed: frozenset[TokenSequence]


def encode_constraints(constraints: LineConstraints, target: Tokenizer) -> EncodedConstraints:
    """Encode the constraints of a line; a phrase that cannot be written need not be forbidden."""
    prefix = target.encode(constraints.prefix)
    required = [(phrase, target.encode_phrase(phrase)) for phrase in constraints.must]
    forbidden = [
        ids
        for phrase in constraints.must_not
        for ids in (target.encode(phrase), target.encode_phrase(phrase))
        if UNK not in ids
    ]
    return EncodedConstraints(
        prefix,
        [ids for _, ids in required],
        forbidden,
        frozenset(
            tuple(ids) for text, ids in [(constraints.prefix, prefix), *required] if ends_word(text.rstrip())
        ),
    )


def ends_word(text: str) -> bool:
    """Return True if a letter or digit after this text would extend its last word."""
    return text != "" and is_written_with_spaces(text[-1])


def find_unwritable(constraints: LineConstraints, target: Tokenizer) -> str | None:
    """Describe the first constraint that the target vocabulary cannot write; None if there is none."""
    for name, phrase in _phrases(constraints):
        if phrase and not target.can_write(target.encode(phrase)):
            missing = dict.fromkeys(char for char in phrase if not target.can_write(target.encode(char)))
            tokens = f"no tokens for {' '.join(missing)}" if missing else "no tokens for it"
            return f"the {name} {phrase!r} cannot be written: the target vocabulary has {tokens}: left blank"
    return None


def _phrases(constraints: LineConstraints) -> Iterator[tuple[str, str]]:
    yield "prefix", constraints.prefix
    yield from (("required phrase", phrase) for phrase in constraints.must)


def constrain_requests(
    requests: Sequence[Request], given: LineConstraints, parts: Sequence[Part], job: Job
) -> SearchSteps[list[Request]]:
    """Add the constraints of a line to the requests for its parts, after the searches that this needs.

    The sentences of the prefix belong to those of the line, in order. A required phrase belongs to the part
    whose score decreases least with it. What is forbidden applies to every part.
    """
    if len(parts) == 1:
        return [_constrain(requests[0], PartConstraints(given), job.target)]
    constraints = list(_divide_prefix(given._replace(must=()), parts, job))
    if given.must:
        yield from _place_phrases(given.must, requests, constraints, job)
    return [_constrain(*pair, job.target) for pair in zip(requests, constraints, strict=True)]


def forbidden_forms(constraints: LineConstraints, parts: Sequence[Part], job: Job) -> tuple[str, ...]:
    """Return the forbidden phrases, also in lower case if a part is translated from capitals."""
    phrases = constraints.must_not
    if not any(part.in_capitals for part in parts):
        return phrases
    return (*phrases, *chain.from_iterable(lowercase_forms(phrase, job.languages[1]) for phrase in phrases))


class PartConstraints(NamedTuple):
    """The constraints of one part of a line."""

    constraints: LineConstraints
    is_given: bool = False  # the prefix is the complete output


def _constrain(request: Request, part: PartConstraints, target: Tokenizer) -> Request:
    encoded = encode_constraints(part.constraints, target)
    request = request._replace(forbidden=encoded.forbidden)
    if encoded.prefix or encoded.required:
        request = request._replace(
            **encoded._asdict(),
            continuations=target.continuations(),
            openings=frozenset(target.openings()),
        )
    return request._replace(prefix=[*encoded.prefix, EOS]) if part.is_given else request


def _divide_prefix(line: LineConstraints, parts: Sequence[Part], job: Job) -> Iterator[PartConstraints]:
    """Yield the constraints of each part, with the sentences of the prefix that belong to it.

    Those that are followed by another sentence of the prefix are the complete output of their part.
    """
    prefix, spans = line.prefix, split_sentences(line.prefix, job.languages[1])
    for number, part in enumerate(parts):
        is_last = not any(other.sentences for other in parts[number + 1 :])
        taken = len(spans) if is_last else part.sentences
        chosen, spans = spans[:taken], spans[taken:]
        text = prefix[chosen[0].start : chosen[-1].end if spans else len(prefix)] if chosen else ""
        yield PartConstraints(line._replace(prefix=text), bool(spans))


def _place_phrases(
    phrases: Sequence[str], requests: Sequence[Request], constraints: list[PartConstraints], job: Job
) -> SearchSteps[None]:
    """Require each phrase in the part whose score decreases least with it."""
    best = yield from _find_best(requests, constraints, job)
    for phrase in phrases:
        extended = [
            part._replace(constraints=part.constraints._replace(must=(*part.constraints.must, phrase)))
            for part in constraints
        ]
        others = yield from _find_best(requests, extended, job)
        costs = [
            (after.missing, not after.finished, before.score - after.score)
            for before, after in zip(best, others, strict=True)
        ]
        chosen = costs.index(min(costs))
        constraints[chosen], best[chosen] = extended[chosen], others[chosen]


def search_part(request: Request, phrases: Sequence[str], job: Job) -> SearchSteps[list[Hypothesis]]:
    """Search, and again while a hypothesis contains a forbidden phrase, written with unusual tokens."""
    hypotheses = yield from search_request(request)
    phrases = [job.target.normalise(phrase).strip() for phrase in phrases]
    for _ in range(SPELLINGS):
        found = {
            tuple(tokens)
            for hypothesis in hypotheses
            for phrase in phrases
            if (tokens := _find_tokens(phrase, hypothesis.ids, job.target))
        }
        if not found or found <= set(map(tuple, request.forbidden)):
            break
        request = request._replace(forbidden=[*request.forbidden, *sorted(found)])
        hypotheses = yield from search_request(request)
    return hypotheses


def _find_tokens(phrase: str, ids: Sequence[int], target: Tokenizer) -> Sequence[int]:
    """Return the tokens with which an output contains a phrase as whole words; none if it does not."""
    if not phrase or not _contains(target.decode(ids), phrase):
        return ()
    end = next(end for end in range(1, len(ids) + 1) if _contains(target.decode(ids[:end]), phrase))
    return next(
        ids[start:end] for start in reversed(range(end)) if _contains(target.decode(ids[start:end]), phrase)
    )


def _contains(text: str, phrase: str) -> bool:
    starts = (match.start() for match in re.finditer(re.escape(phrase), text))
    return any(
        is_word_boundary(text, start) and is_word_boundary(text, start + len(phrase)) for start in starts
    )


def _find_best(
    requests: Sequence[Request], constraints: Sequence[PartConstraints], job: Job
) -> SearchSteps[list[Hypothesis]]:
    """Return the best output of each request with its constraints."""
    found = yield [_constrain(*pair, job.target) for pair in zip(requests, constraints, strict=True)]
    return [hypotheses[0] for hypotheses in found]
