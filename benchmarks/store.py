"""How fast a token store is built: short pairs a second, by one process and by several, and opened again.

    python -m benchmarks.store [--pairs 1000000] [--workers 2] [SOURCE TARGET]

Without files, the pairs are the phrasebook's, repeated with noise. 8,000 joint unigram pieces.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.noise import phrasebook, write_noisy
from nmt.data.pair_rules import LengthFilter, LengthSettings
from nmt.data.pairs import Corpus, read_pairs
from nmt.data.store import TokenStore
from nmt.data.store.builder import prepare_store
from nmt.data.vocabulary.training import SubwordSettings, train_vocabulary

KEEP = LengthFilter(LengthSettings(max_length=100))


class Timed(NamedTuple):
    """A store, the seconds that it took, and those of all processes' CPU time."""

    store: TokenStore
    seconds: float
    busy: float


def timed(work: Callable[[], TokenStore]) -> Timed:
    """What comes out, and how long it took."""
    started, before = time.perf_counter(), sum(os.times()[:4])
    return Timed(work(), time.perf_counter() - started, sum(os.times()[:4]) - before)


def main(files: list[Path], pairs: int, workers: int) -> None:
    """One line for each number of processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = write_noisy(folder, "train", Corpus(tuple(files)) if files else phrasebook(), pairs)
        text = chain.from_iterable(islice(read_pairs(corpus), 50_000))
        pieces = train_vocabulary(text, SubwordSettings(kind="unigram", size=8000))
        for count in (1, workers):
            path = folder / f"store-{count}"

            def build(path: Path = path, count: int = count) -> TokenStore:
                return prepare_store(path, corpus, src=pieces, tgt=pieces, keep=KEEP, workers=count)

            store, seconds, busy = timed(build)
            tokens = sum(len(side.tokens.values) for side in (store.src, store.tgt)) / len(store)
            print(
                f"{count} processes: {pairs:,} pairs of {tokens:.1f} pieces in {seconds:.1f} s: "
                f"{pairs / seconds:,.0f} pairs/s, {pairs / busy:,.0f} per second of a core"
            )
            print(f"  opened again in {timed(build).seconds * 1000:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    main(arguments.files, arguments.pairs, arguments.workers)
