"""Beam search over any model that can take one step; a beam of one is greedy search.

At every position each live hypothesis is continued with every piece, and the `beam` best continuations of
a sentence are kept. Those that end with eos are finished and leave the beam; the others go on. A sentence
leaves the batch as soon as nothing alive could still enter its `n_best`, so stopping early never changes what
is found.
"""

import math
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from nmt.data.subwords import BOS, EOS, PAD, UNK
from nmt.errors import DataError, UsageError
from nmt.recurrence.state import map_tensors

# Shape letters: B sentences, K beam width, R rows of the model's tensors (B*K, rounded up), S source
# positions, V vocabulary.

MemoryT = TypeVar("MemoryT")
StateT = TypeVar("StateT")
StateOut = TypeVar("StateOut", covariant=True)


class Step(Protocol[StateOut]):
    """What a model says at one position."""

    @property
    def logits(self) -> Tensor: ...  # [R, V]

    @property
    def state(self) -> StateOut: ...

    @property
    def weights(self) -> Tensor | None: ...  # [R, S], None without attention


class Model(Protocol[MemoryT, StateT]):
    """What search asks of a model; it must be in evaluation mode, since search draws nothing."""

    def encode(self, src: Tensor, /) -> MemoryT: ...

    def start(self, memory: MemoryT, /) -> StateT: ...

    def step(self, y: Tensor, state: StateT, memory: MemoryT, /) -> Step[StateT]: ...


class Hypothesis(NamedTuple):
    """One output: its pieces, and what the model thinks of it."""

    ids: list[int]  # without bos and eos
    score: float  # log_prob / penalty: what hypotheses are ranked by
    log_prob: float  # sum of token_log_probs
    token_log_probs: list[float]  # of each piece, and of eos where it is finished
    finished: bool  # False: cut at the longest length allowed, no eos
    weights: Tensor | None  # [len(token_log_probs), S] attention of each of them, if asked for


def penalty(length: int, alpha: float) -> float:
    """What a log probability is divided by (Wu et al., 2016, eq. 14); `length` counts pieces and eos."""
    return float(((5 + length) / 6) ** alpha)


def longest(pieces: int, max_ratio: float, max_extra: int) -> int:
    """Positions that search may take for a source of so many pieces (eos not counted); at least one."""
    return max(1, int(max_ratio * pieces) + max_extra)


