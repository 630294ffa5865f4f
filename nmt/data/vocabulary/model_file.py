"""Checks of a SentencePiece model before the library uses it: the library trusts tables inside the file."""

import math
import struct
from itertools import chain

import numpy as np

from nmt.protobuf import read_fields, read_messages

PIECES, NORMALIZER, DENORMALIZER = 1, 3, 5  # fields of the model
CHARSMAP = 2  # of a normalizer
SCORE = 2  # of a piece
LARGEST = 10_000_000  # pieces
LEAF, WIDE, BLOCK = 1 << 31, 1 << 9, 256  # of the units of a table of characters


def check_model_file(content: bytes) -> None:
    """Raise ValueError unless the model has finite scores, and tables that stay within themselves."""
    model = memoryview(content)
    pieces = list(read_messages(model, PIECES))
    if not 0 < len(pieces) <= LARGEST:
        raise ValueError(f"it has {len(pieces):,} pieces")
    for piece in pieces:
        for number, value in read_fields(piece):
            if number == SCORE and (
                isinstance(value, int) or len(value) != 4 or not math.isfinite(struct.unpack("<f", value)[0])
            ):
                raise ValueError("the score of a piece is not a number")
    for normalizer in chain(read_messages(model, NORMALIZER), read_messages(model, DENORMALIZER)):
        for table in read_messages(normalizer, CHARSMAP):
            _check_charsmap(table)


def _check_charsmap(table: memoryview) -> None:
    """Check a table of characters: the size of a trie, the trie (a double array), and the texts in it.

    The library follows the offsets in the trie, and from its leaves into the texts, without checks.
    """
    if not len(table):
        return
    size = struct.unpack("<I", table[:4])[0] if len(table) > 4 else 0
    texts = table[4 + size :]
    if size == 0 or size % (4 * BLOCK) or not len(texts) or texts[-1] != 0:
        raise ValueError("its table of characters is damaged")
    units = np.frombuffer(table[4 : 4 + size], "<u4").astype(np.int64)
    indices = np.arange(len(units))
    shifts = np.where(units & WIDE, (units >> 10) << 8, units >> 10)
    inner = (units & LEAF) == 0
    children = (indices ^ shifts)[inner]
    if len(children) and int((children | (BLOCK - 1)).max()) >= len(units):
        raise ValueError("its table of characters is damaged")
    ends = children[(units[inner] >> 8 & 1) == 1]
    if len(ends) and int((units[ends] & (LEAF - 1)).max()) >= len(texts):
        raise ValueError("its table of characters is damaged")
