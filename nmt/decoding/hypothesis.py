"""Hypotheses: the live ones in the beams of a batch and their continuations, the state of each sentence's
search, and the results."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import EOS, PAD
from nmt.decoding.model import Doubles, Floats, Ints, TokenScores
from nmt.decoding.options import CANNOT_REQUIRE, Options, Request
from nmt.errors import UsageError

IMPOSSIBLE = -1000.0  # log probability of a required token to which the model gives -inf


class Track(NamedTuple):
    """The part of its constraints that a hypothesis has met."""

    progress: tuple[int, ...] = ()  # tokens matched of each required sequence
    previous_progress: tuple[int, ...] = ()  # the same without the last token
    copies: frozenset[int] = frozenset()  # copy symbols of the source that it contains


UNTRACKED = Track()


class BeamRows(NamedTuple):
    """The live hypotheses of a batch; those of a group are adjacent, best first.

    A group is a separate beam of its sentence; all sentences have the same number of groups.
    """

    tokens: Ints  # [R] the last of each; bos at the start
    entries: Ints  # [R] in the last position of the `BeamHistory`; -1 at the start
    parents: Ints  # [R] row of the previous state that each continues; -1 at the start
    totals: Doubles  # [R] log probabilities
    groups: Ints  # [R] ascending
    tracks: Sequence[Track]  # [R]; empty if no sentence has constraints that are tracked

    def keep(self, mask: NDArray[np.bool_]) -> "BeamRows":
        """Return the rows for which the mask is True."""
        if mask.all():
            return self
        tokens, entries, parents, totals, groups, tracks = self
        tracks = [track for track, kept in zip(tracks, mask.tolist(), strict=False) if kept]
        return BeamRows(tokens[mask], entries[mask], parents[mask], totals[mask], groups[mask], tracks)

    def join(self, other: "BeamRows") -> "BeamRows":
        """Return these rows followed by others."""
        tracks = list[Track]()
        if self.tracks or other.tracks:
            tracks = [
                track for rows in (self, other) for track in rows.tracks or [UNTRACKED] * len(rows.tokens)
            ]
        return BeamRows(
            np.concatenate([self.tokens, other.tokens]),
            np.concatenate([self.entries, other.entries]),
            np.concatenate([self.parents, other.parents]),
            np.concatenate([self.totals, other.totals]),
            np.concatenate([self.groups, other.groups]),
            tracks,
        )


class HistoryPosition(NamedTuple):
    """What the search selected at one position, in one array for all hypotheses."""

    tokens: Ints  # [N]
    log_probs: Doubles  # [N]
    parents: Ints  # [N] entries of the position before; -1 at the start
    weights: Sequence[Floats]  # [N] attention over the source [S]; empty if it is not needed


class TokenPath(NamedTuple):
    """The tokens of a hypothesis, with their log probabilities and attention."""

    tokens: list[int]
    log_probs: list[float]
    weights: list[Floats]


class BeamHistory:
    """The last positions of a search. A hypothesis is an entry of one; parents are backpointers."""

    def __init__(self) -> None:
        self.positions = list[HistoryPosition]()

    def backtrace(self, entry: int, steps_back: int = 0) -> TokenPath:
        """Return the path that ends with an entry of the last position, or of one that many steps back."""
        tokens, log_probs, weights = list[int](), list[float](), list[Floats]()
        index = len(self.positions) - 1 - steps_back
        while entry >= 0:
            position = self.positions[index]
            tokens.append(int(position.tokens[entry]))
            log_probs.append(float(position.log_probs[entry]))
            if position.weights:
                weights.append(position.weights[entry])
            entry, index = int(position.parents[entry]), index - 1
        return TokenPath(tokens[::-1], log_probs[::-1], weights[::-1])

    def truncate(self, length: int) -> None:
        """Discard all positions but the last `length`."""
        del self.positions[: len(self.positions) - length]


class Continuations(NamedTuple):
    """Candidate tokens to continue each row."""

    values: Doubles  # [R, C] log probabilities; -inf: not a candidate
    tokens: Ints  # [R, C]

    def block_everywhere(self, tokens: Sequence[int]) -> None:
        """Block some tokens in all rows."""
        for token in tokens:
            self.values[self.tokens == token] = -np.inf

    def block(self, rows: Ints, tokens: Ints) -> None:
        """Block tokens [N] of rows [N]."""
        pair, column = np.nonzero(self.tokens[rows] == tokens[:, None])
        self.values[rows[pair], column] = -np.inf

    def write(self, scores: TokenScores, rows: Ints, tokens: Ints, columns: Ints | int) -> None:
        """Write tokens [N] of rows [N] and their scores into columns, never as -inf."""
        self.values[rows, columns] = np.maximum(scores.gather(rows, tokens), IMPOSSIBLE)
        self.tokens[rows, columns] = tokens

    def add_missing(self, scores: TokenScores, rows: Ints, tokens: Ints) -> "Continuations":
        """Return the continuations with tokens [N] of ascending rows [N] added; pairs are distinct.

        Those that are present are scored as those that are not, which may be rounded differently.
        """
        present = (self.tokens[rows] == tokens[:, None]) & (self.values[rows] > -np.inf)
        pair, column = np.nonzero(present)
        self.write(scores, rows[pair], tokens[pair], column)
        missing = ~present.any(axis=1)
        rows, tokens = rows[missing], tokens[missing]
        columns = np.arange(len(rows)) - np.searchsorted(rows, rows)
        shape = len(self.values), int(columns.max(initial=-1)) + 1
        added = Continuations(np.full(shape, -np.inf), np.full(shape, PAD))
        added.write(scores, rows, tokens, columns)
        return Continuations(*(np.concatenate(both, axis=1) for both in zip(self, added, strict=True)))


class Selection(NamedTuple):
    """Continuations to keep, in the order of their groups, best first."""

    rows: Ints  # [N]
    columns: Ints  # [N]


class Hypothesis(NamedTuple):
    """One output and its scores."""

    ids: list[int]  # without bos and eos
    score: float  # by which hypotheses are ranked
    log_prob: float  # sum of token_log_probs
    token_log_probs: list[float]  # of each token, and of eos if it is finished
    finished: bool  # False: cut at the maximum length, without eos
    weights: Floats | None  # [len(token_log_probs), S] attention, if requested and the model has it
    missing: int = 0  # required sequences that it does not contain

    def sort_key(self) -> tuple[bool, int, float]:
        """Return a sort key: finished first, then fewer missing sequences, then the higher score."""
        return not self.finished, self.missing, -self.score


class EndedHypothesis(NamedTuple):
    """A hypothesis that ended; the lowest is the best. It is traced back when its sentence is done."""

    is_cut: bool  # at the maximum length, without eos
    missing: int  # required sequences that it does not contain
    cost: float  # the negative score
    log_prob: float
    entry: int  # of the history ...
    length: int  # ... after so many positions of the sentence


class SentenceSearch:
    """The search for one sentence, apart from its live hypotheses."""

    def __init__(self, request: Request, memory: Any, options: Options) -> None:
        self.request, self.memory, self.options = request, memory, options
        self.required = list(dict.fromkeys(tuple(sequence) for sequence in request.required if sequence))
        if self.required and not options.can_require:
            raise UsageError(CANNOT_REQUIRE)
        tokens = len(request.source)
        self.minimum = max(options.min_length, int(np.ceil(options.min_ratio * tokens)))
        self.copies = frozenset(request.copies)
        self.is_tracked = bool(self.required or self.copies)
        given = len(request.prefix) + sum(map(len, self.required)) + len(self.copies)
        needed = max(self.minimum, given) + 1
        self.limit = max(1, int(options.max_ratio * tokens) + options.max_extra, needed)
        self.length = 0  # positions so far
        self.root = Track((0,) * len(self.required)) if self.is_tracked else UNTRACKED
        if options.sample:
            self.uniforms = draw_uniforms(request, self.limit, options)
        self.is_restricted = bool(
            self.required or request.forbidden or request.closed or options.no_repeat_ngram
        )
        self.is_free = not (self.is_restricted or self.is_tracked or request.prefix or self.minimum)
        self.is_plain = self.is_free and not request.symbols  # nothing is blocked or forced
        self.ended: list[list[EndedHypothesis]] = [[] for _ in range(options.group_count)]

    def count_missing(self, track: Track) -> int:
        """Count the required sequences that a hypothesis does not contain."""
        return sum(met < len(sequence) for met, sequence in zip(track.progress, self.required, strict=True))

    def ends_word(self, track: Track) -> bool:
        """Return True if the last token completed the prefix, or a required sequence, that ends a word."""
        closed = self.request.closed
        if not closed or not self.length:
            return False
        if self.length == len(self.request.prefix) and tuple(self.request.prefix) in closed:
            return True
        return any(
            before < now == len(sequence) and sequence in closed
            for before, now, sequence in zip(
                track.previous_progress, track.progress, self.required, strict=True
            )
        )

    def count_missing_copies(self, track: Track) -> int:
        """Count the copy symbols that a hypothesis does not contain."""
        return len(self.copies) - len(track.copies)

    def end(
        self,
        group: int,
        entry: int,
        log_prob: float,
        track: Track,
        history: BeamHistory,
        *,
        steps_back: int = 0,
    ) -> None:
        """Record the end of a hypothesis, if it is among the best of its group.

        Its entry is in the last position of the history, or that many steps back; with eos it is finished.
        """
        options, ended, length = self.options, self.ended[group], self.length - steps_back
        position = history.positions[-1 - steps_back] if length else None
        weights = history.backtrace(entry, steps_back).weights if options.coverage_penalty else []
        ended.append(
            EndedHypothesis(
                position is None or position.tokens[entry] != EOS,
                self.count_missing(track),
                -options.ranking.score(log_prob, length, weights),
                log_prob,
                entry,
                length,
            )
        )
        ended.sort(key=lambda one: one[:3])
        del ended[options.ends_per_group :]

    def is_done(self, groups: Sequence[int], log_probs: Sequence[float]) -> bool:
        """Return True if no live hypothesis, given by group and log probability, can enter the results."""
        return all(
            len(self.ended[group]) == self.options.ends_per_group
            and self.options.ranking.bound(log_prob, self.length, self.limit) <= -self.ended[group][-1].cost
            for group, log_prob in zip(groups, log_probs, strict=True)
        )

    def thresholds(self, positions: int) -> tuple[Sequence[float], float]:
        """Return bounds of the log probabilities of hypotheses that cannot enter the results.

        Those that end at each of the next positions, and those that are live until then.
        """
        ended, options = self.ended[0], self.options
        if len(ended) < options.ends_per_group:
            return [-np.inf] * positions, -np.inf
        lengths = range(self.length + 1, self.length + positions + 1)
        return options.ranking.thresholds(-ended[-1].cost, lengths, self.limit)

    def hypotheses(self, history: BeamHistory) -> list[Hypothesis]:
        """Return the `n_best` results, best first; of equal ones that of the earlier group first.

        Each group contributes its share; outputs of earlier groups are not repeated.
        """
        share, options = -(-self.options.n_best // self.options.group_count), self.options
        results: dict[tuple[object, ...], Hypothesis] = {}
        for group, ended in enumerate(self.ended):
            distinct = group if options.sample else 0  # two samples may be equal
            found = [self._trace(one, history) for one in ended]
            keyed = [((distinct, one.finished, *one.ids), one) for one in found]
            results |= dict([(key, one) for key, one in keyed if key not in results][:share])
        return sorted(results.values(), key=Hypothesis.sort_key)[: options.n_best]

    def _trace(self, one: EndedHypothesis, history: BeamHistory) -> Hypothesis:
        tokens, log_probs, weights = history.backtrace(one.entry, self.length - one.length)
        ids = tokens if one.is_cut else tokens[:-1]
        attention = np.stack(weights) if weights and self.options.attention else None
        return Hypothesis(ids, -one.cost, one.log_prob, log_probs, not one.is_cut, attention, one.missing)


def draw_uniforms(request: Request, limit: int, options: Options) -> Doubles:
    """Draw a number in [0, 1) for each sample and position, from the seed and the request alone."""
    seed = [options.seed, *(request.draws or [request.number])]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random((options.n_best, limit))
