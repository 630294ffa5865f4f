"""Files of word vectors, in the text format of word2vec, GloVe and fastText."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.data.text import iterate_lines, open_file, read_lines_leniently
from nmt.data.vocabulary import SPECIALS, Vocabulary
from nmt.errors import DataError

Vector = NDArray[np.float32]
LARGEST = 1e30  # of a number in a vector


def _rows(path: Path) -> Iterator[str]:
    """Yield the rows without line ends; a word with bytes that are not UTF-8 matches no token."""
    with open_file(path) as stream:
        for line, _ in read_lines_leniently(iterate_lines(stream, path), path=path):
            yield line.rstrip()


def _is_header(row: str) -> bool:
    fields = row.split()
    return len(fields) == 2 and all(field.isdecimal() for field in fields)


def read_dimension(path: Path) -> int:
    """Return the size of a file's vectors, by its header or first row; DataError if it is another file."""
    first = next(_rows(path), "")
    fields = first.split()
    size = int(fields[1]) if _is_header(first) else len(fields) - 1
    if size < 1 or (not _is_header(first) and not _parse(fields[1:])):
        raise DataError(
            f"{path}, line 1: expected a word and the numbers of its vector, or `COUNT SIZE`; give the text "
            "format of word2vec, GloVe or fastText (not a binary file)"
        )
    return size


def _parse(numbers: list[str]) -> list[float]:
    """Return the numbers; none, if one is not a finite number."""
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        return []
    return values if all(abs(value) < LARGEST for value in values) else []


def read_vectors(path: Path, vocabulary: Vocabulary, size: int) -> dict[int, Vector]:
    """Read the vectors of a vocabulary's tokens, by token; other rows of the file are not kept.

    A token is found as it is spelt; else without the ▁ before a word; else in small letters. DataError if a
    row is malformed, or if the vectors are of another size.
    """
    if (dimension := read_dimension(path)) != size:
        raise DataError(f"{path} has vectors of size {dimension}, the embedding has {size}: set it to that")
    wanted = _spellings(vocabulary)
    found: dict[int, tuple[int, Vector]] = {}
    for number, row in enumerate(_rows(path), 1):
        if number == 1 and _is_header(row):
            continue
        word, *numbers = row.rsplit(None, size)
        for token, rank in wanted.get(word, {}).items():
            if token not in found or rank < found[token][0]:
                values = _parse(numbers)
                if len(values) != size:
                    raise DataError(
                        f"{path}, line {number}: expected a word and {size} numbers; fix the line"
                    )
                found[token] = rank, np.array(values, np.float32)
    return {token: vector for token, (_, vector) in found.items()}


def _spellings(vocabulary: Vocabulary) -> Mapping[str, dict[int, int]]:
    """Return the tokens that a word of the file may belong to, each with the rank of this spelling."""
    wanted: dict[str, dict[int, int]] = {}
    for token, spelling in enumerate(vocabulary.spellings[len(SPECIALS) :], len(SPECIALS)):
        word = spelling.removeprefix("▁") or spelling
        for rank, key in enumerate((spelling, word, spelling.lower(), word.lower())):
            wanted.setdefault(key, {}).setdefault(token, rank)
    return wanted
