"""Lexical constraints by dynamic beam allocation (Post and Vilar, 2018).

The beam of a sentence is shared among banks: hypotheses with equally many of the required tokens.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from nmt.decoding.hypothesis import Selection, SentenceSearch, Track
from nmt.decoding.model import Doubles, Ints

Sequences = Sequence[tuple[int, ...]]


def required_tokens(sentence: SentenceSearch, track: Track) -> Iterator[int]:
    """Yield the tokens that would advance a hypothesis in each required sequence it does not contain yet."""
    for met, sequence in zip(track.progress, sentence.required, strict=True):
        if met < len(sequence):
            yield sequence[met]


def advance_track(sentence: SentenceSearch, track: Track, token: int) -> Track:
    """Return the track of a hypothesis after one more token."""
    if not sentence.is_tracked:
        return track
    progress = track.progress and advance_progress(track.progress, token, sentence.required)
    copies = track.copies | {token} if token in sentence.copies else track.copies
    return Track(progress, track.progress, copies)


def advance_progress(progress: tuple[int, ...], token: int | None, sequences: Sequences) -> tuple[int, ...]:
    """Return how much of each sequence is matched after one more token (None: a token of no sequence)."""
    return tuple(
        met if met == len(sequence) else _match(sequence[:met], token, sequence)
        for met, sequence in zip(progress, sequences, strict=True)
    )


def _match(matched: tuple[int, ...], token: int | None, sequence: tuple[int, ...]) -> int:
    """Return the length of the longest prefix of the sequence that `matched`, then `token`, ends with."""
    if token not in sequence:
        return 0
    ids = (*matched, token)
    return max(n for n in range(len(ids) + 1) if ids[len(ids) - n :] == sequence[:n])


def find_bank(progress: tuple[int, ...], sequences: Sequences) -> int:
    """Return the bank: the tokens of complete sequences and of the most advanced of the others.

    So the next token of that sequence always raises the bank by one.
    """
    complete = sum(met for met, sequence in zip(progress, sequences, strict=True) if met == len(sequence))
    partial = (met for met, sequence in zip(progress, sequences, strict=True) if met < len(sequence))
    return complete + max(partial, default=0)


def allocate_beam(banks: Sequence[int], width: int) -> list[int]:
    """Return the indices of the candidates to keep, given their banks, best candidate first.

    Banks with candidates get equal shares of the beam, the highest bank first; slots that are left over go to
    the best of the rest.
    """
    present = sorted(set(banks), reverse=True)
    share = max(1, width // max(1, len(present)))
    kept: list[int] = []
    for bank in present:
        kept += [index for index, other in enumerate(banks) if other == bank][:share]
    kept = kept[:width]
    rest = sorted(set(range(len(banks))) - set(kept))
    return sorted(kept + rest[: width - len(kept)])


def select_constrained(
    sequences: Sequences, progress: Sequence[tuple[int, ...]], keys: Doubles, tokens: Ints, width: int
) -> Selection:
    """Select continuations of one sentence's hypotheses, given their progress; keys and tokens [R, C]."""
    flat = keys.ravel()
    order = np.argsort(-flat, kind="stable")
    rows, columns = np.divmod(order[flat[order] > -np.inf], keys.shape[1])
    relevant = {token for sequence in sequences for token in sequence}

    @cache
    def next_bank(row: int, token: int | None) -> int:
        return find_bank(advance_progress(progress[row], token, sequences), sequences)

    banks = [
        next_bank(row, token if token in relevant else None)  # None for tokens of no sequence, to be cached
        for row, token in zip(rows.tolist(), tokens[rows, columns].tolist(), strict=True)
    ]
    kept = allocate_beam(banks, width)
    return Selection(rows[kept], columns[kept])
