"""The tree of a beam search."""

from itertools import groupby

import pytest

from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.decoding.beam import TraceStep, search
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.options import Options, Request
from nmt.lab.inspect.beam import BeamBranch, build_beam_tree
from tests.decoding.models import random_model

OPTIONS = Options(beam=3, n_best=2, max_ratio=1.0, max_extra=3)
MODEL = random_model(3, vocabulary=9, eos=0.5)


def searched(source: tuple[int, ...]) -> tuple[list[Hypothesis], list[BeamBranch]]:
    expansions: list[TraceStep] = []
    [(_, found)] = search(MODEL, [Request(0, source)], OPTIONS, expansions.append)
    return found, build_beam_tree(expansions, found[0], OPTIONS)


SOURCES = [(4, 5), (6,), (7, 8, 4)]


@pytest.mark.parametrize("source", SOURCES)
def test_recording_changes_nothing(source: tuple[int, ...]) -> None:
    [(_, plain)] = search(MODEL, [Request(0, source)], OPTIONS)
    recorded, _ = searched(source)
    assert [(one.ids, one.score) for one in plain] == [(one.ids, one.score) for one in recorded]


@pytest.mark.parametrize("source", SOURCES)
def test_the_way_of_the_translation_is_marked_and_its_end_has_its_score(source: tuple[int, ...]) -> None:
    [best, *_], branches = searched(source)
    way = [place for place, branch in enumerate(branches) if branch.best]
    assert [branches[place].piece for place in way] == best.ids + [EOS] * best.finished
    assert [branches[place].parent for place in way] == [-1, *way[:-1]]
    assert [branches[place].log_prob for place in way] == best.token_log_probs
    assert best.finished
    assert branches[way[-1]].fate == "ended"
    assert branches[way[-1]].score == best.score


@pytest.mark.parametrize("source", SOURCES)
def test_every_branch_is_what_the_model_says_after_its_parent(source: tuple[int, ...]) -> None:
    _, branches = searched(source)
    outputs: list[tuple[int, ...]] = []
    for branch in branches:
        before = outputs[branch.parent] if branch.parent >= 0 else ()
        assert branch.log_prob == pytest.approx(MODEL.log_probs(source, before)[branch.piece], abs=1e-6)
        above = branches[branch.parent].total if branch.parent >= 0 else 0.0
        assert branch.total == pytest.approx(above + branch.log_prob, abs=1e-6)
        assert branch.parent < 0 or branches[branch.parent].fate == "kept"
        outputs.append((*before, branch.piece))


@pytest.mark.parametrize("source", SOURCES)
def test_what_fell_out_is_the_best_of_what_was_not_kept(source: tuple[int, ...]) -> None:
    _, branches = searched(source)
    alive: dict[int, tuple[int, ...]] = {-1: ()}
    for _, group in groupby(enumerate(branches), lambda numbered: numbered[1].position):
        numbered = list(group)
        here = [branch for _, branch in numbered]
        kept = [branch for branch in here if branch.fate != "pruned"]
        assert [branch.fate for branch in here[len(kept) :]] == ["pruned"] * OPTIONS.beam
        could = sorted(
            (
                (total(branches, parent) + value, parent, piece)
                for parent, outputs in alive.items()
                for piece, value in enumerate(MODEL.log_probs(source, outputs).tolist())
                if piece not in (PAD, BOS)
            ),
            reverse=True,
        )
        assert [branch.total for branch in here] == pytest.approx([value for value, *_ in could[: len(here)]])
        assert [(branch.parent, branch.piece) for branch in here] == [
            (parent, piece) for _, parent, piece in could[: len(here)]
        ]
        alive = {n: (*alive[b.parent], b.piece) for n, b in numbered if b.fate == "kept"}


def total(branches: list[BeamBranch], place: int) -> float:
    return branches[place].total if place >= 0 else 0.0
