"""Outputs that must contain some sequences of pieces: dynamic beam allocation (Post and Vilar, 2018).

The hypotheses of a sentence stand in banks by how many pieces of the sequences they have met, and the beam is
shared among the banks, so that those that have met much are not crowded out by those that are more probable
because they have met nothing. The sequences may overlap in the output, as they may in a text.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from nmt.decoding.beam_rows import Doubles, Selection
from nmt.decoding.hypothesis import Node, SentenceSearch
from nmt.decoding.model import Ints

Sequences = Sequence[tuple[int, ...]]


def required_tokens(sentence: SentenceSearch, node: Node) -> Iterator[int]:
    """The pieces that would bring a hypothesis further in each sequence it has not met."""
    for met, sequence in zip(node.progress, sentence.must, strict=True):
        if met < len(sequence):
            yield sequence[met]


def advance_progress(progress: tuple[int, ...], piece: int | None, sequences: Sequences) -> tuple[int, ...]:
    """How much of each sequence is met with one piece more (None: of no sequence); what is whole stays."""
    return tuple(
        met if met == len(sequence) else _matched(sequence[:met], piece, sequence)
        for met, sequence in zip(progress, sequences, strict=True)
    )


def _matched(begun: tuple[int, ...], piece: int | None, sequence: tuple[int, ...]) -> int:
    """The longest beginning of the sequence that its beginning, followed by this piece, ends with."""
    if piece not in sequence:
        return 0
    ids = (*begun, piece)
    return max(n for n in range(len(ids) + 1) if ids[len(ids) - n :] == sequence[:n])


def bank(progress: tuple[int, ...], sequences: Sequences) -> int:
    """Pieces met: of whole sequences, and of the one that is furthest among the others.

    Counted so, a hypothesis can always rise by one, by the next piece of the sequence it is furthest in.
    """
    whole = sum(met for met, sequence in zip(progress, sequences, strict=True) if met == len(sequence))
    begun = (met for met, sequence in zip(progress, sequences, strict=True) if met < len(sequence))
    return whole + max(begun, default=0)


def allocate(banks: Sequence[int], width: int) -> list[int]:
    """Which candidates, given best first by their banks, are kept.

    The banks that have candidates get equal shares of the beam, those that have met most first; what they
    leave goes to the best of the rest.
    """
    present = sorted(set(banks), reverse=True)
    share = max(1, width // max(1, len(present)))
    kept: list[int] = []
    for bank in present:
        kept += [place for place, other in enumerate(banks) if other == bank][:share]
    kept = kept[:width]
    rest = sorted(set(range(len(banks))) - set(kept))
    return sorted(kept + rest[: width - len(kept)])


def select_constrained(
    sequences: Sequences, progress: Sequence[tuple[int, ...]], keys: Doubles, pieces: Ints, width: int
) -> Selection:
    """The continuations kept of one sentence's hypotheses, whose progress is given; keys, pieces [R, C]."""
    flat = keys.ravel()
    order = np.argsort(-flat, kind="stable")
    rows, columns = np.divmod(order[flat[order] > -np.inf], keys.shape[1])
    theirs = {piece for sequence in sequences for piece in sequence}

    @cache
    def reached(row: int, piece: int | None) -> int:
        return bank(advance_progress(progress[row], piece, sequences), sequences)

    banks = [
        reached(row, piece if piece in theirs else None)  # all others are alike, and most are others
        for row, piece in zip(rows.tolist(), pieces[rows, columns].tolist(), strict=True)
    ]
    kept = allocate(banks, width)
    return Selection(rows[kept], columns[kept])
