"""Groups of a beam that are led away from one another (diverse beam search, Vijayakumar et al., 2016)."""

import numpy as np

from nmt.decoding.model import Ints
from nmt.decoding.options import Options
from nmt.decoding.rows import Chosen, Doubles, best_of_lanes


def best_of_groups(keys: Doubles, pieces: Ints, lanes: Ints, options: Options) -> Chosen:
    """The best continuations of each group; lanes [R] are groups of sentences, keys and pieces [R, C].

    A piece costs `diversity` for each time that an earlier group of the sentence chose it at this position
    (their Hamming diversity). The cost chooses, it is no part of a hypothesis' log probability.
    """
    sentences, groups = np.divmod(lanes, options.groups)
    taken = np.full((sentences[-1] + 1, options.beam), -1)
    chosen = []
    for group in range(options.groups):
        rows = np.flatnonzero(groups == group)
        times = (pieces[rows, :, None] == taken[sentences[rows], None, :]).sum(axis=-1)
        best = best_of_lanes(keys[rows] - options.diversity * times, sentences[rows], options.width)
        best = Chosen(rows[best.rows], best.columns)
        _note(taken, sentences[best.rows], pieces[best], group * options.width)
        chosen.append(best)
    return Chosen(*map(np.concatenate, zip(*chosen, strict=True))).by_lane(lanes)


def _note(taken: Ints, sentences: Ints, pieces: Ints, first: int) -> None:
    """Write what was chosen for ascending sentences into their columns from the first on."""
    places = np.arange(len(sentences)) - np.searchsorted(sentences, sentences)
    taken[sentences, first + places] = pieces
