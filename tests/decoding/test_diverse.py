"""Groups of a beam are led apart as the paper says, by a search written down plainly."""

from dataclasses import replace

import pytest

from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.decoding.beam import search
from nmt.decoding.options import Options, Request
from tests.decoding.models import Fake, Pieces, fixed_model, random_model

BEAM = Options(beam=6, groups=3, n_best=6, normalisation="none", diversity=0.8, max_ratio=0.0, max_extra=5)

Grown = tuple[float, Pieces]  # log probability, pieces


def plainly(model: Fake, source: Pieces, options: Options) -> list[list[Grown]]:
    """The ends of each group, step by step, without stopping early."""
    width = options.beam // options.groups
    live: list[list[Grown]] = [[(0.0, ())] for _ in range(options.groups)]
    ends: list[list[Grown]] = [[] for _ in range(options.groups)]
    for position in range(options.max_extra):
        taken: list[int] = []
        for group in range(options.groups):
            grown = []
            for total, ids in live[group]:
                log_probs = model.log_probs(source, ids)
                for piece in range(model.vocabulary_size):
                    if piece not in (PAD, BOS):
                        new = total + float(log_probs[piece])
                        grown.append((new - options.diversity * taken.count(piece), new, (*ids, piece)))
            best = sorted(grown, key=lambda one: -one[0])[:width]
            taken += [ids[-1] for _, _, ids in best]
            last = position == options.max_extra - 1
            ends[group] += [(new, ids) for _, new, ids in best if ids[-1] == EOS or last]
            live[group] = [(new, ids) for _, new, ids in best if ids[-1] != EOS and not last]
    return ends


def ranked(ends: list[Grown]) -> list[Grown]:
    return sorted(ends, key=lambda end: (end[1][-1] != EOS, -end[0]))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("groups", "n_best"), [(1, 6), (2, 4), (3, 6), (3, 1), (6, 6), (6, 5)])
def test_the_groups_are_those_of_the_plain_search(seed: int, groups: int, n_best: int) -> None:
    model, options = random_model(seed, vocabulary=9), replace(BEAM, groups=groups, n_best=n_best)
    quota, kept = -(-n_best // groups), list[Grown]()
    for ends in plainly(model, (4, 5), options):
        found = {ids for _, ids in kept}
        kept += [end for end in ranked(ends)[:n_best] if end[1] not in found][:quota]
    [(_, hypotheses)] = search(model, [Request(0, (4, 5))], options)
    expected = [(total, [p for p in ids if p != EOS]) for total, ids in ranked(kept)[:n_best]]
    assert [(h.log_prob, h.ids) for h in hypotheses] == expected


def test_a_group_of_one_takes_what_earlier_groups_left() -> None:
    model = fixed_model([0.0, 0.0, -9.0, -9.0, 2.0, 1.5, 1.1, 0.0])
    options = replace(BEAM, beam=4, groups=4, n_best=4, diversity=0.7, max_extra=1)
    [(_, hypotheses)] = search(model, [Request(0, ())], options)
    # 4 first; then 5 (1.5 against 2.0 - 0.7); then 4 again (1.3 against 1.1 and 0.8); then 6.
    assert sorted(h.ids[0] for h in hypotheses) == [4, 5, 6]  # and 4 is written once
