"""One sentence and what a translator did with it: its words, its attention, its gates, its beam."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.data.vocabulary.vocabulary import BOS, EOS
from nmt.decoding.beam import Expansion, search
from nmt.decoding.job import Job
from nmt.decoding.options import Request
from nmt.errors import UsageError
from nmt.lab.inspect.beam import Branch, tree
from nmt.model.translator import Translator
from nmt.training.gate_recording import Watched, watching

RUNNERS_UP = 8
"""Pieces of which the probability is told at each position."""
DIGITS = 5
"""After the point, of attention and values written as text."""


class Word(NamedTuple):
    """A piece that was written, and what the model would have liked best in its place."""

    piece: str
    log_prob: float
    likeliest: list[tuple[str, float]]  # pieces and log probabilities, best first


class Recurrence(NamedTuple):
    """One cell over the sentence: values [T, H] by name, gates first, then the fields of the state."""

    side: str  # "encoder" or "decoder"
    layer: int  # from 1
    direction: str
    cell: str
    gates: tuple[str, ...]
    unnamed: tuple[str, ...]  # gates that the step gives no name, of which there are no values
    equations: str  # the step, as it stands in the cell's file
    values: dict[str, Tensor]

    @property
    def title(self) -> str:
        """Where it stands in the model."""
        return f"{self.side}, layer {self.layer}, {self.direction}"

    @property
    def varying(self) -> Tensor:
        """The units [H], first those whose h varies most over the positions."""
        return self.values["h"].std(dim=0, correction=0).argsort(descending=True, stable=True)


class Sentence(NamedTuple):
    """A sentence seen from inside."""

    text: str
    translation: str
    source: list[str]  # pieces, with the end
    words: list[Word]  # that were written, with the end where one was found
    score: float  # that the translation is ranked by
    attention: Tensor | None  # [T, S]
    recurrences: list[Recurrence]  # the encoder's over the source, the decoder's over the words written
    beam: list[Branch]
    spelling: dict[int, str]  # of the pieces in the beam

    @property
    def log_prob(self) -> float:
        """Of the whole translation, its end included."""
        return sum(word.log_prob for word in self.words)


def sentence(model: Translator, job: Job, text: str) -> Sentence:
    """Translate a line as the job says, and read the best translation again while the model is watched.

    Raises UsageError for a line that holds nothing, or is too long to be read in one part.
    """
    ids = _ids(job, text)
    expansions: list[Expansion] = []
    [(_, [best, *_])] = search(job.model, [Request(0, ids)], job.options, expansions.append)
    written = [*best.ids, *[EOS] * best.finished]
    log_probs, attention, watched = _forced(model, [*ids, EOS], written)
    beam = tree(expansions, best, job.options)
    return Sentence(
        text,
        job.target.decode(best.ids),
        job.source.pieces([*ids, EOS]),
        _words(job, written, log_probs),
        best.score,
        attention,
        [_recurrence(one) for one in watched],
        beam,
        _spelling(job, [branch.piece for branch in beam]),
    )


def _ids(job: Job, text: str) -> list[int]:
    ids = job.source.encode(text)
    if not ids:
        raise UsageError("the sentence has no piece in the source vocabulary: there is nothing to look at")
    if len(ids) > job.longest_part:
        raise UsageError(
            f"the sentence has {len(ids):,} pieces, more than {job.longest_part}: take a shorter one"
        )
    return ids


@torch.no_grad()
def _forced(
    model: Translator, source: list[int], written: list[int]
) -> tuple[Tensor, Tensor | None, list[Watched]]:
    """Log probabilities [T, V] and attention [T, S] where the model reads what it wrote."""
    device = next(model.parameters()).device
    src, tgt_in = (torch.tensor([row], device=device) for row in (source, [BOS, *written[:-1]]))
    with watching(model) as watched:
        seen = model.unroll(model.encode(src), tgt_in, attended=True)
        log_probs = model.output(seen.features[0]).log_softmax(-1)
    return log_probs.cpu(), None if seen.weights is None else seen.weights[0].cpu(), watched


def _words(job: Job, written: Sequence[int], log_probs: Tensor) -> list[Word]:
    values, pieces = log_probs.topk(min(RUNNERS_UP, log_probs.shape[1]), dim=1)
    return [
        Word(
            piece, row[own].item(), list(zip(job.target.pieces(best.tolist()), likely.tolist(), strict=True))
        )
        for own, piece, row, likely, best in zip(
            written, job.target.pieces(written), log_probs, values, pieces, strict=True
        )
    ]


def _recurrence(watched: Watched) -> Recurrence:
    values = {name: value[:, 0].cpu() for name, value in watched.values.items()}
    return Recurrence(
        watched.side,
        watched.layer,
        watched.direction,
        watched.cell,
        watched.gates,
        watched.unnamed,
        watched.equations,
        values,
    )


def _spelling(job: Job, ids: Sequence[int]) -> dict[int, str]:
    different = sorted(set(ids))
    return dict(zip(different, job.target.pieces(different), strict=True))


def ends(values: Tensor) -> tuple[float, float]:
    """Between what values are drawn: 0 and 1 if all lie there, as a gate's, else with 0 in the middle."""
    reach = max(values.abs().max().item(), 1e-6)
    return (0.0, 1.0) if values.min() >= 0 and reach <= 1 else (-reach, reach)


def plain(found: Sentence) -> dict[str, Any]:
    """All that is known of a sentence, in plain JSON values; those of a recurrence are [T][H]."""
    recurrences = [
        one._asdict() | {"values": {name: _rounded(value) for name, value in one.values.items()}}
        for one in found.recurrences
    ]
    return {
        "text": found.text,
        "translation": found.translation,
        "score": found.score,
        "log_prob": found.log_prob,
        "source": found.source,
        "words": [word._asdict() for word in found.words],
        "attention": None if found.attention is None else _rounded(found.attention),
        "beam": [{**branch._asdict(), "piece": found.spelling[branch.piece]} for branch in found.beam],
        "recurrences": recurrences,
    }


def first(found: Sentence, positions: int) -> Sentence:
    """A sentence without what was read and written after its first positions; texts and score stay whole."""
    attention = None if found.attention is None else found.attention[:positions, :positions]
    return found._replace(
        source=found.source[:positions],
        words=found.words[:positions],
        attention=attention,
        recurrences=[
            one._replace(values={name: value[:positions] for name, value in one.values.items()})
            for one in found.recurrences
        ],
        beam=[branch for branch in found.beam if branch.position < positions],
    )


def _rounded(values: Tensor) -> list[Any]:
    """As lists of numbers of so many digits that they do not fill a file with them."""
    rows: list[Any] = values.double().mul(10**DIGITS).round().div(10**DIGITS).tolist()
    return rows
