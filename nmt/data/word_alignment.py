"""Word alignments: links in Pharaoh format, and a lexicon by IBM Model 1 (Brown et al., 1993)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import TokenStore
from nmt.data.store.arrays import Array, Int64, RaggedRows
from nmt.data.vocabulary import PAD, Flags

LINK = re.compile(r"(\d{1,9})-(\d{1,9})")


def parse_alignment(text: str) -> list[tuple[int, int]]:
    """Source and target word of each link, counted from 0; ValueError for what is no link."""
    found = [(LINK.fullmatch(word), word) for word in text.split()]
    for match, word in found:
        if match is None:
            raise ValueError(f"'{word}' is not a link such as 0-2 (source word, hyphen, target word, from 0)")
    return [(int(match[1]), int(match[2])) for match, _ in found if match]


def align_tokens(
    alignments: RaggedRows, src: RaggedRows, tgt: RaggedRows, starts: tuple[Flags, Flags]
) -> Int64:
    """Rows [L, 3] of (row, target piece, source piece): every piece of a word with every one of its partner.

    `links` holds source and target word in turn, `starts` says which pieces begin a word on either side.
    """
    apart = (np.split(taken.values, np.cumsum(taken.lengths)[:-1]) for taken in (alignments, src, tgt))
    found = [_align_row(row, pair, starts) for row, pair in enumerate(zip(*apart, strict=True))]
    return np.concatenate([np.empty((0, 3), np.int64), *found])


def _align_row(row: int, pair: tuple[Array, ...], starts: tuple[Flags, Flags]) -> Int64:
    links, src, tgt = pair
    of_src = word_indices(src, starts[0])[:, None] == links[::2]  # [S, L]
    of_tgt = word_indices(tgt, starts[1])[:, None] == links[1::2]  # [T, L]
    places = np.argwhere(of_tgt @ of_src.T)
    return np.insert(places, 0, row, axis=1)


def word_indices(pieces: Array, starts: Flags) -> Int64:
    """The word that each piece of a line belongs to, from 0; -1 before the first, as a tag is."""
    found: Int64 = np.cumsum(starts[pieces]) - 1
    return found


Floats = NDArray[np.float64]

NULL = PAD  # beside the pieces of every source, for what translates none of them; no source holds pad
ITERATIONS = 5
MAX_LINKS = 50_000_000
"""Pairs of a source and a target token of one sentence that are held at most, of four bytes each."""
CHUNK_LINKS = 1_000_000  # links that are made together


class Lexicon(NamedTuple):
    """Entries p(target | source) in the order of source and target; those of a source sum to 1."""

    source: Int64
    target: Int64
    p: Floats

    def best(self, count: int) -> "Lexicon":
        """The `count` most probable targets of each source; equal ones by piece."""
        order = np.lexsort((self.target, -self.p, self.source))
        rank = np.arange(len(order)) - np.searchsorted(self.source, self.source)
        kept = np.sort(order[rank < count])
        return Lexicon(self.source[kept], self.target[kept], self.p[kept])


class _CandidateLinks(NamedTuple):
    """Each target token with every source token of its sentence and NULL, target token by target token."""

    entries: NDArray[np.int32]  # [L] the entry of the lexicon
    counts: Int64  # links of each target token

    def expected(self, p: Floats) -> Floats:
        """How often each entry is the one that a target token comes from."""
        share = p[self.entries]
        share /= np.repeat(np.add.reduceat(share, np.cumsum(self.counts) - self.counts), self.counts)
        return np.asarray(np.bincount(self.entries, share, len(p)), np.float64)


def train_lexicon(
    store: TokenStore, *, iterations: int = ITERATIONS, most: int = MAX_LINKS, together: int = CHUNK_LINKS
) -> Lexicon:
    """The lexicon after some iterations of expectation maximisation from equal probabilities.

    Of a corpus with more than `most` links every n-th pair is read.
    """
    pairs = list(_chunks(store, most, together))
    keys = sorted_unique(np.concatenate([sorted_unique(_keys(store, chunk)[0]) for chunk in pairs]))
    source, target = keys >> 32, keys & 0xFFFFFFFF
    chunks = []
    for chunk in pairs:
        found, counts = _keys(store, chunk)
        chunks.append(_CandidateLinks(np.searchsorted(keys, found).astype(np.int32), counts))
    store.release()
    p = np.ones(len(keys))
    for _ in range(iterations):
        expected = np.zeros(len(keys))
        for links in chunks:
            expected += links.expected(p)
        p = expected / np.bincount(source, expected)[source]
    return Lexicon(source, target, p)


def _chunks(store: TokenStore, most: int, size: int) -> Iterator[Int64]:
    """Pairs that are read together."""
    source, target = store.lengths()
    links = (source + 1) * target
    chosen = np.flatnonzero(links)[:: -(-int(links.sum()) // most)]
    ends = np.cumsum(links[chosen]) // size
    yield from np.split(chosen, np.flatnonzero(np.diff(ends)) + 1)


def _keys(store: TokenStore, pairs: Int64) -> tuple[Int64, Int64]:
    """Source and target piece of each link as one number, and how many links each target token has."""
    source, target = store.src.tokens.take(pairs), store.tgt.tokens.take(pairs)
    first = np.cumsum(source.lengths) - source.lengths
    pieces = np.insert(source.values.astype(np.int64), first, NULL)
    counts = np.repeat(source.lengths + 1, target.lengths)
    first = np.repeat(first + np.arange(len(pairs)), target.lengths)
    places = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return pieces[places] << 32 | np.repeat(target.values.astype(np.int64), counts), counts


def sorted_unique(keys: Int64) -> Int64:
    """Ascending, each once; np.unique does it by hashing, which takes many times as long."""
    keys = np.sort(keys)
    return keys[np.flatnonzero(np.diff(keys, prepend=-1))]
