"""The translation job: one line in, one line out, in order, whatever the line holds.

The same line gives the same text whatever stands beside it. Only sentences of exactly equal length share a
batch, so nothing is padded and every number is computed as if the sentence were alone; the search fills the
rows up so that the matrix products round alike too.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import torch

from nmt.data.subwords import EOS, SPECIALS
from nmt.decoding import LONGEST_PART, READ_AHEAD
from nmt.decoding.alignment import Alignment, align, are_subwords, word_numbers
from nmt.decoding.lines import Line, Reader, numbered
from nmt.decoding.long_lines import parts
from nmt.decoding.search import Hypothesis, Model, search
from nmt.errors import UsageError

BATCH_PIECES = 50  # a batch of longer sentences has fewer of them, so that it needs no more memory


class Vocabulary(Protocol):
    """What the job asks of a vocabulary."""

    def encode(self, line: str, /) -> list[int]: ...

    def decode(self, ids: Sequence[int], /) -> str: ...

    def pieces(self, ids: Sequence[int], /) -> list[str]: ...


class Job(NamedTuple):
    """Which model translates, and how it searches (the meanings stand in the recipe's section `search`)."""

    model: Model[Any, Any]
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
    device: torch.device = torch.device("cpu")


def settings(job: Job) -> dict[str, Any]:
    """What decides what comes out, in plain JSON values; the model is not among it."""
    others = ("model", "source", "target", "batch", "read_ahead", "device")
    return {name: value for name, value in job._asdict().items() if name not in others}


class Candidate(NamedTuple):
    """One translation of a line."""

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


def translate_lines(lines: Iterable[tuple[str, str | None]], job: Job) -> Iterator[Translation]:
    """A translation for each line, in order; a line comes with a note on how it was read, or None."""
    for window in Reader(numbered(lines)).windows(max(1, job.read_ahead * job.batch)):
        yield from translate_window(window.lines, job)


def translate_window(lines: Sequence[Line], job: Job) -> list[Translation]:
    """The translation of each of these lines."""
    plans = [_plan(line, job) for line in lines]
    found = iter(_search(job, [part for plan in plans for part in plan.parts]))
    return [_translation(job, plan, list(islice(found, len(plan.parts)))) for plan in plans]


class _Plan(NamedTuple):
    """What will be done with one line."""

    line: Line
    pieces: list[str]
    parts: list[list[int]]
    notes: list[str]


def _plan(line: Line, job: Job) -> _Plan:
    notes = list(line.notes)
    if line.error:
        return _Plan(line, [], [], [*notes, line.error])
    if not line.text.strip():
        return _Plan(line, [], [], notes)
    ids = job.source.encode(line.text)
    if not ids:
        notes.append("nothing in this line has a piece in the source vocabulary: left blank")
        return _Plan(line, [], [], notes)
    pieces = job.source.pieces(ids)
    slices = parts(pieces, job.longest_part)
    if len(slices) > 1:
        notes.append(
            f"{len(ids):,} pieces, more than {job.longest_part}: translated in {len(slices):,} parts"
        )
    return _Plan(line, pieces, [ids[part] for part in slices], notes)


def _search(job: Job, sources: list[list[int]]) -> list[list[Hypothesis]]:
    """The hypotheses of each source, found in batches of equal length."""
    by_length = defaultdict(list)
    for place, ids in enumerate(sources):
        by_length[len(ids)].append(place)
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for length, places in sorted(by_length.items()):
        size = max(1, min(job.batch, job.batch * BATCH_PIECES // length))
        for start in range(0, len(places), size):
            batch = places[start : start + size]
            for place, hypotheses in zip(batch, _search_batch(job, [sources[p] for p in batch]), strict=True):
                found[place] = hypotheses
    return found


def _search_batch(job: Job, sources: list[list[int]]) -> list[list[Hypothesis]]:
    src = torch.tensor([[*ids, EOS] for ids in sources], device=job.device)
    return search(
        job.model,
        src,
        beam=job.beam,
        length_penalty=job.length_penalty,
        max_ratio=job.max_ratio,
        max_extra=job.max_extra,
        n_best=job.n_best,
        attention=job.alignments,
    )


def _translation(job: Job, plan: _Plan, found: list[list[Hypothesis]]) -> Translation:
    """Put the parts of a line together again, rank by rank."""
    if not found:
        return Translation(plan.line, [BLANK], plan.notes, plan.pieces, [])
    best = [hypotheses[0] for hypotheses in found]
    notes = list(plan.notes)
    if not all(hypothesis.finished for hypothesis in best):
        pieces = sum(len(hypothesis.ids) for hypothesis in best)
        notes.append(f"the model found no end: its output was cut after {pieces:,} pieces")
    candidates = [_candidate(ranked, job.target) for ranked in zip(*found, strict=False)]
    alignment = _alignment(job, plan, best) if job.alignments else []
    return Translation(plan.line, candidates, notes, plan.pieces, alignment)


def _candidate(parts: Sequence[Hypothesis], target: Vocabulary) -> Candidate:
    texts = [one_line(target.decode(part.ids)) for part in parts]
    return Candidate(
        " ".join(text for text in texts if text),
        sum(part.score for part in parts),
        sum(part.log_prob for part in parts),
        [piece for part in parts for piece in _spelt(part, target)],
        [log_prob for part in parts for log_prob in part.token_log_probs],
    )


def _spelt(part: Hypothesis, target: Vocabulary) -> list[str]:
    return target.pieces(part.ids) + [SPECIALS[EOS]] * part.finished


def one_line(text: str) -> str:
    """The text with a space for whatever any program takes for a line end."""
    return " ".join(text.splitlines())


def _alignment(job: Job, plan: _Plan, best: list[Hypothesis]) -> Alignment:
    subwords = are_subwords(plan.pieces)
    source_words = word_numbers(plan.pieces, subwords)
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
