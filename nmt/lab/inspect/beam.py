"""The beam of one sentence as a tree: what was kept at each position, and what fell out."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from nmt.data.vocabulary.vocabulary import EOS
from nmt.decoding.beam import Expansion
from nmt.decoding.hypothesis import Hypothesis, Node
from nmt.decoding.options import Options
from nmt.decoding.ranking import Ranking


class Branch(NamedTuple):
    """A continuation that the search looked at, by its last piece."""

    position: int  # of that piece, from 0
    parent: int  # the branch that it continues, by its place in the list; -1 where it begins
    piece: int
    log_prob: float  # of this piece
    total: float  # of all pieces up to this one
    fate: str  # "kept", "ended" (kept, and an end of sentence), "pruned"
    score: float | None = None  # that an end is ranked by
    best: bool = False  # whether the translation goes this way


def tree(expansions: Sequence[Expansion], best: Hypothesis, options: Options) -> list[Branch]:
    """The branches of a search for one sentence, position by position.

    At each position those that were kept come first, best first, then as many of those that fell out as the
    beam is wide, best first.
    """
    branches: list[Branch] = []
    places: dict[int, int] = {}  # of the nodes, by identity: the expansions keep them alive
    for position, expansion in enumerate(expansions):
        kept = _kept(position, expansion, places, options.ranking)
        fallen = _fallen(position, expansion, places)[: options.beam]
        places |= {id(node): len(branches) + i for i, node in enumerate(expansion.grown.nodes)}
        branches += kept + fallen
    return _marked(branches, best)


def _kept(position: int, expansion: Expansion, places: dict[int, int], ranking: Ranking) -> list[Branch]:
    grown, before = expansion.grown, expansion.before.nodes
    return [
        Branch(
            position,
            _parent(before[row], places),
            node.piece,
            node.log_prob,
            total,
            *_fate(node, total, ranking),
        )
        for node, row, total in zip(grown.nodes, grown.parents.tolist(), grown.totals.tolist(), strict=True)
    ]


def _fate(node: Node, total: float, ranking: Ranking) -> tuple[str, float | None]:
    if node.piece != EOS:
        return "kept", None
    path = node.path()
    weights = [step.weights for step in path if step.weights is not None]
    return "ended", ranking.score(total, len(path), weights)


def _fallen(position: int, expansion: Expansion, places: dict[int, int]) -> list[Branch]:
    """Continuations that could have been, the best first."""
    before, found, grown = expansion
    kept = {(row, node.piece) for row, node in zip(grown.parents.tolist(), grown.nodes, strict=True)}
    fallen = [
        Branch(position, _parent(node, places), piece, value, total + value, "pruned")
        for row, (node, total) in enumerate(zip(before.nodes, before.totals.tolist(), strict=True))
        for value, piece in zip(found.values[row].tolist(), found.pieces[row].tolist(), strict=True)
        if value > -torch.inf and (row, piece) not in kept
    ]
    return sorted(fallen, key=lambda branch: -branch.total)


def _parent(node: Node, places: dict[int, int]) -> int:
    return places.get(id(node), -1)


def _marked(branches: list[Branch], best: Hypothesis) -> list[Branch]:
    """With the way of the best hypothesis marked."""
    way = best.ids + [EOS] * best.finished
    parent, marked = -1, list(branches)
    for place, branch in enumerate(branches):
        on_it = branch.position < len(way) and branch.piece == way[branch.position]
        if on_it and branch.parent == parent and branch.fate != "pruned":
            marked[place], parent = branch._replace(best=True), place
    return marked
