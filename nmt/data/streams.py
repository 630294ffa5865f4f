"""A long text as parallel streams of about equal length, for truncated backpropagation through time: batch t
holds positions t·k to (t+1)·k of every stream, so its rows continue those of the previous batch."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from nmt.data.batches import Batch
from nmt.data.store import TokenStore
from nmt.data.store.arrays import Int64
from nmt.data.vocabulary import EOS, PAD
from nmt.errors import DataError

FEW_STREAMS = 10_000  # may be more than the tokens of a text: some are empty


class StreamLayout(NamedTuple):
    """The number of streams, and the positions of each that a batch holds."""

    streams: int
    chunk: int


def read_chunks(store: TokenStore, layout: StreamLayout, start: int = 0) -> Iterator[Batch]:
    """Yield the chunks of a text stored `with_ends`, starting with number `start`; no token is left out.

    The first token of a row is the one before the chunk (eos at the beginning of the text). Shorter streams
    are filled with pad; `Batch.pairs` are positions in the text.
    """
    text, (begins, ends) = store.tgt.tokens.values, _stream_bounds(store, layout.streams)
    count = count_chunks(store, layout)
    for number in range(start, count):
        first = begins + number * layout.chunk
        width = min(layout.chunk, int((ends - first).max()))
        positions = first[:, None] + np.arange(-1, width)
        rows = np.full(positions.shape, PAD, np.int64)  # [B, T+1]
        rows[positions < 0] = EOS
        inside = (positions >= 0) & (positions < ends[:, None])
        rows[inside] = text[positions[inside]]
        lengths = torch.from_numpy(inside[:, 1:].sum(axis=1))
        yield Batch(
            src=torch.full((len(rows), 1), EOS),
            src_lengths=torch.ones_like(lengths),
            tgt=torch.from_numpy(rows),
            tgt_lengths=lengths,
            pairs=torch.from_numpy(positions[:, 1]),
            is_continued=number + 1 < count,
        )
        store.release()


def count_chunks(store: TokenStore, layout: StreamLayout) -> int:
    """Count the chunks of a text."""
    begins, ends = _stream_bounds(store, layout.streams)
    return -(-int((ends - begins).max()) // layout.chunk)


def find_lines(store: TokenStore, positions: Int64) -> list[int]:
    """Return the lines (from 1) that contain positions of the text; the last line after its end."""
    lines: list[int] = store.lines[store.tgt.tokens.find_rows(positions)].tolist()
    return lines


def _stream_bounds(store: TokenStore, streams: int) -> tuple[Int64, Int64]:
    """Return the start and end of each stream, at line ends unless lines are too long."""
    lines, size = store.tgt.tokens, len(store.tgt.tokens.values)
    if streams > max(size, FEW_STREAMS):
        raise DataError(
            f"a text of {size:,} tokens cannot be read in {streams:,} streams: reduce training.batch.size"
        )
    length = -(-size // streams)
    even = np.minimum(np.arange(streams) * length, size)
    next_line = np.array([lines.next_start(index) for index in even.tolist()])
    begins = np.where(next_line - even <= length // 2, next_line, even)
    return begins, np.append(begins[1:], size)
