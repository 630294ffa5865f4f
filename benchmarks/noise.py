"""A corpus of any size out of a small one: its pairs again and again, a word of each side exchanged."""

import random
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from nmt.data.corpora import corpus_root
from nmt.data.pairs import Corpus, find_corpus, read_pairs


def phrasebook() -> Corpus:
    """The training pairs that come with the program, of eight Korean words and ten English ones."""
    return find_corpus("train", root=corpus_root("phrasebook"), src="ko", tgt="en")


def noisy(pairs: Sequence[tuple[str, str]], count: int) -> Iterator[tuple[str, str]]:
    """`count` pairs, always the same."""
    draw = random.Random(1)
    words = [[word for pair in pairs for word in pair[side].split()] for side in (0, 1)]
    for pair in islice(cycle(pairs), count):
        src, tgt = (_exchanged(line, words[side], draw) for side, line in enumerate(pair))
        yield src, tgt


def _exchanged(line: str, words: Sequence[str], draw: random.Random) -> str:
    found = line.split()
    if found:
        found[int(draw.random() * len(found))] = words[int(draw.random() * len(words))]
    return " ".join(found)


def write_noisy(folder: Path, name: str, corpus: Corpus, count: int) -> Corpus:
    """So many pairs out of a corpus, as two files of a folder."""
    files = folder / f"{name}.src", folder / f"{name}.tgt"
    with files[0].open("w", encoding="utf-8") as src, files[1].open("w", encoding="utf-8") as tgt:
        for one, other in noisy(list(read_pairs(corpus)), count):
            src.write(f"{one}\n")
            tgt.write(f"{other}\n")
    return Corpus(files)
