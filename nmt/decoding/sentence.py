"""One sentence while it is searched: its limits, its ends, and when it is settled."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nmt.data.subwords import BOS
from nmt.decoding.hypothesis import Hypothesis, Node
from nmt.decoding.options import Options, Request
from nmt.decoding.sampling import uniforms
from nmt.errors import UsageError


def longest(pieces: int, max_ratio: float, max_extra: int) -> int:
    """Positions that search may take for a source of so many pieces (eos not counted); at least one."""
    return max(1, int(max_ratio * pieces) + max_extra)


class End(NamedTuple):
    """Where a hypothesis ends, and what it is ranked by."""

    score: float
    log_prob: float
    node: Node
    finished: bool
    missing: int  # sequences that it should contain and does not

    def rank(self) -> tuple[bool, int, float]:
        """Lowest first: the finished, then those that miss least, then the higher score."""
        return not self.finished, self.missing, -self.score


class Sentence:
    """What is known of one sentence beside its live hypotheses."""

    def __init__(self, request: Request, memory: Any, options: Options) -> None:
        self.request, self.memory, self.options = request, memory, options
        self.must = list(dict.fromkeys(tuple(sequence) for sequence in request.must if sequence))
        if self.must and (options.sample or options.groups > 1):
            raise UsageError("neither sampling nor groups can hold to what an output must contain")
        pieces = len(request.source)
        self.minimum = max(options.min_length, int(np.ceil(options.min_ratio * pieces)))
        needed = len(request.prefix) + sum(map(len, self.must))
        self.limit = max(longest(pieces, options.max_ratio, options.max_extra), max(self.minimum, needed) + 1)
        self.length = 0  # positions taken
        if options.sample:
            self.uniforms = uniforms(request, self.limit, options)
        self._always_restricted = bool(self.must or request.must_not or options.no_repeat_ngram)
        self.ends: list[list[End]] = [[] for _ in range(options.lanes)]

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
        ends.append(End(score, log_prob, node, finished, self.missing(node)))
        ends.sort(key=End.rank)
        del ends[self.options.ends :]

    def settled(self, lanes: Sequence[int], log_probs: Sequence[float]) -> bool:
        """Whether no live hypothesis, given by lane and log probability, can come among the ends."""
        return all(
            len(self.ends[lane]) == self.options.ends
            and self.options.ranking.bound(log_prob, self.length, self.limit) <= self.ends[lane][-1].score
            for lane, log_prob in zip(lanes, log_probs, strict=True)
        )

    def hypotheses(self) -> list[Hypothesis]:
        """The best ends, of equal ones those of the earlier lane first."""
        ends = [end for lane in self.ends for end in lane]
        ends.sort(key=End.rank)
        return [self._hypothesis(end) for end in ends[: self.options.n_best]]

    def _hypothesis(self, end: End) -> Hypothesis:
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
