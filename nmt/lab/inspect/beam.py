"""The beam search of one sentence as a tree: the branches kept and pruned at each position."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from nmt.data.vocabulary import EOS
from nmt.decoding.beam import TraceStep
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.options import Options
from nmt.decoding.ranking import Ranking


class BeamBranch(NamedTuple):
    """A continuation that the search considered, by its last token."""

    position: int  # of that token, from 0
    parent: int  # index of the branch that it continues; -1 at the root
    piece: int
    log_prob: float  # of this token
    total: float  # of all tokens up to this one
    fate: str  # "kept", "ended" (kept, and eos), "pruned"
    score: float | None = None  # that a finished translation is ranked by
    best: bool = False  # whether it belongs to the translation


def build_beam_tree(expansions: Sequence[TraceStep], best: Hypothesis, options: Options) -> list[BeamBranch]:
    """List the branches of a search for one sentence, position by position.

    At each position the kept branches come first, then as many pruned ones as the beam is wide, each best
    first.
    """
    branches: list[BeamBranch] = []
    indices: dict[int, int] = {}  # of the nodes, by identity: the expansions keep them alive
    for position, expansion in enumerate(expansions):
        kept = _kept(position, expansion, indices, options.ranking)
        pruned = _pruned(position, expansion, indices)[: options.beam]
        indices |= {id(node): len(branches) + i for i, node in enumerate(expansion.selected.nodes)}
        branches += kept + pruned
    tokens, parent = best.ids + [EOS] * best.finished, -1
    for index, branch in enumerate(branches):
        matches = branch.position < len(tokens) and branch.piece == tokens[branch.position]
        if matches and branch.parent == parent and branch.fate != "pruned":
            branches[index], parent = branch._replace(best=True), index
    return branches


def _kept(position: int, expansion: TraceStep, indices: dict[int, int], ranking: Ranking) -> list[BeamBranch]:
    live, _, selected = expansion
    branches = []
    rows = zip(selected.nodes, selected.parents.tolist(), selected.totals.tolist(), strict=True)
    for node, row, total in rows:
        fate, score, parent = "kept", None, indices.get(id(live.nodes[row]), -1)
        if node.token == EOS:
            path = node.path()
            weights = [step.weights for step in path if step.weights is not None]
            fate, score = "ended", ranking.score(total, len(path), weights)
        branches.append(BeamBranch(position, parent, node.token, node.log_prob, total, fate, score))
    return branches


def _pruned(position: int, expansion: TraceStep, indices: dict[int, int]) -> list[BeamBranch]:
    """Return the continuations that were considered and not kept, best first."""
    live, candidates, selected = expansion
    kept = {(row, node.token) for row, node in zip(selected.parents.tolist(), selected.nodes, strict=True)}
    pruned = [
        BeamBranch(position, indices.get(id(node), -1), piece, value, total + value, "pruned")
        for row, (node, total) in enumerate(zip(live.nodes, live.totals.tolist(), strict=True))
        for value, piece in zip(candidates.values[row].tolist(), candidates.tokens[row].tolist(), strict=True)
        if value > -torch.inf and (row, piece) not in kept
    ]
    return sorted(pruned, key=lambda branch: -branch.total)
