"""A long text as streams that are read side by side, a chunk of positions at a time.

The text is cut into as many equal stretches as there are streams. Batch t holds positions t·k to (t+1)·k of
every stretch, so its rows go on where those of the batch before ended.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from nmt.data.batches import Batch
from nmt.data.store import Int64, TokenStore
from nmt.data.subwords import EOS, PAD


class Cut(NamedTuple):
    """How a text is cut: so many streams, read so many positions at a time."""

    streams: int
    chunk: int


def chunks(store: TokenStore, cut: Cut, start: int = 0) -> Iterator[Batch]:
    """The chunks of a text stored `with_ends`, from the one at `start` to the last; no piece is left out.

    A row's first piece is the one before the chunk, or eos where the text begins: the end of no line. The
    last stretch may be shorter than the others, and is filled with pad; `pairs` are places in the text.
    """
    count, length = count_chunks(store, cut), _length(store, cut)
    for number in range(start, count):
        stop = min((number + 1) * cut.chunk, length)
        places = np.arange(cut.streams)[:, None] * length + np.arange(number * cut.chunk - 1, stop)
        yield _batch(store, places, goes_on=number + 1 < count)
        store.release()


def count_chunks(store: TokenStore, cut: Cut) -> int:
    """How many chunks a text has."""
    return -(-_length(store, cut) // cut.chunk)


def _length(store: TokenStore, cut: Cut) -> int:
    """Positions of a stream."""
    return -(-len(store.tgt.tokens.values) // cut.streams)


def _batch(store: TokenStore, places: Int64, *, goes_on: bool) -> Batch:
    """The pieces at some places [B, T+1] of the text."""
    text = store.tgt.tokens.values
    rows = np.full(places.shape, PAD, np.int64)
    inside = (places >= 0) & (places < len(text))
    rows[inside] = text[places[inside]]
    rows[places < 0] = EOS
    lengths = torch.from_numpy(inside[:, 1:].sum(axis=1))
    nothing = torch.full((len(rows), 1), EOS)
    return Batch(
        nothing,
        torch.ones_like(lengths),
        torch.from_numpy(rows),
        lengths,
        torch.from_numpy(places[:, 1]),
        goes_on,
    )
