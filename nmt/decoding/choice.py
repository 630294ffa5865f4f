"""Which continuations are kept: the best, those of groups or banks, or what is drawn."""

from collections.abc import Sequence

import numpy as np

from nmt.decoding.candidates import Candidates
from nmt.decoding.constraints import best_of_banks
from nmt.decoding.diverse import best_of_groups
from nmt.decoding.options import Options
from nmt.decoding.rows import Chosen, Doubles, Rows, best_of_lanes
from nmt.decoding.sampling import draw
from nmt.decoding.sentence import Sentence


def choose(found: Candidates, rows: Rows, owners: Sequence[Sentence], options: Options) -> Chosen:
    """What becomes of the live hypotheses; `owners` are their sentences."""
    if options.sample:
        drawn = zip(owners, (rows.lanes % options.lanes).tolist(), strict=True)
        return draw(found.values, np.array([s.uniforms[lane, s.length] for s, lane in drawn]), options)
    keys = rows.totals[:, None] + found.values
    if options.groups > 1:
        return best_of_groups(keys, found.pieces, rows.lanes, options)
    if not any(s.must for s in owners):
        return best_of_lanes(keys, rows.lanes, options.width)
    return _some_constrained(keys, found, rows, owners, options)


def _some_constrained(
    keys: Doubles, found: Candidates, rows: Rows, owners: Sequence[Sentence], options: Options
) -> Chosen:
    """Sentences that must contain something one by one, the others together."""
    free = np.flatnonzero([not s.must for s in owners])
    best = best_of_lanes(keys[free], rows.lanes[free], options.width)
    chosen = [Chosen(free[best.rows], best.columns)]
    for sentence in dict.fromkeys(s for s in owners if s.must):
        own = np.flatnonzero([s is sentence for s in owners])
        progress = [rows.nodes[row].progress for row in own.tolist()]
        best = best_of_banks(sentence.must, progress, keys[own], found.pieces[own], options.width)
        chosen.append(Chosen(own[best.rows], best.columns))
    return Chosen(*map(np.concatenate, zip(*chosen, strict=True))).by_lane(rows.lanes)
