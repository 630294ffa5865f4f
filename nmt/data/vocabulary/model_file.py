"""The file of a SentencePiece model: checks before the library uses it, since the library trusts tables
inside the file, and the rule of normalisation, which is an additional field that other programs ignore.
"""

import math
import struct
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary.normalisation import NORMALISATIONS, STAND_IN, ZWNJ
from nmt.protobuf import read_fields, read_messages, write_field

Int64 = NDArray[np.int64]

PIECES, NORMALIZER, DENORMALIZER = 1, 3, 5  # fields of the model
CHARSMAP = 2  # of a normalizer
SPELLING, SCORE, KIND = 1, 2, 3  # of a piece
USER_DEFINED = 4  # the kind of a symbol that is not divided
RULE = 1000  # of the model: the name of its normalisation; absent in models of version 0.1
CASE = 1001  # of the model: `inline` if its text has marks of case, else absent
INLINE = b"inline"
LARGEST = 10_000_000  # pieces
LEAF, WIDE, BLOCK = 1 << 31, 1 << 9, 256  # of the units of a table of characters
HAS_LEAF = 1 << 8


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
    shifts = _shifts(units)
    inner = (units & LEAF) == 0
    children = (indices ^ shifts)[inner]
    if len(children) and int((children | (BLOCK - 1)).max()) >= len(units):
        raise ValueError("its table of characters is damaged")
    ends = children[(units[inner] & HAS_LEAF) != 0]
    if len(ends) and int((units[ends] & (LEAF - 1)).max()) >= len(texts):
        raise ValueError("its table of characters is damaged")


def _shifts(units: Int64) -> Int64:
    """Return the distances from units to their children."""
    return np.where(units & WIDE, (units >> 10) << 8, units >> 10)


def read_rule(content: bytes) -> str:
    """Return the name of a model's normalisation; ValueError if it is unknown."""
    rules = [bytes(rule).decode() for rule in read_messages(memoryview(content), RULE)]
    rule = rules[-1] if rules else "none"
    if rule not in NORMALISATIONS:
        raise ValueError(f"its normalisation is {rule!r}, which this version does not know")
    return rule


def has_case_marks(content: bytes) -> bool:
    """Return True if a model's text has marks of case; ValueError if its case is written otherwise."""
    values = {bytes(value) for value in read_messages(memoryview(content), CASE)}
    if not values <= {INLINE}:
        raise ValueError(f"its case is {min(values)!r}, which this version does not know")
    return bool(values)


def find_symbols(content: bytes) -> list[int]:
    """Return the tokens of a model that are user-defined symbols."""
    pieces = enumerate(read_messages(memoryview(content), PIECES))
    return [token for token, piece in pieces if (KIND, USER_DEFINED) in read_fields(piece)]


def write_rule(content: bytes, rule: str) -> bytes:
    """Return a model with the name of its normalisation."""
    return content + write_field(RULE, rule.encode())


def write_case(content: bytes) -> bytes:
    """Return a model whose text has marks of case."""
    return content + write_field(CASE, INLINE)


def restore_joiners(content: bytes) -> bytes:
    """Return a model that was trained on text with `STAND_IN` for U+200C, so that it reads U+200C instead.

    The rules of SentencePiece replace U+200C by a space; here this rule is removed.
    """
    model = memoryview(bytearray(content))
    for piece in read_messages(model, PIECES):
        for number, value in read_fields(piece):
            if number == SPELLING and not isinstance(value, int):
                value[:] = bytes(value).replace(STAND_IN.encode(), ZWNJ.encode())
    for normalizer in read_messages(model, NORMALIZER):
        for table in read_messages(normalizer, CHARSMAP):
            _remove_character(table, ZWNJ)
    return bytes(model)


def _remove_character(table: memoryview, character: str) -> None:
    """Remove a character's rule from a table of characters, in place."""
    if not len(table):
        return
    size = struct.unpack("<I", table[:4])[0]
    units = np.frombuffer(table[4 : 4 + size], "<u4").astype(np.int64)
    shifts, unit = _shifts(units), 0
    for byte in character.encode():
        unit ^= int(shifts[unit]) ^ byte
        if int(units[unit]) & (LEAF | 0xFF) != byte:
            return
    struct.pack_into("<I", table, 4 + 4 * unit, int(units[unit]) & ~HAS_LEAF)
