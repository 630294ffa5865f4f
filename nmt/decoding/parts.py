"""The division of a line into the parts that are translated: sentences, groups of them, clauses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from nmt.data.sentences import ENDS, WIDE_ENDS, Span, split_clauses, split_sentences
from nmt.data.vocabulary.capitals import Truecaser
from nmt.data.vocabulary.codes import JOINER
from nmt.decoding.job import Job, Line, Tokenizer
from nmt.decoding.options import Request

STOPS = (*ENDS, ";", ":")
WIDE_STOPS = tuple(WIDE_ENDS)
CLAUSE_STOPS = (",", "،", "؛", "၊", "፣")
WIDE_CLAUSE_STOPS = ("，", "、", "；", "：")
SPACE = "▁"  # marks the subwords that begin a word


class Part(NamedTuple):
    """A part of a line, which is translated on its own."""

    span: Span  # in the line; parts that are cut between tokens have that of all of them
    ids: list[int]
    tokens: list[str]
    sentences: int = 1  # that begin in it
    gap: str = ""  # white space between the previous part and this one
    tagged: bool = False  # whether its first token is the tag at the beginning of the line
    in_capitals: bool = False  # whether it is, and is translated as it would usually be written


class PartSpans(NamedTuple):
    """A part of a line that was translated on its own, and its translation, by character indices."""

    source: Span
    target: Span


class LinePlan(NamedTuple):
    """The parts of a line, and notes for the user."""

    parts: list[Part]
    notes: list[str]


def plan_parts(text: str, job: Job) -> LinePlan:
    """Divide a line into parts that the job's model can translate; no part if the line has no tokens.

    With `split`, each has as many sentences as the model was trained on, and a longer sentence is cut between
    clauses. Whatever exceeds `longest_part` is cut. A tag at the beginning applies to all parts.
    """
    planner = _Planner(text, job)
    parts = [part for span, sentences in planner.groups() for part in planner.encode_group(span, sentences)]
    others = [part._replace(gap=_gap(text, before, part)) for before, part in pairwise(parts)]
    return LinePlan([*parts[:1], *others], planner.notes)


def build_requests(line: Line, parts: Sequence[Part], job: Job) -> list[Request]:
    """Return a request for each part of a line, without the constraints of the line."""
    seed = line.constraints.seed
    draws = [line.number, 0] if seed is None else [seed, 1]
    return [Request(0, part.ids, draws=[*draws, number]) for number, part in enumerate(parts)]


def _gap(text: str, before: Part, part: Part) -> str:
    return "" if before.span == part.span else text[before.span.end : part.span.start]


def merge_spans(parts: Sequence[PartSpans]) -> list[PartSpans]:
    """Merge the parts that were cut between tokens, whose bounds in the source text are not known."""
    merged: list[PartSpans] = []
    for part in parts:
        if merged and merged[-1].source == part.source:
            part = PartSpans(part.source, Span(merged.pop().target.start, part.target.end))
        merged.append(part)
    return merged


def part_texts(text: str, parts: Sequence[Part], source: Tokenizer) -> list[str]:
    """Return the text of each part; of parts that are cut between tokens, that of their tokens."""
    counts = Counter(part.span for part in parts)
    return [
        text[part.span.start : part.span.end] if counts[part.span] == 1 else source.decode(part.ids)
        for part in parts
    ]


class _Planner:
    """The division of one line."""

    def __init__(self, text: str, job: Job) -> None:
        self.text, self.job, self.notes = text, job, list[str]()
        self._encoded: dict[tuple[Span, bool], list[int]] = {}
        self.tag = job.source.tag(text)
        self.truecaser = Truecaser(job.source, job.languages[0])
        self.in_capitals = self._is_in_capitals(Span(0, len(text)))
        lengths = job.lengths
        self.most_sentences = lengths.sentences if lengths else 1
        self.most_tokens = min(lengths.tokens if lengths else job.longest_part, job.longest_part)

    def groups(self) -> Iterator[tuple[Span, int]]:
        """Yield the spans that are translated together, with their numbers of sentences."""
        spans = split_sentences(self.text, self.job.languages[0]) if self.job.split == "auto" else []
        if len(spans) < 2:
            yield Span(0, len(self.text)), 1
        elif self.most_sentences == 1:
            yield from ((span, 1) for span in spans)
        else:
            yield from self._group(spans, self.most_sentences)

    def _group(self, spans: Sequence[Span], most: int) -> Iterator[tuple[Span, int]]:
        """Join consecutive spans while they are within the limits, and no layout separates them."""
        start, end, tokens, count = spans[0].start, spans[0].end, len(self._encode(spans[0])), 1
        for span in spans[1:]:
            size = len(self._encode(span))
            has_layout = self.text[end : span.start] not in ("", " ")
            if count == most or tokens + size > self.most_tokens or has_layout:
                yield Span(start, end), count
                start, tokens, count = span.start, 0, 0
            end, tokens, count = span.end, tokens + size, count + 1
        yield Span(start, end), count

    def encode_group(self, span: Span, sentences: int) -> Iterator[Part]:
        """Yield the parts of a group of sentences: usually one."""
        in_capitals = self.in_capitals or self._is_in_capitals(span)
        ids = self._encode(span, in_capitals)
        if self.job.split == "never" or len(ids) <= self.most_tokens:
            yield from self._cut(span, ids, sentences, in_capitals)
            return
        clauses = [clause for clause, _ in self._group(split_clauses(self.text, span), len(ids))]
        excess = f"{len(ids):,} tokens, more than {self.most_tokens:,}"
        if self.most_tokens < self.job.longest_part:
            excess = f"a sentence of {excess} in training"
        if len(clauses) > 1:
            self.notes.append(f"{excess}: translated in {len(clauses):,} parts")
        elif len(ids) <= self.job.longest_part:
            self.notes.append(f"{excess}, without a clause to cut at")
        for clause in clauses:
            if len(clauses) > 1:
                ids = self._encode(clause, in_capitals)
            yield from self._cut(clause, ids, sentences, in_capitals)
            sentences = 0

    def _cut(self, span: Span, ids: list[int], sentences: int, in_capitals: bool) -> Iterator[Part]:
        """Yield parts of at most `longest_part` tokens."""
        tokens, longest = self.job.source.tokens(ids), self.job.longest_part
        slices = split_tokens(tokens, longest)
        if len(slices) > 1:
            excess = f"{len(ids):,} tokens, more than {longest}"
            self.notes.append(f"{excess}: translated in {len(slices):,} parts")
        parts = [part for one in slices for part in divide_at_copies(ids, one, self.job)]
        for number, part in enumerate(parts if ids else []):
            tagged = bool(self.tag) and span.start > 0 and number == 0
            first = 0 if number else sentences
            yield Part(span, ids[part], tokens[part], first, tagged=tagged, in_capitals=in_capitals)

    def _untagged(self, span: Span) -> str:
        """Return the text of a part of the line, without the tag of the line."""
        text = self.text[span.start : span.end]
        return text if span.start else text.removeprefix(self.tag)

    def _is_in_capitals(self, span: Span) -> bool:
        return self.truecaser.is_in_capitals(self._untagged(span))

    def _encode(self, span: Span, in_capitals: bool = False) -> list[int]:
        """Encode a part of the line, after the tag of the line."""
        if (ids := self._encoded.get((span, in_capitals))) is not None:
            return ids
        text = self._untagged(span)
        text = self.truecaser.truecase(text) if in_capitals else text
        separator = " " if self.tag and span.start > 0 else ""
        ids = self._encoded[span, in_capitals] = self.job.source.encode(f"{self.tag}{separator}{text}")
        return ids


def divide_at_copies(ids: Sequence[int], part: slice, job: Job) -> list[slice]:
    """Divide a part so that none has more symbols than the vocabulary, each of them once."""
    slices, start, seen = list[slice](), part.start, 0
    symbols = job.source.copies if job.protection else range(0)
    for index in [i for i in range(part.start, part.stop) if ids[i] in symbols] if symbols else []:
        seen += 1
        if job.protection and seen > job.protection.count:
            follows_space = index > start and job.source.tokens(ids[index - 1 : index]) == [SPACE]
            slices.append(slice(start, index - follows_space))
            start, seen = index - follows_space, 1
    return [*slices, slice(start, part.stop)]


def split_tokens(tokens: list[str], longest: int) -> list[slice]:
    """Return slices of at most `longest` tokens that cover them all, in order.

    Each ends in its second half, in this order of preference: after the last end of a sentence, after the
    last end of a clause, after the last end of a word, or at its full length.
    """
    slices, start = [], 0
    subwords = has_subwords(tokens)
    while len(tokens) - start > longest:
        end = _split_point(tokens, start, start + longest, subwords)
        slices.append(slice(start, end))
        start = end
    return [*slices, slice(start, len(tokens))]


def _split_point(tokens: list[str], start: int, full: int, subwords: bool) -> int:
    clause_end = word_end = None
    for end in range(full, (start + full) // 2, -1):
        between_words = begins_next_word(tokens, end, subwords)
        last = tokens[end - 1]
        if last.endswith(WIDE_STOPS) or (between_words and last.endswith(STOPS)):
            return end
        if last.endswith(WIDE_CLAUSE_STOPS) or (between_words and last.endswith(CLAUSE_STOPS)):
            clause_end = clause_end or end
        if between_words:
            word_end = word_end or end
    return clause_end or word_end or full


def has_subwords(tokens: list[str]) -> bool:
    """Return True if a line was split into subwords (its first token starts with ▁), False for words."""
    return any(token.startswith(SPACE) for token in tokens)


def begins_next_word(tokens: Sequence[str], index: int, subwords: bool) -> bool:
    """Return True if a token begins a word, as a subword, a word or a segment."""
    return tokens[index].startswith(SPACE) if subwords else not tokens[max(0, index - 1)].endswith(JOINER)
