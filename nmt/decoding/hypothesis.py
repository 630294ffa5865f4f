"""Hypotheses: while they grow, and when they are handed out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import BOS
from nmt.decoding.model import Floats
from nmt.decoding.options import Options, Request
from nmt.errors import UsageError


class Node(NamedTuple):
    """The last piece of a hypothesis, linked to what came before; what nobody continues is forgotten."""

    piece: int  # bos in the node that all begin with
    log_prob: float
    weights: Floats | None  # [S] attention of this position, if it is needed
    progress: tuple[int, ...]  # pieces met of each sequence that the output must contain
    before: "Node | None"

    def path(self) -> list["Node"]:
        """From the first piece to this one, without bos."""
        nodes, node = [], self
        while node.before is not None:
            nodes.append(node)
            node = node.before
        return nodes[::-1]


class Hypothesis(NamedTuple):
    """One output: its pieces, and what the model thinks of it."""

    ids: list[int]  # without bos and eos
    score: float  # what hypotheses are ranked by
    log_prob: float  # sum of token_log_probs
    token_log_probs: list[float]  # of each piece, and of eos where it is finished
    finished: bool  # False: cut at the longest length allowed, no eos
    weights: Floats | None  # [len(token_log_probs), S] attention, if asked for and the model has it


def length_limit(pieces: int, max_ratio: float, max_extra: int) -> int:
    """Positions that search may take for a source of so many pieces (eos not counted); at least one."""
    return max(1, int(max_ratio * pieces) + max_extra)


class EndedHypothesis(NamedTuple):
    """Where a hypothesis ends, and what it is ranked by."""

    score: float
    log_prob: float
    node: Node
    finished: bool
    missing: int  # sequences that it should contain and does not

    def rank(self) -> tuple[bool, int, float]:
        """Lowest first: the finished, then those that miss least, then the higher score."""
        return not self.finished, self.missing, -self.score


class SentenceSearch:
    """What is known of one sentence beside its live hypotheses."""

    def __init__(self, request: Request, memory: Any, options: Options) -> None:
        self.request, self.memory, self.options = request, memory, options
        self.must = list(dict.fromkeys(tuple(sequence) for sequence in request.must if sequence))
        if self.must and (options.sample or options.groups > 1):
            raise UsageError("neither sampling nor groups can hold to what an output must contain")
        pieces = len(request.source)
        self.minimum = max(options.min_length, int(np.ceil(options.min_ratio * pieces)))
        needed = len(request.prefix) + sum(map(len, self.must))
        self.limit = max(
            length_limit(pieces, options.max_ratio, options.max_extra), max(self.minimum, needed) + 1
        )
        self.length = 0  # positions taken
        if options.sample:
            self.uniforms = draw_uniforms(request, self.limit, options)
        self._always_restricted = bool(self.must or request.must_not or options.no_repeat_ngram)
        self.ends: list[list[EndedHypothesis]] = [[] for _ in range(options.lanes)]

    @property
    def is_forced(self) -> bool:
        """Whether the next piece is the prefix's."""
        return self.length < len(self.request.prefix)

    @property
    def is_restricted(self) -> bool:
        """Whether some piece may be ruled out at the next position, or asked for."""
        return self._always_restricted or self.length < self.minimum

    def root(self) -> Node:
        """What every hypothesis begins with."""
        return Node(BOS, 0.0, None, (0,) * len(self.must), None)

    def missing(self, node: Node) -> int:
        """How many of the sequences that the output must contain a hypothesis does not."""
        return sum(met < len(sequence) for met, sequence in zip(node.progress, self.must, strict=True))

    def end(self, lane: int, node: Node, log_prob: float, finished: bool) -> None:
        """Take in the end of a hypothesis, if it is among the best of its lane."""
        path = node.path()
        weights = [step.weights for step in path if step.weights is not None]
        score = self.options.ranking.score(log_prob, len(path), weights)
        ends = self.ends[lane]
        ends.append(EndedHypothesis(score, log_prob, node, finished, self.missing(node)))
        ends.sort(key=EndedHypothesis.rank)
        del ends[self.options.ends :]

    def settled(self, lanes: Sequence[int], log_probs: Sequence[float]) -> bool:
        """Whether no live hypothesis, given by lane and log probability, can come among the ends."""
        return all(
            len(self.ends[lane]) == self.options.ends
            and self.options.ranking.bound(log_prob, self.length, self.limit) <= self.ends[lane][-1].score
            for lane, log_prob in zip(lanes, log_probs, strict=True)
        )

    def hypotheses(self) -> list[Hypothesis]:
        """The best ends, of equal ones those of the earlier lane first.

        Each lane has its share of them; an output that an earlier group has found is not taken from a later.
        """
        share, options = -(-self.options.n_best // self.options.lanes), self.options
        taken: dict[tuple[object, ...], EndedHypothesis] = {}
        for number, lane in enumerate(self.ends):
            own = number if options.sample else 0  # samples may be alike
            keys = [(own, *(node.piece for node in end.node.path())) for end in lane]
            new = [(key, end) for key, end in zip(keys, lane, strict=True) if key not in taken]
            taken |= dict(new[:share])
        return [
            self._hypothesis(end)
            for end in sorted(taken.values(), key=EndedHypothesis.rank)[: options.n_best]
        ]

    def _hypothesis(self, end: EndedHypothesis) -> Hypothesis:
        path = end.node.path()
        weights = [node.weights for node in path if node.weights is not None]
        return Hypothesis(
            [node.piece for node in path][: len(path) - end.finished],
            end.score,
            end.log_prob,
            [node.log_prob for node in path],
            end.finished,
            np.stack(weights) if weights and self.options.attention else None,
        )


def draw_uniforms(request: Request, limit: int, options: Options) -> NDArray[np.float64]:
    """A number in [0, 1) for each sample and position; they follow from the seed and the request alone."""
    seed = [options.seed, *(request.draws or [request.number])]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).random((options.n_best, limit))
