"""Copy symbols in the search: an output contains each symbol of its source exactly once, and no other."""

from collections.abc import Sequence

import numpy as np

from nmt.data.vocabulary import EOS
from nmt.decoding.constraints import required_tokens
from nmt.decoding.hypothesis import Continuations, SentenceSearch, Track
from nmt.decoding.model import Ints, TokenScores


def contains_copies(tokens: Ints, symbols: range) -> bool:
    """Return True if some tokens are copy symbols."""
    return bool(((tokens >= symbols.start) & (tokens < symbols.stop)).any())


def constrain_copies(
    candidates: Continuations,
    scores: TokenScores,
    tracks: Sequence[Track],
    owners: Sequence[SentenceSearch],
) -> None:
    """Block copy symbols that a hypothesis must not contain, or contains already.

    Where the sentence would end without all of its symbols, or has only positions for them left, one of them
    follows. So each is written, by beam search as by sampling, and the best one is where the model puts it.
    """
    symbols = owners[0].request.symbols if owners else range(0)
    if not symbols:
        return
    waiting = [(row, _next_copies(s, tracks[row])) for row, s in enumerate(owners) if s.copies]
    best = candidates.tokens[np.arange(len(owners)), candidates.values.argmax(axis=1)]
    is_copy = (candidates.tokens >= symbols.start) & (candidates.tokens < symbols.stop)
    for row, copies in waiting:
        is_copy[row] &= ~np.isin(candidates.tokens[row], copies)
    candidates.values[is_copy] = -np.inf
    for row, copies in waiting:
        missing = owners[row].count_missing_copies(tracks[row])
        if not missing:
            continue
        left = owners[row].limit - owners[row].length
        if copies and (best[row] == EOS or left <= missing + 1):
            _force(candidates, scores, row, copies)
        else:
            candidates.values[row][candidates.tokens[row] == EOS] = -np.inf


def _next_copies(sentence: SentenceSearch, track: Track) -> list[int]:
    """Return the symbols that can follow; one in a required phrase only as its next token."""
    within = {token for sequence in sentence.required for token in sequence}
    following = {*required_tokens(sentence, track)}
    missing = sentence.copies - track.copies
    return sorted(token for token in missing if token not in within or token in following)


def _force(candidates: Continuations, scores: TokenScores, row: int, copies: Sequence[int]) -> None:
    """Let nothing but these symbols follow, the most probable first."""
    tokens = np.array(copies)
    values = scores.gather(np.full(len(tokens), row), tokens)
    order = np.argsort(-values, kind="stable")[: candidates.tokens.shape[1]]
    candidates.values[row] = -np.inf
    candidates.write(scores, np.full(len(order), row), tokens[order], np.arange(len(order)))
