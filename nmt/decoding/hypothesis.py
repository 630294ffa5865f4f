"""Hypotheses: the live ones in the beams of a batch and their continuations, the state of each sentence's
search, and the results."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import BOS, PAD
from nmt.decoding.model import Floats, Ints, TokenScores
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError

Doubles = NDArray[np.float64]


IMPOSSIBLE = -1000.0  # log probability of a required token to which the model gives -inf


class BeamNode(NamedTuple):
    """The last token of a hypothesis, linked to the previous one; nodes without successors are freed."""

    token: int  # bos in the root
    log_prob: float
    weights: Floats | None  # [S] attention at this position, if it is needed
    progress: tuple[int, ...]  # tokens matched of each required sequence
    parent: "BeamNode | None"
    copies: frozenset[int] = frozenset()  # copy symbols of the source that it contains

    def path(self) -> list["BeamNode"]:
        """Return the nodes from the first token to this one, without bos."""
        nodes, node = [], self
        while node.parent is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


class BeamRows(NamedTuple):
    """The live hypotheses of a batch; those of a group are adjacent, best first.

    A group is a separate beam of its sentence; all sentences have the same number of groups.
    """

    nodes: list[BeamNode]  # [R]
    parents: Ints  # [R] row of the previous state that each continues; -1 at the start
    totals: Doubles  # [R] log probabilities
    groups: Ints  # [R] ascending


class Continuations(NamedTuple):
    """Candidate tokens to continue each row."""

    values: Doubles  # [R, C] log probabilities; -inf: not a candidate
    tokens: Ints  # [R, C]

    def block(self, rows: Ints, tokens: Ints) -> None:
        """Block tokens [N] of rows [N]."""
        pair, column = np.nonzero(self.tokens[rows] == tokens[:, None])
        self.values[rows[pair], column] = -np.inf

    def write(self, scores: TokenScores, rows: Ints, tokens: Ints, columns: Ints | int) -> None:
        """Write tokens [N] of rows [N] and their scores into columns, never as -inf."""
        self.values[rows, columns] = np.maximum(scores.gather(rows, tokens), IMPOSSIBLE)
        self.tokens[rows, columns] = tokens

    def add_missing(self, scores: TokenScores, rows: Ints, tokens: Ints) -> "Continuations":
        """Return the continuations with tokens [N] of ascending rows [N] added; pairs are distinct."""
        present = (self.tokens[rows] == tokens[:, None]) & (self.values[rows] > -np.inf)
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


def select_per_group(keys: Doubles, groups: Ints, width: int) -> Selection:
    """Select the `width` continuations of each group with the highest keys [R, C], never one of -inf.

    Of equal keys the lower row comes first, then the lower column.
    """
    if not len(groups):
        return Selection(groups, groups)
    columns = keys.shape[1]
    starts = np.searchsorted(groups, np.arange(groups[-1] + 1))
    ranks = np.arange(len(groups)) - starts[groups]
    grid = np.full((len(starts), int(ranks.max()) + 1, columns), -np.inf)
    grid[groups, ranks] = keys
    flat = grid.reshape(len(starts), -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, :width]
    group, index = np.nonzero(np.take_along_axis(flat, order, axis=1) > -np.inf)
    rank, column = np.divmod(order[group, index], columns)
    return Selection(starts[group] + rank, column)


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


class SentenceSearch:
    """The search for one sentence, apart from its live hypotheses."""

    def __init__(self, request: Request, memory: Any, options: Options) -> None:
        self.request, self.memory, self.options = request, memory, options
        self.required = list(dict.fromkeys(tuple(sequence) for sequence in request.required if sequence))
        if self.required and (options.sample or options.groups > 1):
            raise UsageError("sampling and diverse beam search cannot be combined with required phrases")
        tokens = len(request.source)
        self.minimum = max(options.min_length, int(np.ceil(options.min_ratio * tokens)))
        self.copies = frozenset(request.copies)
        given = len(request.prefix) + sum(map(len, self.required)) + len(self.copies)
        needed = max(self.minimum, given) + 1
        self.limit = max(1, int(options.max_ratio * tokens) + options.max_extra, needed)
        self.length = 0  # positions so far
        self.root = BeamNode(BOS, 0.0, None, (0,) * len(self.required), None)
        if options.sample:
            self.uniforms = draw_uniforms(request, self.limit, options)
        self.is_restricted = bool(
            self.required or request.forbidden or request.closed or options.no_repeat_ngram
        )
        self.ended: list[list[Hypothesis]] = [[] for _ in range(options.group_count)]

    def count_missing(self, node: BeamNode) -> int:
        """Count the required sequences that a hypothesis does not contain."""
        return sum(met < len(sequence) for met, sequence in zip(node.progress, self.required, strict=True))

    def ends_word(self, node: BeamNode) -> bool:
        """Return True if the prefix, or a required sequence that ends a word, was completed by this node."""
        closed = self.request.closed
        if not closed or node.parent is None:
            return False
        if self.length == len(self.request.prefix) and tuple(self.request.prefix) in closed:
            return True
        return any(
            before < now == len(sequence) and sequence in closed
            for before, now, sequence in zip(node.parent.progress, node.progress, self.required, strict=True)
        )

    def count_missing_copies(self, node: BeamNode) -> int:
        """Count the copy symbols that a hypothesis does not contain."""
        return len(self.copies) - len(node.copies)

    def add_copy(self, node: BeamNode, token: int) -> frozenset[int]:
        """Return the copy symbols of a hypothesis with one more token."""
        return node.copies | {token} if token in self.copies else node.copies

    def end(self, group: int, node: BeamNode, log_prob: float, finished: bool) -> None:
        """Record the end of a hypothesis, if it is among the best of its group."""
        path, options, ended = node.path(), self.options, self.ended[group]
        weights = [step.weights for step in path if step.weights is not None]
        hypothesis = Hypothesis(
            [step.token for step in path][: len(path) - finished],
            options.ranking.score(log_prob, len(path), weights),
            log_prob,
            [step.log_prob for step in path],
            finished,
            np.stack(weights) if weights and options.attention else None,
            self.count_missing(node),
        )
        ended.append(hypothesis)
        ended.sort(key=Hypothesis.sort_key)
        del ended[options.ends_per_group :]

    def is_done(self, groups: Sequence[int], log_probs: Sequence[float]) -> bool:
        """Return True if no live hypothesis, given by group and log probability, can enter the results."""
        return all(
            len(self.ended[group]) == self.options.ends_per_group
            and self.options.ranking.bound(log_prob, self.length, self.limit) <= self.ended[group][-1].score
            for group, log_prob in zip(groups, log_probs, strict=True)
        )

    def hypotheses(self) -> list[Hypothesis]:
        """Return the `n_best` results, best first; of equal ones that of the earlier group first.

        Each group contributes its share; outputs of earlier groups are not repeated.
        """
        share, options = -(-self.options.n_best // self.options.group_count), self.options
        results: dict[tuple[object, ...], Hypothesis] = {}
        for group, ended in enumerate(self.ended):
            distinct = group if options.sample else 0  # two samples may be equal
            keyed = [((distinct, one.finished, *one.ids), one) for one in ended]
            results |= dict([(key, one) for key, one in keyed if key not in results][:share])
        return sorted(results.values(), key=Hypothesis.sort_key)[: options.n_best]


def draw_uniforms(request: Request, limit: int, options: Options) -> Doubles:
    """Draw a number in [0, 1) for each sample and position, from the seed and the request alone."""
    seed = [options.seed, *(request.draws or [request.number])]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random((options.n_best, limit))