def search(
    model: Model[MemoryT, StateT],
    src: Tensor,
    *,
    beam: int,
    length_penalty: float,
    max_ratio: float,
    max_extra: int,
    n_best: int = 1,
    attention: bool = False,
    unk: bool = True,
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of every sentence of `src` [B, S] (pieces, eos, pad), best first.

    Finished hypotheses come before those cut at the longest length, then the higher score, then the one found
    earlier. Of equal continuations that of the higher-ranked hypothesis comes first, then the more probable
    piece, then the lower id. `pad` and `bos` are never written, nor `unk` where it is False. There are fewer
    where the vocabulary is tiny.
    """
    if not 1 <= n_best <= beam:
        raise UsageError(f"{n_best} best of a beam of {beam}: ask for 1 to {beam}, or widen the beam")
    if not len(src):
        return []
    limits = [longest(pieces - 1, max_ratio, max_extra) for pieces in (src != PAD).sum(dim=1).tolist()]
    sentences = [_Sentence(limit, n_best, length_penalty) for limit in limits]
    forbidden = [PAD, BOS] if unk else [PAD, BOS, UNK]
    with torch.inference_mode():
        columns = _columns(model, src, sentences, beam, forbidden, attention)
    return [[_trace(columns, end) for end in sentence.ends] for sentence in sentences]


class _Column(NamedTuple):
    """The entries chosen at one position: `beam` for each sentence still in the batch, best first."""

    origins: list[int]  # the entry of the column before that each one continues
    pieces: list[int]
    log_probs: list[float]  # of the piece
    totals: list[float]  # of the hypothesis so far; -inf where there is none
    weights: Tensor | None


class _End(NamedTuple):
    """Where a hypothesis ends, and what it is ranked by."""

    score: float
    log_prob: float
    length: int
    entry: int
    finished: bool


@dataclass
class _Sentence:
    """The best ends found so far for one sentence."""

    limit: int
    n_best: int
    alpha: float
    ends: list[_End] = field(default_factory=list)

    def collect(self, column: _Column, length: int, entries: range) -> bool:
        """Take in the ends of the column at this length; True if nothing alive can still matter."""
        live = []
        for entry in entries:
            total = column.totals[entry]
            if math.isnan(total):
                raise DataError(
                    "the model's output is not a number: was it trained to the end without a NaN loss?"
                )
            if total == -math.inf:
                continue
            if column.pieces[entry] == EOS or length == self.limit:
                finished = column.pieces[entry] == EOS
                score = total / penalty(length, self.alpha)
                self.ends.append(_End(score, total, length, entry, finished))
            else:
                live.append(total)
        self.ends.sort(key=lambda end: (not end.finished, -end.score))
        del self.ends[self.n_best :]
        return not live or self._settled(max(live))

    def _settled(self, best: float) -> bool:
        # Log probabilities only fall, and no length divides by more than the longest one does.
        highest = best / penalty(self.limit, self.alpha)
        return len(self.ends) == self.n_best and highest <= self.ends[-1].score


class _Beams(NamedTuple, Generic[MemoryT, StateT]):
    """What the next step is taken from."""

    y: Tensor  # [R] the last piece of each hypothesis
    state: StateT
    memory: MemoryT
    live: Tensor  # [B, K] log probability of each hypothesis, best first; -inf where there is none
    origins: Tensor  # [B*K] its entry in the column before


class _Choice(NamedTuple):
    """The best continuations of each sentence, best first."""

    totals: Tensor  # [B, K] log probability of the hypothesis
    pieces: Tensor
    log_probs: Tensor  # of the piece
    parents: Tensor  # the row it continues


def _columns(
    model: Model[MemoryT, StateT],
    src: Tensor,
    sentences: list[_Sentence],
    beam: int,
    forbidden: list[int],
    attention: bool,
) -> list[_Column]:
    """Step until every sentence is settled; the ends are collected in `sentences`."""
    columns: list[_Column] = []
    beams = _first(model, src, beam)
    while sentences:
        step = model.step(beams.y, beams.state, beams.memory)
        choice = _continue(step.logits, beams.live, forbidden)
        columns.append(_column(choice, beams.origins, step.weights if attention else None))
        settled = [
            sentence.collect(columns[-1], len(columns), range(number * beam, (number + 1) * beam))
            for number, sentence in enumerate(sentences)
        ]
        sentences = [sentence for sentence, done in zip(sentences, settled, strict=True) if not done]
        beams = _next(beams, step.state, choice, [number for number, done in enumerate(settled) if not done])
    return columns


def _first(model: Model[MemoryT, StateT], src: Tensor, beam: int) -> _Beams[MemoryT, StateT]:
    everyone = torch.arange(len(src), device=src.device)
    memory = model.encode(src[_filled(everyone)])
    state = model.start(memory)
    sentence = everyone.repeat_interleave(beam)  # of each row
    rows = _filled(sentence)
    live = torch.full((len(src), beam), -math.inf, device=src.device)
    live[:, 0] = 0.0  # all start alike, so one of them starts
    bos = torch.full_like(rows, BOS)
    return _Beams(bos, _select(state, rows), _select(memory, rows), live, origins=sentence)


def _next(
    beams: _Beams[MemoryT, StateT], state: StateT, choice: _Choice, kept: list[int]
) -> _Beams[MemoryT, StateT]:
    keep = torch.tensor(kept, dtype=torch.long, device=choice.pieces.device)
    beam = choice.pieces.shape[1]
    entries = (keep[:, None] * beam + torch.arange(beam, device=keep.device)).flatten()
    # All rows of a sentence read the same memory, so only a sentence that leaves changes it.
    all_stay = len(kept) == len(choice.pieces)
    return _Beams(
        y=choice.pieces.flatten()[_filled(entries)],
        state=_select(state, _filled(choice.parents.flatten()[entries])),
        memory=beams.memory if all_stay else _select(beams.memory, _filled(entries)),
        live=choice.totals.masked_fill(choice.pieces == EOS, -math.inf)[keep],
        origins=entries,
    )


def _continue(logits: Tensor, live: Tensor, forbidden: list[int]) -> _Choice:
    sentences, beam = live.shape
    log_probs = logits[: sentences * beam].float().log_softmax(dim=-1)  # [B*K, V]
    log_probs[:, forbidden] = -math.inf
    # The best of a sentence are among the best of each of its hypotheses: few are left to add and sort.
    values, pieces = _best(log_probs, beam)
    width = pieces.shape[1]
    totals = (values.view(sentences, beam, width) + live[:, :, None]).flatten(1)
    totals, places = totals.sort(dim=1, descending=True, stable=True)
    totals, places = totals[:, :beam], places[:, :beam]
    first = torch.arange(sentences, device=live.device)[:, None] * beam
    chosen = first * width + places
    return _Choice(totals, pieces.flatten()[chosen], values.flatten()[chosen], first + places // width)


def _column(choice: _Choice, origins: Tensor, weights: Tensor | None) -> _Column:
    parents = choice.parents.flatten()
    return _Column(
        origins[parents].tolist(),
        choice.pieces.flatten().tolist(),
        choice.log_probs.flatten().tolist(),
        choice.totals.flatten().tolist(),
        None if weights is None else weights[parents],
    )


def _best(log_probs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row and their pieces, among equal values the lower piece first.

    `topk` orders equal values as it likes, so the rare row with a tie among them is sorted in full.
    """
    values, pieces = log_probs.topk(min(count + 1, log_probs.shape[1]), dim=1)
    tied = ((values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -math.inf)).any(dim=1)
    if tied.any():
        exact = log_probs[tied].sort(dim=1, descending=True, stable=True)
        values[tied], pieces[tied] = exact.values[:, : values.shape[1]], exact.indices[:, : values.shape[1]]
    return values[:, :count], pieces[:, :count]


def _select(tree: StateT, rows: Tensor) -> StateT:
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree)


def _filled(rows: Tensor) -> Tensor:
    """These rows, and the first of them again until the number suits the matrix product.

    A BLAS takes another route for a product of few rows, and rounds otherwise: MKL for three and fewer in any
    thread's share. With four and more for each thread a sentence's numbers are the same, bit for bit, with
    whatever it is translated.
    """
    if not len(rows):
        return rows
    missing = -len(rows) % (4 * torch.get_num_threads())
    return torch.cat([rows, rows[:1].expand(missing)])


def _trace(columns: list[_Column], end: _End) -> Hypothesis:
    """Follow a hypothesis from its end back to its beginning."""
    pieces, log_probs, weights, entry = [], [], [], end.entry
    for column in reversed(columns[: end.length]):
        pieces.append(column.pieces[entry])
        log_probs.append(column.log_probs[entry])
        if column.weights is not None:
            weights.append(column.weights[entry])
        entry = column.origins[entry]
    ids = pieces[::-1][: len(pieces) - end.finished]
    attention = torch.stack(weights[::-1]) if weights else None
    return Hypothesis(ids, end.score, end.log_prob, log_probs[::-1], end.finished, attention)
