"""Glossaries: source terms whose translation is required wherever they occur, or suggested.

A term is found on word boundaries; in scripts without spaces, anywhere; in Korean, where particles follow a
noun without a space, at the beginning of a word. Longer terms come first, and terms do not overlap. A term in
small letters is found in any case, a term with capitals only as it is written; its translation is written as
given. A suggested translation is used where it lowers the score of the search by no more than a margin.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from nmt.data.script import find_script, is_word_boundary
from nmt.data.text import read_lines
from nmt.decoding.beam import SearchSteps
from nmt.decoding.job import Job, LineConstraints, Tokenizer
from nmt.decoding.options import CANNOT_REQUIRE, Request
from nmt.decoding.phrases import encode_constraints, search_part
from nmt.errors import DataError, UsageError

SUGGESTED = "suggested"  # the third field of a term, if it has one
ADVICE = f"expected a source term, a tab and a target term, and {SUGGESTED!r} after another tab or nothing"
TermTarget = str | Sequence[str]
"""The translation of a term, or the translation and `suggested`."""


class Term(NamedTuple):
    """A source term and its translation."""

    source: str
    target: str
    is_suggested: bool = False

    def __str__(self) -> str:
        return f"{self.source!r} -> {self.target!r}"


def list_fields(terms: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
    """Return the fields of each term of a mapping: source, target and, if it has it, `suggested`."""
    return [
        (source, *target) if isinstance(target, list | tuple) else (source, target)
        for source, target in terms.items()
    ]


def is_term(fields: Sequence[Any]) -> bool:
    """Return True if fields are those of a term, and not blank."""
    texts, kind = fields[:2], tuple(fields[2:])
    return (
        len(texts) == 2
        and all(isinstance(text, str) and text.strip() for text in texts)
        and kind in ((), (SUGGESTED,))
    )


class Glossary:
    """Terms by their source; UsageError for a term without text on either side."""

    def __init__(self, terms: Mapping[str, TermTarget]) -> None:
        rows = list_fields(terms)
        if not all(map(is_term, rows)):
            raise UsageError("a term of a glossary has a source and a target that are not blank")
        self.terms = [Term(source.strip(), target.strip(), bool(kind)) for source, target, *kind in rows]
        self._by_key = {_normalise(term.source): term for term in reversed(self.terms)}

    def add_terms(self, terms: Iterable[Sequence[str]]) -> "Glossary":
        """Return a glossary with more terms, by their fields, which take precedence."""
        merged: dict[str, TermTarget] = {}
        for source, *target in [
            *terms,
            *(term[:2] + (SUGGESTED,) * term.is_suggested for term in self.terms),
        ]:
            merged.setdefault(_normalise(source), target)
        return Glossary(merged)

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(key) for key in self._by_key}, reverse=True)

    def digest(self) -> str:
        """Return the SHA-256 of the terms."""
        fields = [term[: 2 + term.is_suggested] for term in self.terms]
        return hashlib.sha256(json.dumps(fields).encode()).hexdigest()

    def find_terms(self, text: str) -> list[Term]:
        """Return the terms that occur in a text, in order, each once."""
        text = _normalise(text)
        matches = sorted(self._find_matches(text), key=lambda match: (match[0] - match[1], match[0]))
        taken, found = set[int](), list[tuple[int, Term]]()
        for start, end, term in matches:
            if taken.isdisjoint(range(start, end)):
                taken.update(range(start, end))
                found.append((start, term))
        return list(dict.fromkeys(term for _, term in sorted(found)))

    def _find_matches(self, text: str) -> Iterator[tuple[int, int, Term]]:
        lowered = text.lower() if len(text.lower()) == len(text) else text
        in_small = {key.lower(): term for key, term in self._by_key.items()} if text.isupper() else {}
        for start in range(len(text)):
            for length in self._lengths:
                end = start + length
                if end > len(text):
                    continue
                term = self._by_key.get(text[start:end]) or self._by_key.get(lowered[start:end])
                term = term or in_small.get(lowered[start:end])
                if term and is_word_boundary(text, start) and _ends_word(text, end):
                    yield start, end, term


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _ends_word(text: str, end: int) -> bool:
    """Return True if a term may end here: at a boundary, or before a Korean particle."""
    return is_word_boundary(text, end) or find_script(text[end - 1]) == find_script(text[end]) == "Hangul"


def read_glossary(path: Path) -> Glossary:
    """Read a file with a term in each line, its fields separated by tabs; DataError names a bad line.

    Blank lines, and lines that begin with #, are comments.
    """
    terms: dict[str, list[str]] = {}
    translations: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if not is_term(fields):
            raise DataError(f"{path}, line {number}: {ADVICE} (fields: {len(fields)}; {line[:80]!r})")
        source, *target = fields
        first = lines.setdefault(_normalise(source), number)
        if translations.setdefault(_normalise(source), target) != target:
            raise DataError(
                f"{path}, line {number}: {source!r} has another translation in line {first}, or is "
                f"{SUGGESTED} in one of the two: keep one"
            )
        terms[source] = target
    if not terms:
        raise DataError(f"{path} has no terms; {ADVICE} in each line")
    return Glossary(terms)


class TermRequests(NamedTuple):
    """The requests for a line with the translations of its terms, and notes on terms that are not applied."""

    requests: list[Request]
    notes: list[str]


def require_terms(
    glossary: Glossary, texts: Sequence[str], requests: list[Request], forbidden: Sequence[str], job: Job
) -> SearchSteps[TermRequests]:
    """Require the translations of a glossary's terms in the parts of a line in which these occur.

    `texts` are the parts, each with its request; `forbidden` are the phrases that none may contain.
    """
    constrained = list[Request]()
    found: dict[Term, dict[int, str]] = {}  # why a term is not applied, by part; empty where it is
    for number, (text, request) in enumerate(zip(texts, requests, strict=True), 1):
        reasons = {term: _find_problem(term, job) for term in glossary.find_terms(text)}
        terms = [term for term, reason in reasons.items() if not reason]
        phrases = [term.target for term in terms if not term.is_suggested]
        request = _require(request, phrases, job.target)
        if suggested := [term for term in terms if term.is_suggested]:
            request, rejections = yield from _apply_suggestions(suggested, request, forbidden, job)
            reasons |= rejections
        for term, reason in reasons.items():
            found.setdefault(term, {})[number] = reason
        constrained.append(request)
    notes = [note for term, reasons in found.items() for note in _describe_reasons(term, reasons, len(texts))]
    return TermRequests(constrained, notes)


def _describe_reasons(term: Term, reasons: Mapping[int, str], parts: int) -> Iterator[str]:
    """Yield notes on a term that is not applied: one, or one for each part if they differ."""
    has_one = len({*reasons.values()}) == 1
    for part, reason in islice(reasons.items(), 1 if has_one else None):
        if reason:
            where = "" if has_one else f" in part {part} of {parts}"
            yield f"the term {term} is not applied{where}: {reason}"


def _apply_suggestions(
    terms: Sequence[Term], request: Request, forbidden: Sequence[str], job: Job
) -> SearchSteps[tuple[Request, dict[Term, str]]]:
    """Require each suggested term that lowers the score by no more than the margin.

    Returns the request and why other terms are not applied. One that is written anyway changes nothing,
    unless another term that is required then drives it out.
    """
    reasons, undecided = dict[Term, str](), [*terms]
    [best, *_] = yield from search_part(request, forbidden, job)
    while missing := [term for term in undecided if not _is_written(term, job.target.decode(best.ids))]:
        undecided.remove(term := missing[0])
        extended = _require(request, [term.target], job.target)
        [other, *_] = yield from search_part(extended, forbidden, job)
        cost, margin = best.score - other.score, job.options.suggestion_margin
        if other.missing > best.missing or other.finished < best.finished:
            reasons[term] = "it is suggested, and the search ended without it"
        elif cost > margin:
            reasons[term] = f"it is suggested, and lowers the score by {cost:.2f}, more than {margin:g}"
        else:
            request, best = extended, other
    text = job.target.decode(best.ids)
    return request, {term: reason for term, reason in reasons.items() if not _is_written(term, text)}


def _is_written(term: Term, text: str) -> bool:
    """Return True if a text contains the translation of a term; a suggested one by the rules for sources."""
    if term.is_suggested:
        return bool(Glossary({term.target: term.target}).find_terms(text))
    return _normalise(term.target) in _normalise(text)


def _find_problem(term: Term, job: Job) -> str:
    """Return the reason why the translation of a term cannot be required; empty if it can."""
    if not job.options.can_require:
        return CANNOT_REQUIRE
    if not job.target.can_write(job.target.encode(term.target)):
        return "the target vocabulary cannot write it"
    return ""


def _require(request: Request, phrases: list[str], target: Tokenizer) -> Request:
    """Require phrases in addition to those of a request."""
    encoded = encode_constraints(LineConstraints(must=tuple(dict.fromkeys(phrases))), target)
    new = [ids for ids in encoded.required if ids not in request.required]
    if not new:
        return request
    return request._replace(
        required=[*request.required, *new],
        closed=request.closed | encoded.closed,
        continuations=target.continuations(),
        openings=frozenset(target.openings()),
    )


def find_missing(glossary: Glossary, source: str, text: str, notes: Sequence[str]) -> Iterator[str]:
    """Yield a note on each term of a source whose translation is not in the output, unless one exists."""
    for term in glossary.find_terms(source):
        if not _is_written(term, text) and not any(f"the term {term} " in note for note in notes):
            yield f"the term {term} is not applied: the search ended without it"
