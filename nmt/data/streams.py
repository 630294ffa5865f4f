"""A long text as streams that are read side by side, a chunk of positions at a time.

The text is cut into as many stretches of about equal length as there are streams. Batch t holds positions
t·k to (t+1)·k of every stretch, so its rows go on where those of the batch before ended.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from nmt.data.batches import Batch
from nmt.data.store import TokenStore
from nmt.data.store.arrays import Int64
from nmt.data.vocabulary import EOS, PAD


class StreamLayout(NamedTuple):
    """How a text is cut: so many streams, read so many positions at a time."""

    streams: int
    chunk: int


def read_chunks(store: TokenStore, cut: StreamLayout, start: int = 0) -> Iterator[Batch]:
    """The chunks of a text stored `with_ends`, from the one at `start` to the last; no piece is left out.

    A row's first piece is the one before the chunk, or eos where the text begins: the end of no line. Streams
    that are shorter than the longest are filled with pad; `pairs` are positions in the text.
    """
    begins, ends = _stream_bounds(store, cut.streams)
    count = count_chunks(store, cut)
    for number in range(start, count):
        first = begins + number * cut.chunk
        width = min(cut.chunk, int((ends - first).max()))
        positions = first[:, None] + np.arange(-1, width)
        yield _batch(store, positions, ends, is_continued=number + 1 < count)
        store.release()


def count_chunks(store: TokenStore, cut: StreamLayout) -> int:
    """How many chunks a text has."""
    begins, ends = _stream_bounds(store, cut.streams)
    return -(-int((ends - begins).max()) // cut.chunk)


def lines_at(store: TokenStore, positions: Int64) -> list[int]:
    """The lines, counted from 1, in which positions of the text lie; behind its end: the last."""
    lines: list[int] = store.lines[store.tgt.tokens.rows_at(positions)].tolist()
    return lines


def _stream_bounds(store: TokenStore, streams: int) -> tuple[Int64, Int64]:
    """Where in the text each stream begins and ends: with whole lines, unless these are too long for it."""
    lines, pieces = store.tgt.tokens, len(store.tgt.tokens.values)
    length = -(-pieces // streams)
    even = np.minimum(np.arange(streams) * length, pieces)
    next_line = np.array([lines.next_start(place) for place in even.tolist()])
    begins = np.where(next_line - even <= length // 2, next_line, even)
    return begins, np.append(begins[1:], pieces)


def _batch(store: TokenStore, positions: Int64, ends: Int64, *, is_continued: bool) -> Batch:
    """The pieces at some positions [B, T+1] of the text; each row ends where its stream does."""
    text = store.tgt.tokens.values
    rows = np.full(positions.shape, PAD, np.int64)
    rows[positions < 0] = EOS
    inside = (positions >= 0) & (positions < ends[:, None])
    rows[inside] = text[positions[inside]]
    lengths = torch.from_numpy(inside[:, 1:].sum(axis=1))
    nothing = torch.full((len(rows), 1), EOS)
    return Batch(
        nothing,
        torch.ones_like(lengths),
        torch.from_numpy(rows),
        lengths,
        torch.from_numpy(positions[:, 1]),
        is_continued,
    )
