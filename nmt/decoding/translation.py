"""What became of a line: its candidates, put together from what was found for its parts."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from nmt.data.subwords import EOS, SPECIALS, UNK
from nmt.decoding.alignment import Alignment, align, are_subwords, word_numbers
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job
from nmt.decoding.lines import Line
from nmt.decoding.mbr import choose
from nmt.decoding.model import Floats
from nmt.decoding.options import Request
from nmt.decoding.unknown_words import with_copies
from nmt.errors import UsageError

T = TypeVar("T")


class Candidate(NamedTuple):
    """One translation of a line, or of a part of it."""

    text: str  # without any line end
    score: float
    log_prob: float
    pieces: list[str]  # with the end, where it was found
    token_log_probs: list[float]  # of each of the pieces


class Translation(NamedTuple):
    """What became of one line."""

    line: Line
    candidates: list[Candidate]  # best first, at least one
    notes: list[str]  # what the user should know about this line
    source_pieces: list[str]
    alignment: Alignment  # of the best one; empty if not asked for

    @property
    def number(self) -> int:
        return self.line.number

    @property
    def text(self) -> str:
        return self.candidates[0].text

    @property
    def score(self) -> float:
        return self.candidates[0].score


BLANK = Candidate("", 0.0, 0.0, [], [])


class Plan(NamedTuple):
    """What is done with one line."""

    line: Line
    notes: list[str]
    pieces: list[str]
    requests: list[Request]  # one for each part of the line

    def noting(self, note: str) -> "Plan":
        """The plan with something more that the user should know."""
        return self._replace(notes=[*self.notes, note])


class _Part(NamedTuple):
    """A part of a line and what was found for it, best first."""

    words: list[int]  # of the line, that each of its source pieces belongs to
    hypotheses: list[Hypothesis]
    candidates: list[Candidate]


def put_together(plan: Plan, found: Sequence[list[Hypothesis]], job: Job) -> Translation:
    """The translation of a line from the hypotheses of its parts, rank by rank."""
    if not found:
        return Translation(plan.line, [BLANK], plan.notes, plan.pieces, [])
    subwords = are_subwords(plan.pieces)
    words = iter(word_numbers(plan.pieces, subwords))
    parts = [
        _part(plan.line, list(islice(words, len(request.source))), hypotheses, job, subwords)
        for request, hypotheses in zip(plan.requests, found, strict=True)
    ]
    if not all(part.hypotheses[0].finished for part in parts):
        pieces = sum(len(part.hypotheses[0].ids) for part in parts)
        plan = plan.noting(f"the model found no end: its output was cut after {pieces:,} pieces")
    candidates = [_joined(ranked) for ranked in zip(*(part.candidates for part in parts), strict=False)]
    alignment = _alignment(parts, job, subwords) if job.aligned else []
    return Translation(plan.line, candidates[: job.n_best], plan.notes, plan.pieces, alignment)


def _part(line: Line, words: list[int], hypotheses: list[Hypothesis], job: Job, subwords: bool) -> _Part:
    candidates = [_candidate(hypothesis, line, words, job, subwords) for hypothesis in hypotheses]
    if job.utility:
        first = choose([candidate.text for candidate in candidates], job.utility).place
        hypotheses, candidates = _put_first(first, hypotheses), _put_first(first, candidates)
    return _Part(words, hypotheses, candidates)


def _put_first(place: int, items: list[T]) -> list[T]:
    return [items[place], *items[:place], *items[place + 1 :]]


def _candidate(hypothesis: Hypothesis, line: Line, words: list[int], job: Job, subwords: bool) -> Candidate:
    if job.copy_unknown and UNK in hypothesis.ids:
        spelt = line.text.split()
        copies = [spelt[words[place]] for place in _looked_at(hypothesis, words).argmax(axis=-1).tolist()]
        text = with_copies(hypothesis.ids, copies, job.target, subwords=subwords)
    else:
        text = job.target.decode(hypothesis.ids)
    return Candidate(
        one_line(text),
        hypothesis.score,
        hypothesis.log_prob,
        job.target.pieces(hypothesis.ids) + [SPECIALS[EOS]] * hypothesis.finished,
        hypothesis.token_log_probs,
    )


def one_line(text: str) -> str:
    """The text with a space for whatever any program takes for a line end."""
    return " ".join(text.splitlines())


def _joined(parts: Sequence[Candidate]) -> Candidate:
    return Candidate(
        " ".join(part.text for part in parts if part.text),
        sum(part.score for part in parts),
        sum(part.log_prob for part in parts),
        [piece for part in parts for piece in part.pieces],
        [log_prob for part in parts for log_prob in part.token_log_probs],
    )


def _looked_at(hypothesis: Hypothesis, words: list[int]) -> Floats:
    """Attention [T, S] without the ends of both sides."""
    if hypothesis.weights is None:
        raise UsageError("this model has no attention, so there are no alignments: leave them out")
    return hypothesis.weights[: len(hypothesis.ids), : len(words)]


def _alignment(parts: Sequence[_Part], job: Job, subwords: bool) -> Alignment:
    pairs: Alignment = []
    done = 0  # target words
    for part in parts:
        best = part.hypotheses[0]
        numbers = word_numbers(job.target.pieces(best.ids), subwords)
        pairs += align(_looked_at(best, part.words), part.words, [done + word for word in numbers])
        done += len(set(numbers))
    return pairs
