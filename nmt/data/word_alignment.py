"""Word alignments: links in Pharaoh format, and a lexicon by IBM Model 1 (Brown et al., 1993)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import TokenStore
from nmt.data.store.arrays import Int64, RaggedRows
from nmt.data.vocabulary import PAD, Flags

LINK = re.compile(r"(\d{1,9})-(\d{1,9})")


def parse_alignment(text: str) -> list[tuple[int, int]]:
    """Return source and target word of each link, counted from 0; ValueError for an invalid link."""
    matches = [(LINK.fullmatch(word), word) for word in text.split()]
    for match, word in matches:
        if match is None:
            raise ValueError(f"'{word}' is not a link such as 0-2 (source word, hyphen, target word, from 0)")
    return [(int(match[1]), int(match[2])) for match, _ in matches if match]


def align_tokens(
    alignments: RaggedRows, src: RaggedRows, tgt: RaggedRows, starts: tuple[Flags, Flags]
) -> Int64:
    """Return rows [L, 3] of (row, target token, source token): all tokens of a word with all of its partner.

    `alignments` alternates source and target words; `starts` flags the tokens that start a word.
    """
    apart = (np.split(rows.values, np.cumsum(rows.lengths)[:-1]) for rows in (alignments, src, tgt))
    aligned = [np.empty((0, 3), np.int64)]
    for row, (links, src_tokens, tgt_tokens) in enumerate(zip(*apart, strict=True)):
        # the word of each token, counted from 0; a tag before the first word has -1
        src_words, tgt_words = np.cumsum(starts[0][src_tokens]) - 1, np.cumsum(starts[1][tgt_tokens]) - 1
        is_source, is_target = src_words[:, None] == links[::2], tgt_words[:, None] == links[1::2]  # [S|T, L]
        aligned.append(np.insert(np.argwhere(is_target @ is_source.T), 0, row, axis=1))
    return np.concatenate(aligned)


Floats = NDArray[np.float64]

NULL = PAD  # added to every source, for target tokens without a counterpart; no source contains pad
ITERATIONS = 5
MAX_LINKS = 50_000_000
"""Maximum number of links (a source and a target token of one sentence) in memory, of four bytes each."""
CHUNK_LINKS = 1_000_000  # links computed together


class Lexicon(NamedTuple):
    """Probabilities p(target | source), sorted by source and target; they sum to 1 for each source."""

    source: Int64
    target: Int64
    p: Floats

    def best(self, count: int) -> "Lexicon":
        """Return the `count` most probable targets of each source; ties in order of the token."""
        order = np.lexsort((self.target, -self.p, self.source))
        rank = np.arange(len(order)) - np.searchsorted(self.source, self.source)
        kept = np.sort(order[rank < count])
        return Lexicon(self.source[kept], self.target[kept], self.p[kept])


def train_lexicon(
    store: TokenStore, *, iterations: int = ITERATIONS, most: int = MAX_LINKS, together: int = CHUNK_LINKS
) -> Lexicon:
    """Train a lexicon by expectation maximisation, starting from equal probabilities.

    Of a corpus with more than `most` links, every n-th pair is used.
    """
    pairs = list(_chunks(store, most, together))
    keys = sorted_unique(np.concatenate([sorted_unique(_keys(store, chunk)[0]) for chunk in pairs]))
    source, target = keys >> 32, keys & 0xFFFFFFFF
    links = []  # of each chunk: the entry of every link, and the number of links of each target token
    for chunk in pairs:
        linked, counts = _keys(store, chunk)
        links.append((np.searchsorted(keys, linked).astype(np.int32), counts))
    store.release()
    p = np.ones(len(keys))
    for _ in range(iterations):
        expected = np.zeros(len(keys))
        for entries, counts in links:
            share = p[entries]
            share /= np.repeat(np.add.reduceat(share, np.cumsum(counts) - counts), counts)
            expected += np.bincount(entries, share, len(p))
        p = expected / np.bincount(source, expected)[source]
    return Lexicon(source, target, p)


def _chunks(store: TokenStore, most: int, size: int) -> Iterator[Int64]:
    """Yield the pairs of each chunk."""
    source, target = store.lengths()
    links = (source + 1) * target
    chosen = np.flatnonzero(links)[:: -(-int(links.sum()) // most)]
    ends = np.cumsum(links[chosen]) // size
    yield from np.split(chosen, np.flatnonzero(np.diff(ends)) + 1)


def _keys(store: TokenStore, pairs: Int64) -> tuple[Int64, Int64]:
    """Return the tokens of each link as one number, and the number of links of each target token."""
    source, target = store.src.tokens.take(pairs), store.tgt.tokens.take(pairs)
    first = np.cumsum(source.lengths) - source.lengths
    tokens = np.insert(source.values.astype(np.int64), first, NULL)
    counts = np.repeat(source.lengths + 1, target.lengths)
    first = np.repeat(first + np.arange(len(pairs)), target.lengths)
    indices = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return tokens[indices] << 32 | np.repeat(target.values.astype(np.int64), counts), counts


def sorted_unique(keys: Int64) -> Int64:
    """Return distinct values in ascending order; np.unique uses hashing, which is many times slower."""
    keys = np.sort(keys)
    return keys[np.flatnonzero(np.diff(keys, prepend=-1))]
