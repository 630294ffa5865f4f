"""The translation job: one line in, one line out, in order, whatever the line holds.

The same line gives the same text whatever stands beside it: the search keeps sentences apart, and a model
gives a row the same numbers in every batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.decoding.alignment import Alignment, align, are_subwords, word_numbers
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.long_lines import parts
from nmt.decoding.model import Model
from nmt.decoding.options import Options, Request
from nmt.decoding.search import search
from nmt.errors import UsageError

WINDOW_CHARACTERS = 1_000_000  # a window closes here too, so that long lines do not fill the memory


class Vocabulary(Protocol):
    """What the job asks of a vocabulary."""

    def encode(self, line: str, /) -> list[int]: ...

    def decode(self, ids: Sequence[int], /) -> str: ...

    def pieces(self, ids: Sequence[int], /) -> list[str]: ...


class Job(NamedTuple):
    """Which model translates, and how it searches (the meanings stand in the recipe's section `search`)."""

    model: Model
    source: Vocabulary
    target: Vocabulary
    beam: int
    length_penalty: float
    max_ratio: float
    max_extra: int
    batch: int
    n_best: int = 1
    alignments: bool = False
    longest_part: int = LONGEST_PART
    read_ahead: int = READ_AHEAD  # batches of lines; 0 translates each line as it comes


class Candidate(NamedTuple):
    """One translation of a line."""

    text: str  # without any line end
    score: float
    log_prob: float


class Translation(NamedTuple):
    """What became of one line."""

    number: int  # of the line, from 1
    candidates: list[Candidate]  # best first, at least one
    alignment: Alignment  # of the best one; empty if not asked for
    notes: list[str]  # what the user should know about this line

    @property
    def text(self) -> str:
        return self.candidates[0].text

    @property
    def score(self) -> float:
        return self.candidates[0].score


BLANK = Candidate("", 0.0, 0.0)


def translate_lines(lines: Iterable[tuple[str, str | None]], job: Job) -> Iterator[Translation]:
    """A translation for each line, in order; a line comes with a note on how it was read, or None."""
    first = 1
    for window in _windows(lines, max(1, job.read_ahead * job.batch)):
        plans = [_plan(number, *line, job) for number, line in enumerate(window, first)]
        found = iter(_search(job, [part for plan in plans for part in plan.parts]))
        for plan in plans:
            yield _translation(job, plan, list(islice(found, len(plan.parts))))
        first += len(window)


def _windows(lines: Iterable[tuple[str, str | None]], size: int) -> Iterator[list[tuple[str, str | None]]]:
    window: list[tuple[str, str | None]] = []
    characters = 0
    for line in lines:
        window.append(line)
        characters += len(line[0])
        if len(window) == size or characters >= WINDOW_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window


class _Plan(NamedTuple):
    """What will be done with one line."""

    number: int
    parts: list[list[int]]
    notes: list[str]


def _plan(number: int, line: str, note: str | None, job: Job) -> _Plan:
    notes = [note] if note else []
    if not line.strip():
        return _Plan(number, [], notes)
    ids = job.source.encode(line)
    if not ids:
        notes.append("nothing in this line has a piece in the source vocabulary: left blank")
        return _Plan(number, [], notes)
    slices = parts(job.source.pieces(ids), job.longest_part)
    if len(slices) > 1:
        notes.append(
            f"{len(ids):,} pieces, more than {job.longest_part}: translated in {len(slices):,} parts"
        )
    return _Plan(number, [ids[part] for part in slices], notes)


def _search(job: Job, sources: list[list[int]]) -> list[list[Hypothesis]]:
    """The hypotheses of each source; those of a length stand together."""
    options = Options(
        beam=job.beam,
        batch=job.batch,
        n_best=job.n_best,
        length_penalty=job.length_penalty,
        max_ratio=job.max_ratio,
        max_extra=job.max_extra,
        attention=job.alignments,
    )
    places = sorted(range(len(sources)), key=lambda place: len(sources[place]))
    found = dict(search(job.model, (Request(place, sources[place]) for place in places), options))
    return [found[place] for place in range(len(sources))]


def _translation(job: Job, plan: _Plan, found: list[list[Hypothesis]]) -> Translation:
    """Put the parts of a line together again, rank by rank."""
    if not found:
        return Translation(plan.number, [BLANK], [], plan.notes)
    best = [hypotheses[0] for hypotheses in found]
    notes = list(plan.notes)
    if not all(hypothesis.finished for hypothesis in best):
        pieces = sum(len(hypothesis.ids) for hypothesis in best)
        notes.append(f"the model found no end: its output was cut after {pieces:,} pieces")
    candidates = [_candidate(ranked, job.target.decode) for ranked in zip(*found, strict=False)]
    return Translation(plan.number, candidates, _alignment(job, plan, best) if job.alignments else [], notes)


def _candidate(parts: Sequence[Hypothesis], decode: Callable[[Sequence[int]], str]) -> Candidate:
    texts = [one_line(decode(part.ids)) for part in parts]
    return Candidate(
        " ".join(text for text in texts if text),
        sum(part.score for part in parts),
        sum(part.log_prob for part in parts),
    )


def one_line(text: str) -> str:
    """The text with a space for whatever any program takes for a line end."""
    return " ".join(text.splitlines())


def _alignment(job: Job, plan: _Plan, best: list[Hypothesis]) -> Alignment:
    pieces = job.source.pieces([piece for part in plan.parts for piece in part])
    subwords = are_subwords(pieces)
    source_words = word_numbers(pieces, subwords)
    pairs: Alignment = []
    done_pieces = done_words = 0
    for part, hypothesis in zip(plan.parts, best, strict=True):
        if hypothesis.weights is None:
            raise UsageError(
                "this model has no attention, so there are no alignments: leave --alignments out"
            )
        target_words = word_numbers(job.target.pieces(hypothesis.ids), subwords)
        weights = hypothesis.weights[: len(target_words), : len(part)]  # without eos on either side
        here = source_words[done_pieces : done_pieces + len(part)]
        pairs += align(weights, here, [done_words + word for word in target_words])
        done_pieces += len(part)
        done_words += len(set(target_words))
    return pairs
