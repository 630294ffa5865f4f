"""The lengths of the source lines that a model was trained on, kept with it in `lengths.json`."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.data.sentences import split_sentences
from nmt.files import write_file
from nmt.reservoir import sample_lines
from nmt.settings import Count
from nmt.untrusted_files import CARD_BYTES, read_json

if TYPE_CHECKING:
    from nmt.data.store.arrays import RaggedArray

Int64 = NDArray[np.int64]

LENGTHS = "lengths.json"  # in run, model and export directories
SAMPLE = 100_000  # sources at most that are measured
TOKENS_SHARE, SENTENCES_SHARE = 0.001, 0.05
"""Shares of the training pairs that are at least as long as the lengths that are recorded."""


@dataclass(frozen=True)
class TrainedLengths:
    """The content of `lengths.json`: lengths of source lines that a model has learned to translate."""

    tokens: Count  # one training pair in 1,000 has at least as many
    sentences: Count  # one in 20 has at least as many


def read_lengths(folder: Path) -> TrainedLengths | None:
    """Return the record in a directory; None if there is none, as in those of older versions."""
    file = folder / LENGTHS
    return read_json(file, TrainedLengths, CARD_BYTES) if os.path.lexists(file) else None


def write_lengths(folder: Path, lengths: TrainedLengths) -> None:
    """Write the record to a directory."""
    write_file(folder / LENGTHS, (json.dumps(asdict(lengths)) + "\n").encode())


def measure_lengths(
    sources: "RaggedArray",
    lines: Iterable[str],
    language: str,
    *,
    joined: float = 0.0,
    max_length: int | None = None,
) -> TrainedLengths:
    """Measure a sample of encoded sources and one of source lines, which may be of other pairs.

    A share of the pairs is `joined` with the next one in training, where both fit in `max_length`.
    """
    rows = np.unique(np.linspace(0, len(sources) - 1, min(len(sources), SAMPLE)).astype(np.int64))
    tokens = _join(sources.lengths(rows), joined, max_length)
    sample = sample_lines(lines, SAMPLE, seed=1)
    counts = np.array([len(split_sentences(line, language)) for line in sample], np.int64)
    return TrainedLengths(
        max(1, _length_of_share(tokens, TOKENS_SHARE)),
        max(1, _length_of_share(_join(counts, joined, None), SENTENCES_SHARE)),
    )


def _join(lengths: Int64, share: float, longest: int | None) -> Int64:
    """Return the lengths with a share of them increased by the next one."""
    chosen = np.random.default_rng(1).random(len(lengths)) < share
    sums = lengths + np.roll(lengths, -1)
    joined: Int64 = np.where(chosen & (sums <= (longest or sums)), sums, lengths)
    return joined


def _length_of_share(lengths: Int64, share: float) -> int:
    """Return the greatest length that a share of the values reaches."""
    descending = np.sort(lengths)[::-1]
    return int(descending[max(0, int(np.ceil(share * len(descending))) - 1)])
