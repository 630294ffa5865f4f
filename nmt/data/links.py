"""Word alignments: from Pharaoh's `0-0 1-2` between words to links between the pieces of a batch."""

import re

import numpy as np
from numpy.typing import NDArray

from nmt.data.arrays import Array
from nmt.data.joined import Int64, Taken

Flags = NDArray[np.bool_]
LINK = re.compile(r"(\d{1,9})-(\d{1,9})")


def read_links(text: str) -> list[tuple[int, int]]:
    """Source and target word of each link, counted from 0; ValueError for what is no link."""
    found = [(LINK.fullmatch(word), word) for word in text.split()]
    for match, word in found:
        if match is None:
            raise ValueError(f"'{word}' is no link, like 0-2: source word, hyphen, target word, from 0")
    return [(int(match[1]), int(match[2])) for match, _ in found if match]


def piece_links(links: Taken, src: Taken, tgt: Taken, starts: tuple[Flags, Flags]) -> Int64:
    """Rows [L, 3] of (row, target piece, source piece): every piece of a word with every one of its partner.

    `links` holds source and target word in turn, `starts` says which pieces begin a word on either side.
    """
    apart = (np.split(taken.values, np.cumsum(taken.lengths)[:-1]) for taken in (links, src, tgt))
    found = [_links_of_row(row, pair, starts) for row, pair in enumerate(zip(*apart, strict=True))]
    return np.concatenate([np.empty((0, 3), np.int64), *found])


def _links_of_row(row: int, pair: tuple[Array, ...], starts: tuple[Flags, Flags]) -> Int64:
    links, src, tgt = pair
    of_src = words_of(src, starts[0])[:, None] == links[::2]  # [S, L]
    of_tgt = words_of(tgt, starts[1])[:, None] == links[1::2]  # [T, L]
    places = np.argwhere(of_tgt @ of_src.T)
    return np.insert(places, 0, row, axis=1)


def words_of(pieces: Array, starts: Flags) -> Int64:
    """The word that each piece of a line belongs to, from 0; -1 before the first, as a tag is."""
    found: Int64 = np.cumsum(starts[pieces]) - 1
    return found
