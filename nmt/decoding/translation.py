"""The translation of lines: one output line per input line, in order, for any content.

A line is translated in parts: its sentences, and the clauses of a sentence that is too long. The result
does not depend on the other lines of a batch.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import islice, starmap
from operator import add, itemgetter
from typing import Any, NamedTuple

import numpy as np

from nmt.data.protection import ProtectedText
from nmt.data.sentences import Span, find_separator
from nmt.data.vocabulary import EOS, SPECIALS, UNK
from nmt.data.vocabulary.capitals import upper
from nmt.decoding.beam import SearchSteps, StartSentence, run_together, search_request
from nmt.decoding.copying import (
    Alignment,
    PartWords,
    ProtectedLine,
    align_words,
    index_words,
    locate_copies,
    protect_line,
    request_copies,
)
from nmt.decoding.copying.unknown import replace_unknown
from nmt.decoding.glossary import Glossary, find_missing, require_terms
from nmt.decoding.hypothesis import Hypothesis, SentenceSearch
from nmt.decoding.job import Job, Line, LineConstraints, LineReader, number_lines
from nmt.decoding.model import Floats
from nmt.decoding.options import CANNOT_REQUIRE, Request, select_mbr
from nmt.decoding.parts import (
    Part,
    PartSpans,
    build_requests,
    has_subwords,
    merge_spans,
    part_texts,
    plan_parts,
)
from nmt.decoding.phrases import constrain_requests, find_unwritable, forbidden_forms, search_part
from nmt.errors import UsageError


class Candidate(NamedTuple):
    """One translation of a line, or of a part of it."""

    text: str  # without line ends
    score: float
    log_prob: float
    tokens: list[str]  # with eos, if it was generated
    token_log_probs: list[float]
    attention: Floats | None = None  # [tokens, source tokens], if requested; the rest is on the source's end


BLANK = Candidate("", 0.0, 0.0, [], [])


class Translation(NamedTuple):
    """The translation of one line."""

    line: Line
    candidates: list[Candidate]  # best first, at least one
    notes: list[str]  # for the user
    source_tokens: list[str]
    alignment: Alignment  # of the best candidate; empty if not requested
    parts: list[PartSpans] = []  # of the best candidate
    quality: float | None = None  # the probability that it is good, if requested; None for a blank line

    @property
    def number(self) -> int:
        return self.line.number

    @property
    def text(self) -> str:
        return self.candidates[0].text

    @property
    def score(self) -> float:
        return self.candidates[0].score

    def add_note(self, note: str) -> "Translation":
        """Return the translation with another note for the user."""
        return self._replace(notes=[*self.notes, note])


def translate_lines(lines: Iterable[tuple[str, str | None]], job: Job) -> Iterator[Translation]:
    """Yield a translation for each line, in order; a line comes with a note on how it was read, or None."""
    for window in LineReader(number_lines(lines)).windows(max(1, job.read_ahead * job.options.batch)):
        yield from translate_window(window.lines, job)


def translate_window(lines: Sequence[Line], job: Job) -> list[Translation]:
    """Translate these lines together."""
    return [finish_line(plan, results, job) for plan, results in search_window(lines, job)]


def search_window(
    lines: Sequence[Line], job: Job, start: StartSentence = SentenceSearch
) -> list[tuple["LineSearch", list[list[Hypothesis]]]]:
    """Plan and search these lines together; return each with the hypotheses of its parts."""
    plans = run_together((plan_line(line, job) for line in lines), job.model, job.options)
    searches = (search for plan in plans for search in plan.searches(job))
    results = iter(run_together(searches, job.model, job.options, start))
    return [(plan, list(islice(results, len(plan.parts)))) for plan in plans]


class LineSearch(NamedTuple):
    """A blank translation of a line, its parts, the search request for each of them, and what else the line
    needs."""

    blank: Translation
    parts: Sequence[Part] = ()
    requests: Sequence[Request] = ()
    constraints: LineConstraints = LineConstraints()
    forbidden: tuple[str, ...] = ()
    glossary: Glossary | None = None  # of the job and the line
    protected: ProtectedText | None = None  # if it has copy symbols
    words: Sequence[PartWords] = ()  # of the parts, if it has copy symbols or attention is requested

    def searches(self, job: Job) -> Iterator[SearchSteps[list[Hypothesis]]]:
        """Yield the search for each part."""
        if self.forbidden:
            return (search_part(request, self.forbidden, job) for request in self.requests)
        return map(search_request, self.requests)

    def locate(self, part: Part) -> Span:
        """Return the span of a part in the line as it was given."""
        return Span(*map(self.protected.locate, part.span)) if self.protected else part.span


def plan_line(line: Line, job: Job) -> SearchSteps[LineSearch]:
    """Return what is searched for a line, after the searches that decide it."""
    blank = Translation(line, [BLANK], list(line.notes), [], [])
    if line.error:
        return LineSearch(blank.add_note(line.error))
    if not line.text.strip():
        return LineSearch(blank)
    terms = line.constraints.glossary
    glossary = (job.glossary or Glossary({})).add_terms(terms) if terms else job.glossary
    plan = LineSearch(blank, glossary=glossary)
    line, copies = protect_line(line, job.protection, job.source) if job.protection else ProtectedLine(line)
    given = line.constraints
    if given.has_phrases and (problem := find_unwritable(given, job.target)):
        return LineSearch(blank._replace(line=blank.line._replace(error=problem)).add_note(problem))
    if given.must and not job.options.can_require:
        return plan._replace(blank=blank.add_note(f"{CANNOT_REQUIRE}: left blank"))
    parts, notes = plan_parts(line.text, job)
    if not parts:
        note = "no token of this line is in the source vocabulary: left blank"
        return plan._replace(blank=blank.add_note(note))
    requests, forbidden = build_requests(line, parts, job), given.must_not
    if job.protection:
        requests = [request_copies(request, job) for request in requests]
    if given.has_phrases:
        forbidden = forbidden_forms(given, parts, job)
        given = given._replace(must_not=forbidden)
        requests = yield from constrain_requests(requests, given, parts, job)
    if glossary:
        texts = part_texts(line.text, parts, job.source)
        requests, term_notes = yield from require_terms(glossary, texts, requests, forbidden, job)
        notes += term_notes
    tokens = [token for part in parts for token in part.tokens]
    blank = blank._replace(source_tokens=tokens, notes=[*blank.notes, *notes])
    protected = ProtectedText(line.text, copies) if copies else None
    words = locate_copies(parts, copies, job) if copies or job.options.attention else ()
    return LineSearch(blank, parts, requests, line.constraints, forbidden, glossary, protected, words)


def finish_line(plan: LineSearch, results: Sequence[list[Hypothesis]], job: Job) -> Translation:
    """Return the translation of a line from the hypotheses of its parts."""
    one = join_parts(plan, results, job) if plan.parts else plan.blank
    if plan.glossary:
        missing = find_missing(plan.glossary, one.line.text, one.text, one.notes)
        one = one._replace(notes=[*one.notes, *missing])
    return job.quality(one) if job.quality else one


def join_parts(plan: LineSearch, results: Sequence[list[Hypothesis]], job: Job) -> Translation:
    """Join the hypotheses of the parts of a line."""
    blank, subwords = plan.blank, has_subwords(plan.blank.source_tokens)
    parts = [rank_candidates(plan, number, part, job) for number, part in enumerate(results)]
    best = [part[0][0] for part in parts]
    if not all(hypothesis.finished for hypothesis in best):
        length = sum(len(hypothesis.ids) for hypothesis in best)
        blank = blank.add_note(f"the model generated no end of sentence: cut after {length:,} tokens")
    by_rank = job.utility is not None or job.options.sample or job.options.groups > 1
    ranks = zip(*parts, strict=False) if by_rank or len(parts) == 1 else combine_best(parts, job.n_best)
    gaps = [part.gap for part in plan.parts]
    joined = [
        _join_candidates([candidate for _, candidate in rank], gaps) for rank in islice(ranks, job.n_best)
    ]
    offsets = joined[0][1]
    spans = list(starmap(PartSpans, zip(map(plan.locate, plan.parts), offsets, strict=True)))
    alignment = _align_parts(best, plan.words, offsets, job, subwords) if job.aligned else []
    candidates = [candidate for candidate, _ in joined]
    return blank._replace(candidates=candidates, alignment=alignment, parts=merge_spans(spans))


def rank_candidates(
    plan: LineSearch, number: int, hypotheses: Sequence[Hypothesis], job: Job
) -> list[tuple[Hypothesis, Candidate]]:
    """Return the hypotheses for a part of a line with their candidates, best first."""
    ranked = [(hypothesis, _candidate(hypothesis, plan, number, job)) for hypothesis in hypotheses]
    if job.utility:
        ranked.insert(0, ranked.pop(select_mbr([candidate.text for _, candidate in ranked], job.utility)))
    return ranked


def _candidate(hypothesis: Hypothesis, plan: LineSearch, number: int, job: Job) -> Candidate:
    source_text, words = plan.blank.line.text, plan.words[number] if plan.words else None
    if words and job.copy_unknown and UNK in hypothesis.ids:
        subwords = has_subwords(plan.blank.source_tokens)
        source = job.source.join(job.source.normalise(source_text)).split()
        attended = _attention(hypothesis, words.words).argmax(axis=-1).tolist()
        copies = [source[words.words[index]] for index in attended]
        text = replace_unknown(hypothesis.ids, copies, job.target, subwords=subwords)
    else:
        text = job.target.decode(hypothesis.ids)
    if plan.parts[number].in_capitals:
        terms = plan.glossary.find_terms(source_text) if plan.glossary else []
        kept = [plan.constraints.prefix, *plan.constraints.must, *(term.target for term in terms)]
        text = upper(text, job.languages[1], kept)
    text = replace_line_ends(text)
    return Candidate(
        words.restore(text) if words else text,
        hypothesis.score,
        hypothesis.log_prob,
        job.target.tokens(hypothesis.ids) + [SPECIALS[EOS]] * hypothesis.finished,
        hypothesis.token_log_probs,
        _attention(hypothesis, words.words, with_eos=True) if words and job.soft_attention else None,
    )


def replace_line_ends(text: str) -> str:
    """Replace every character that some programs treat as a line end by a space."""
    return " ".join(text.splitlines())


def combine_best(
    parts: Sequence[Sequence[tuple[Hypothesis, Candidate]]], count: int
) -> Iterator[list[tuple[Hypothesis, Candidate]]]:
    """Yield the `count` best choices of a hypothesis for each part, by the sum of their scores."""
    chains: list[tuple[tuple[float, ...], Any]] = [((0, 0, 0.0), None)]
    for part in parts:
        keyed = [(hypothesis.sort_key(), (hypothesis, candidate)) for hypothesis, candidate in part[:count]]
        longer = [
            (tuple(map(add, total, key)), (chain, entry)) for total, chain in chains for key, entry in keyed
        ]
        chains = nsmallest(count, longer, key=itemgetter(0))  # of equal ones, the earlier
    for _, chain in chains:
        entries = []
        while chain is not None:
            chain, entry = chain
            entries.append(entry)
        yield entries[::-1]


def _join_candidates(parts: Sequence[Candidate], gaps: Sequence[str]) -> tuple[Candidate, list[Span]]:
    """Return the candidate of a line from those of its parts, and where the text of each is in it."""
    text, spans = "", list[Span]()
    for part, gap in zip(parts, gaps, strict=True):
        separator = find_separator(text, part.text, gap)
        spans.append(Span(len(text) + len(separator), len(text) + len(separator) + len(part.text)))
        text += separator + part.text
    candidate = Candidate(
        text,
        sum(part.score for part in parts),
        sum(part.log_prob for part in parts),
        [token for part in parts for token in part.tokens],
        [log_prob for part in parts for log_prob in part.token_log_probs],
        _join_attention([part.attention for part in parts if part.attention is not None]),
    )
    return candidate, spans


def _join_attention(parts: Sequence[Floats]) -> Floats | None:
    """Return the attention of a line, whose parts attend to themselves only."""
    if len(parts) < 2:
        return parts[0] if parts else None
    rows, columns = np.cumsum([part.shape for part in parts], axis=0).T
    joined = np.zeros((rows[-1], columns[-1]), dtype=parts[0].dtype)
    for part, row, column in zip(parts, rows, columns, strict=True):
        joined[row - len(part) : row, column - part.shape[1] : column] = part
    return joined


def _attention(hypothesis: Hypothesis, words: list[int], *, with_eos: bool = False) -> Floats:
    """Return the attention weights [T, S] without eos of the source, and without that of the output."""
    if hypothesis.weights is None:
        raise UsageError("this model has no attention, so it gives no alignments: omit the option")
    return hypothesis.weights[: None if with_eos else len(hypothesis.ids), : len(words)]


def _align_parts(
    hypotheses: Sequence[Hypothesis],
    parts: Sequence[PartWords],
    offsets: Sequence[Span],
    job: Job,
    subwords: bool,
) -> Alignment:
    pairs: set[tuple[int, int]] = set()
    first, end = 0, 0  # index of the part's first target word, and the end of the text before it
    for hypothesis, part, span in zip(hypotheses, parts, offsets, strict=True):
        tokens = job.target.tokens(hypothesis.ids)
        *words, count = index_words(tokens, subwords, part.mark(tokens))
        first -= first > 0 and span.start == end and bool(words)
        shifted = [first + word for word in words]
        links = part.link(tokens, shifted)
        pairs |= {*align_words(_attention(hypothesis, part.words), part.words, shifted, links)}
        first, end = first + count, span.end
    return sorted(pairs, key=lambda pair: pair[::-1])
