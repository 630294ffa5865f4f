"""Lines too long for a recurrent network are translated in parts, cut where the least is lost."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from nmt.data.vocabulary import EOS, SPECIALS, UNK
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.job import Job, Line, Tokenizer
from nmt.decoding.mbr import select_mbr
from nmt.decoding.model import Floats
from nmt.decoding.options import Request
from nmt.errors import UsageError

STOPS = (".", "!", "?", "…", ";", ":")
WIDE_STOPS = ("。", "！", "？")  # written without a space after them


def split_tokens(pieces: list[str], longest: int) -> list[slice]:
    """Slices of at most `longest` pieces that cover them all, in order.

    Each ends in its second half, in this order of preference: at the last end of a sentence, at the last end
    of a word, or where it is full.
    """
    slices, start = [], 0
    subwords = are_subwords(pieces)
    while len(pieces) - start > longest:
        end = _cut(pieces, start, start + longest, subwords)
        slices.append(slice(start, end))
        start = end
    return [*slices, slice(start, len(pieces))]


def _cut(pieces: list[str], start: int, full: int, subwords: bool) -> int:
    word_end = None
    for end in range(full, (start + full) // 2, -1):
        between_words = not subwords or pieces[end].startswith(SPACE)
        sentence_end = pieces[end - 1].endswith(WIDE_STOPS) or (
            between_words and pieces[end - 1].endswith(STOPS)
        )
        if sentence_end:
            return end
        if between_words and word_end is None:
            word_end = end
    return word_end or full


SPACE = "▁"  # how a subword piece says that a word begins

Alignment = list[tuple[int, int]]  # pairs of source word and target word, from 0


def are_subwords(source_pieces: list[str]) -> bool:
    """Whether a line was cut into subwords (its first piece carries ▁), or came split into words."""
    return any(piece.startswith(SPACE) for piece in source_pieces)


def word_numbers(pieces: list[str], subwords: bool) -> list[int]:
    """The word that each piece belongs to, counted as between spaces in the text."""
    numbers, word = [], -1
    for piece in pieces:
        if word < 0 or not subwords or piece.startswith(SPACE):
            word += 1
        numbers.append(word)
    return numbers


def align_words(weights: Floats, source_words: list[int], target_words: list[int]) -> Alignment:
    """Each target piece's most attended source piece, as pairs of words, each pair once; weights [T, S]."""
    if not target_words:
        return []
    looked_at = weights.argmax(axis=-1).tolist()
    pairs = {(source_words[s], target) for s, target in zip(looked_at, target_words, strict=True)}
    return sorted(pairs, key=lambda pair: pair[::-1])


def replace_unknown(ids: Sequence[int], copies: Sequence[str], target: Tokenizer, *, subwords: bool) -> str:
    """The text of an output with `copies[t]` in the place of each unk at position t.

    A copied word stands between spaces, but for what follows it without one. Where several unk in a row are
    of one word, it is copied once.
    """
    text, start = "", 0
    spelt = target.pieces(ids)
    for place in [place for place, piece in enumerate(ids) if piece == UNK]:
        again = place == start > 0 and copies[place] == copies[place - 1]
        text = _joined(text, target.decode(ids[start:place]), _glued(spelt, start, subwords))
        text = text if again else _joined(text, copies[place], glued=False)
        start = place + 1
    return _joined(text, target.decode(ids[start:]), _glued(spelt, start, subwords))


def _glued(spelt: Sequence[str], start: int, subwords: bool) -> bool:
    """Whether what begins here follows without a space."""
    return subwords and start < len(spelt) and not spelt[start].startswith(SPACE)


def _joined(before: str, after: str, glued: bool) -> str:
    before, after = before.rstrip(), after.strip()
    return f"{before}{after}" if glued or not before or not after else f"{before} {after}"


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


class LinePlan(NamedTuple):
    """What is done with one line."""

    line: Line
    notes: list[str]
    pieces: list[str]
    requests: list[Request]  # one for each part of the line

    def noting(self, note: str) -> "LinePlan":
        """The plan with something more that the user should know."""
        return self._replace(notes=[*self.notes, note])


class TranslatedPart(NamedTuple):
    """A part of a line and what was found for it, best first."""

    words: list[int]  # of the line, that each of its source pieces belongs to
    hypotheses: list[Hypothesis]
    candidates: list[Candidate]


def assemble_translation(plan: LinePlan, found: Sequence[list[Hypothesis]], job: Job) -> Translation:
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
    candidates = [_join_parts(ranked) for ranked in zip(*(part.candidates for part in parts), strict=False)]
    alignment = _alignment(parts, job, subwords) if job.aligned else []
    return Translation(plan.line, candidates[: job.n_best], plan.notes, plan.pieces, alignment)


def _part(
    line: Line, words: list[int], hypotheses: list[Hypothesis], job: Job, subwords: bool
) -> TranslatedPart:
    candidates = [_candidate(hypothesis, line, words, job, subwords) for hypothesis in hypotheses]
    if job.utility:
        first = select_mbr([candidate.text for candidate in candidates], job.utility).place
        hypotheses, candidates = _put_first(first, hypotheses), _put_first(first, candidates)
    return TranslatedPart(words, hypotheses, candidates)


def _put_first(place: int, items: list[T]) -> list[T]:
    return [items[place], *items[:place], *items[place + 1 :]]


def _candidate(hypothesis: Hypothesis, line: Line, words: list[int], job: Job, subwords: bool) -> Candidate:
    if job.copy_unknown and UNK in hypothesis.ids:
        spelt = line.text.split()
        copies = [spelt[words[place]] for place in _looked_at(hypothesis, words).argmax(axis=-1).tolist()]
        text = replace_unknown(hypothesis.ids, copies, job.target, subwords=subwords)
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


def _join_parts(parts: Sequence[Candidate]) -> Candidate:
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


def _alignment(parts: Sequence[TranslatedPart], job: Job, subwords: bool) -> Alignment:
    pairs: Alignment = []
    done = 0  # target words
    for part in parts:
        best = part.hypotheses[0]
        numbers = word_numbers(job.target.pieces(best.ids), subwords)
        pairs += align_words(_looked_at(best, part.words), part.words, [done + word for word in numbers])
        done += len(set(numbers))
    return pairs
