"""The beam search of one sentence as a tree: the branches kept and pruned at each position."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from nmt.data.vocabulary import EOS
from nmt.decoding.beam import TraceStep
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.options import Options


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
    indices = list[int]()  # of the rows that the last expansion selected
    for position, expansion in enumerate(expansions):
        parents = [indices[entry] if entry >= 0 else -1 for entry in expansion.live.entries.tolist()]
        kept = _list_kept(position, expansion, parents)
        pruned = _list_pruned(position, expansion, parents)[: options.beam]
        indices = [len(branches) + i for i in range(len(kept))]
        branches += kept + pruned
    tokens, parent = best.ids + [EOS] * best.finished, -1
    for index, branch in enumerate(branches):
        matches = branch.position < len(tokens) and branch.piece == tokens[branch.position]
        if matches and branch.parent == parent and branch.fate != "pruned":
            branches[index], parent = branch._replace(best=True), index
    return branches


def _list_kept(position: int, expansion: TraceStep, parents: Sequence[int]) -> list[BeamBranch]:
    selected = expansion.selected
    columns = selected.tokens, expansion.log_probs, selected.totals, selected.parents
    return [
        BeamBranch(
            position, parents[row], token, log_prob, total, "kept" if score is None else "ended", score
        )
        for token, log_prob, total, row, score in zip(
            *(column.tolist() for column in columns), expansion.scores, strict=True
        )
    ]


def _list_pruned(position: int, expansion: TraceStep, parents: Sequence[int]) -> list[BeamBranch]:
    """Return the continuations that were considered and not kept, best first."""
    live, candidates, selected = expansion.live, expansion.candidates, expansion.selected
    kept = {*zip(selected.parents.tolist(), selected.tokens.tolist(), strict=True)}
    pruned = [
        BeamBranch(position, parents[row], piece, value, total + value, "pruned")
        for row, total in enumerate(live.totals.tolist())
        for value, piece in zip(candidates.values[row].tolist(), candidates.tokens[row].tolist(), strict=True)
        if value > -torch.inf and (row, piece) not in kept
    ]
    return sorted(pruned, key=lambda branch: -branch.total)
