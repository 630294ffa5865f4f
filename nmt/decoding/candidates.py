"""Continuations of the live hypotheses: blocked tokens, their scores, and the selection of those kept."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nmt.data.vocabulary import BOS, EOS, PAD, UNK
from nmt.decoding.beam_rows import BeamRows, Doubles, Selection, select_per_group
from nmt.decoding.constraints import required_tokens, select_constrained
from nmt.decoding.hypothesis import Node, SentenceSearch
from nmt.decoding.model import Floats, Ints, Scores
from nmt.decoding.options import Options
from nmt.decoding.sampling import sample_tokens
from nmt.errors import DataError


def blocked_tokens(sentence: SentenceSearch, node: Node) -> Iterator[int]:
    """The pieces that may not follow this hypothesis; some may come twice."""
    if sentence.length < sentence.minimum or sentence.missing(node):
        yield EOS
    order, sequences = sentence.options.no_repeat_ngram, sentence.request.must_not
    if order or sequences:
        ids = [step.piece for step in node.path()]
        if order:
            yield from repeated_ngram_tokens(ids, order)
        for sequence in sequences:
            if sequence and _ends_with(ids, sequence[:-1]):
                yield sequence[-1]


def repeated_ngram_tokens(ids: list[int], order: int) -> Iterator[int]:
    """What would make an n-gram of this order come twice (Paulus et al., 2018)."""
    if len(ids) < order:
        return
    last = ids[len(ids) - order + 1 :]
    for start in range(len(ids) - order + 1):
        if ids[start : start + order - 1] == last:
            yield ids[start + order - 1]


def _ends_with(ids: list[int], sequence: Sequence[int]) -> bool:
    return not sequence or ids[-len(sequence) :] == list(sequence)


IMPOSSIBLE = -1000.0  # log probability of a piece that must be written where the model rules it out


class Continuations(NamedTuple):
    """Continuations of each row."""

    values: Doubles  # [R, C] log probabilities; -inf where there is none
    pieces: Ints  # [R, C]

    def strike(self, rows: Ints, pieces: Ints) -> None:
        """Take out pieces [N] of rows [N]."""
        pair, column = np.nonzero(self.pieces[rows] == pieces[:, None])
        self.values[rows[pair], column] = -np.inf

    def put(self, scores: Scores, rows: Ints, pieces: Ints, columns: Ints | int) -> None:
        """Write pieces [N] of rows [N], which must be possible, into these columns."""
        self.values[rows, columns] = np.maximum(scores.of(rows, pieces), IMPOSSIBLE)
        self.pieces[rows, columns] = pieces

    def with_pieces(self, scores: Scores, rows: Ints, pieces: Ints) -> "Continuations":
        """With pieces [N] of ascending rows [N] added, each pair given once, where they are missing."""
        there = (self.pieces[rows] == pieces[:, None]) & (self.values[rows] > -np.inf)
        missing = ~there.any(axis=1)
        rows, pieces = rows[missing], pieces[missing]
        columns = np.arange(len(rows)) - np.searchsorted(rows, rows)
        shape = len(self.values), int(columns.max(initial=-1)) + 1
        more = Continuations(np.full(shape, -np.inf), np.full(shape, PAD))
        more.put(scores, rows, pieces, columns)
        return Continuations(*(np.concatenate(both, axis=1) for both in zip(self, more, strict=True)))


def score_continuations(
    scores: Scores, nodes: Sequence[Node], owners: Sequence[SentenceSearch], options: Options, more: int = 0
) -> Continuations:
    """Continuations of each hypothesis, enough that the best of its lane are among them, and `more`.

    Raises DataError where the model gives no number.
    """
    forced = [(row, s.request.prefix[s.length]) for row, s in enumerate(owners) if s.is_forced]
    if len(forced) == len(owners):
        found = Continuations(np.empty((len(owners), 1)), np.empty((len(owners), 1), np.int64))
    else:
        found = _free(scores, nodes, owners, options, more)
    if forced:
        rows, pieces = _columns(forced)
        found.values[rows] = -np.inf
        found.put(scores, rows, pieces, 0)
    if np.isnan(found.values).any():
        raise DataError("the model's output is not a number: was it trained to the end without a NaN loss?")
    return found


def _free(
    scores: Scores, nodes: Sequence[Node], owners: Sequence[SentenceSearch], options: Options, more: int
) -> Continuations:
    """Candidates of rows that are not forced; those of the others mean nothing."""
    restricted = [row for row, s in enumerate(owners) if s.is_restricted]
    banned = {(row, piece) for row in restricted for piece in blocked_tokens(owners[row], nodes[row])}
    asked_for = {(row, piece) for row in restricted for piece in required_tokens(owners[row], nodes[row])}
    never = [PAD, BOS] if options.unk else [PAD, BOS, UNK]
    most = int(np.bincount([row for row, _ in banned]).max()) if banned else 0
    values, pieces = _pool(scores, len(never) + most + more, options)
    found = Continuations(np.array(values, np.float64), np.array(pieces, np.int64))
    if asked_for:
        found = found.with_pieces(scores, *_columns(sorted(asked_for)))
    for piece in never:
        found.values[found.pieces == piece] = -np.inf
    if banned:
        found.strike(*_columns(sorted(banned)))
    return found


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    rows, pieces = np.array(pairs, dtype=np.int64).T
    return rows, pieces


def _pool(scores: Scores, spare: int, options: Options) -> tuple[Floats, Ints]:
    """The best of each row, so many that they suffice when `spare` of them are ruled out."""
    if not options.sample:
        return scores.best(options.beam + spare)
    if options.top_k:
        return scores.best(options.top_k + spare)
    everything = scores.all()
    if options.top_p < 1:
        return scores.best(everything.shape[1])
    return everything, np.broadcast_to(np.arange(everything.shape[1]), everything.shape)


def select_diverse(keys: Doubles, pieces: Ints, lanes: Ints, options: Options) -> Selection:
    """The best continuations of each group; lanes [R] are groups of sentences, keys and pieces [R, C].

    A piece costs `diversity` for each time that an earlier group of the sentence chose it at this position
    (their Hamming diversity). The cost chooses, it is no part of a hypothesis' log probability.
    """
    sentences, groups = np.divmod(lanes, options.groups)
    taken = np.full((sentences[-1] + 1, options.beam), -1)
    chosen = []
    for group in range(options.groups):
        rows = np.flatnonzero(groups == group)
        times = (pieces[rows, :, None] == taken[sentences[rows], None, :]).sum(axis=-1)
        best = select_per_group(keys[rows] - options.diversity * times, sentences[rows], options.width)
        best = Selection(rows[best.rows], best.columns)
        _note(taken, sentences[best.rows], pieces[best], group * options.width)
        chosen.append(best)
    return Selection(*map(np.concatenate, zip(*chosen, strict=True))).by_lane(lanes)


def _note(taken: Ints, sentences: Ints, pieces: Ints, first: int) -> None:
    """Write what was chosen for ascending sentences into their columns from the first on."""
    places = np.arange(len(sentences)) - np.searchsorted(sentences, sentences)
    taken[sentences, first + places] = pieces


def select(
    found: Continuations, rows: BeamRows, owners: Sequence[SentenceSearch], options: Options
) -> Selection:
    """What becomes of the live hypotheses; `owners` are their sentences."""
    if options.sample:
        drawn = zip(owners, (rows.lanes % options.lanes).tolist(), strict=True)
        return sample_tokens(
            found.values, np.array([s.uniforms[lane, s.length] for s, lane in drawn]), options
        )
    keys = rows.totals[:, None] + found.values
    if options.groups > 1:
        return select_diverse(keys, found.pieces, rows.lanes, options)
    if not any(s.must for s in owners):
        return select_per_group(keys, rows.lanes, options.width)
    return _some_constrained(keys, found, rows, owners, options)


def _some_constrained(
    keys: Doubles, found: Continuations, rows: BeamRows, owners: Sequence[SentenceSearch], options: Options
) -> Selection:
    """Sentences that must contain something one by one, the others together."""
    free = np.flatnonzero([not s.must for s in owners])
    best = select_per_group(keys[free], rows.lanes[free], options.width)
    chosen = [Selection(free[best.rows], best.columns)]
    for sentence in dict.fromkeys(s for s in owners if s.must):
        own = np.flatnonzero([s is sentence for s in owners])
        progress = [rows.nodes[row].progress for row in own.tolist()]
        best = select_constrained(sentence.must, progress, keys[own], found.pieces[own], options.width)
        chosen.append(Selection(own[best.rows], best.columns))
    return Selection(*map(np.concatenate, zip(*chosen, strict=True))).by_lane(rows.lanes)
