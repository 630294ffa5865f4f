"""Glossaries: source terms whose translation is prescribed wherever they occur.

A term is found on word boundaries; in scripts without spaces, anywhere; in Korean, where particles follow a
noun without a space, at the beginning of a word. Longer terms come first, and terms do not overlap. A term in
small letters is found in any case, a term with capitals only as it is written; its translation is written as
given.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from nmt.data.script import find_script, is_word_boundary
from nmt.data.text import read_lines
from nmt.decoding.job import Job, Line, LineConstraints, Tokenizer
from nmt.decoding.options import Request
from nmt.decoding.phrases import encode_constraints
from nmt.errors import DataError, UsageError

ADVICE = "expected a source term, a tab and a target term"


class Term(NamedTuple):
    """A source term and its translation."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source!r} -> {self.target!r}"


class Glossary:
    """Terms by their source; UsageError for a term without text on either side."""

    def __init__(self, terms: Mapping[str, str]) -> None:
        self.terms = [Term(source.strip(), target.strip()) for source, target in terms.items()]
        if any(not term.source or not term.target for term in self.terms):
            raise UsageError("a term of a glossary has a source and a target that are not blank")
        self._by_key = {_normalise(term.source): term for term in reversed(self.terms)}

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(key) for key in self._by_key}, reverse=True)

    def digest(self) -> str:
        """Return the SHA-256 of the terms."""
        return hashlib.sha256(json.dumps(self.terms).encode()).hexdigest()

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
    """Read a file with a term in each line, source and target separated by a tab; DataError names a bad line.

    Blank lines, and lines that begin with #, are comments.
    """
    terms: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 2 or not all(fields):
            raise DataError(f"{path}, line {number}: {ADVICE} (fields: {len(fields)}; {line[:80]!r})")
        source, target = fields
        if terms.setdefault(source, target) != target:
            raise DataError(
                f"{path}, line {number}: {source!r} has another translation in line {lines[source]}: keep one"
            )
        lines.setdefault(source, number)
    if not terms:
        raise DataError(f"{path} has no terms; {ADVICE} in each line")
    return Glossary(terms)


class TermRequests(NamedTuple):
    """The requests for a line with the translations of its terms, and notes on terms that are not applied."""

    requests: list[Request]
    notes: list[str]


def require_terms(line: Line, texts: Sequence[str], requests: list[Request], job: Job) -> TermRequests:
    """Require the translations of the glossary's terms in the parts of a line in which these occur.

    `texts` are the parts, each with its request.
    """
    glossary, notes, constrained = _find_glossary(line, job), list[str](), list[Request]()
    if glossary is None:
        return TermRequests(requests, notes)
    for text, request in zip(texts, requests, strict=True):
        terms = glossary.find_terms(text)
        problems = {term: _find_problem(term, job) for term in terms}
        notes += [
            f"the term {term} is not applied: {problem}" for term, problem in problems.items() if problem
        ]
        phrases = [term.target for term, problem in problems.items() if not problem]
        constrained.append(_require(request, phrases, job.target))
    return TermRequests(constrained, list(dict.fromkeys(notes)))


def _find_glossary(line: Line, job: Job) -> Glossary | None:
    """Return the glossary of a job with the terms of a line, which take precedence; None without any."""
    own, of_job = line.constraints.glossary, job.glossary.terms if job.glossary else []
    return Glossary({**dict(of_job), **dict(own)}) if own else job.glossary


def find_line_terms(line: Line, job: Job) -> list[Term]:
    """Return the terms of the glossary that occur in a line."""
    glossary = _find_glossary(line, job)
    return glossary.find_terms(line.text) if glossary else []


def _find_problem(term: Term, job: Job) -> str | None:
    """Return the reason why the translation of a term cannot be required, if there is one."""
    if job.options.sample or job.options.groups > 1:
        return "sampling and groups cannot require phrases"
    if not job.target.can_write(job.target.encode(term.target)):
        return "the target vocabulary cannot write it"
    return None


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


def find_missing(line: Line, text: str, notes: Sequence[str], job: Job) -> Iterator[str]:
    """Yield a note on each term whose translation is not in the output, unless a note says so already."""
    written = _normalise(text)
    for term in [] if line.error else find_line_terms(line, job):
        if _normalise(term.target) not in written and not any(f"the term {term} " in note for note in notes):
            yield f"the term {term} is not applied: the search ended without it"
