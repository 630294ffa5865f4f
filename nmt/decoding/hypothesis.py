"""Hypotheses: while they grow, and when they are handed out."""

from typing import NamedTuple

from nmt.decoding.model import Floats


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
