"""Vocabularies of a model that starts from another: what the old one does not know, tokens appended to it,
and the old tokens that a new token is made of."""

import re
import struct
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from nmt.data.vocabulary import SPECIALS, UNK, SentencePieceVocabulary, Vocabulary, WordVocabulary
from nmt.data.vocabulary.model_file import PIECES, SCORE
from nmt.protobuf import read_fields, read_messages, write_field

TRAINER, MODEL_TYPE = 2, 3  # a field of a SentencePiece model, and a field of that
UNIGRAM = 1  # the type of a model that does not name it
KINDS_OF_MODELS: dict[object, str] = {UNIGRAM: "unigram", 2: "bpe", 4: "char"}
KIND, BYTE = 3, 6  # the type of a piece, and its value for bytes
FIXED32_SCORE = bytes([SCORE << 3 | 5])  # the key of a piece's score
BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")
EXAMPLES = 8


class UnknownTokens(NamedTuple):
    """The unknown tokens of a text, and the bytes that replace characters without a token."""

    unknown: int
    spelt: int  # tokens that are bytes
    total: int
    examples: list[str]  # the most frequent characters, or words, without a token

    def describe(self) -> str:
        """Describe both, with examples."""
        total = max(self.total, 1)
        parts = [(self.unknown, "are unknown"), (self.spelt, "are bytes of characters")]
        shares = [f"{count / total:.1%} ({count:,}) {what}" for count, what in parts if count]
        return f"{' and '.join(shares)}, for example {' '.join(self.examples)}"


def count_unknown(vocabulary: Vocabulary, lines: Sequence[str]) -> UnknownTokens:
    """Count the tokens of some lines, and those of them that are unknown or bytes."""
    unknown, spelt, total, units = 0, 0, 0, Counter[str]()
    missing = {UNK, *vocabulary.byte_tokens()}
    is_words = isinstance(vocabulary, WordVocabulary)
    for line, ids in zip(lines, vocabulary.encode_all(list(lines)), strict=True):
        found = sum(i in missing for i in ids)
        unknown, spelt, total = unknown + ids.count(UNK), spelt + found - ids.count(UNK), total + len(ids)
        if found:
            text = vocabulary.normalise(line)
            units.update(text.split() if is_words else text.replace(" ", ""))
    most = (unit for unit, _ in units.most_common() if missing.intersection(vocabulary.encode(unit)))
    return UnknownTokens(unknown, spelt, total, list(islice(most, EXAMPLES)))


def find_kind(vocabulary: Vocabulary) -> str:
    """Return the `subwords.kind` of a vocabulary; ValueError if it cannot be extended."""
    if isinstance(vocabulary, WordVocabulary) and not vocabulary.has_codes:
        return "pretokenized"
    if isinstance(vocabulary, SentencePieceVocabulary):
        trainers = read_messages(memoryview(vocabulary.content), TRAINER)
        types = [
            value for trainer in trainers for number, value in read_fields(trainer) if number == MODEL_TYPE
        ]
        if (kind := types[-1] if types else UNIGRAM) in KINDS_OF_MODELS:
            return KINDS_OF_MODELS[kind]
    raise ValueError("it was made by another program")


def extend_vocabulary(old: Vocabulary, new: Vocabulary) -> Vocabulary:
    """Return a vocabulary with the tokens of `old`, under their ids, followed by the other ones of `new`.

    Both must be of one kind: ValueError if they are not.
    """
    if find_kind(old) != find_kind(new):
        raise ValueError("the vocabularies are of different kinds")
    if isinstance(old, SentencePieceVocabulary) and isinstance(new, SentencePieceVocabulary):
        return SentencePieceVocabulary(old.content + _additional_pieces(old, new))
    known = {*old.spellings}
    words = [*old.spellings[len(SPECIALS) :], *(word for word in new.spellings if word not in known)]
    joined = isinstance(old, WordVocabulary) and old.joined
    return WordVocabulary(words, old.rule, joined=joined)


def _additional_pieces(old: SentencePieceVocabulary, new: SentencePieceVocabulary) -> bytes:
    """Return the pieces of `new` that `old` does not have, as fields of a model file.

    The score of a unigram piece is its log-probability, which stays; that of a BPE piece is minus the rank of
    its merge, which is moved behind those of `old`.
    """
    known, added = {*old.spellings}, bytearray()
    shift = min(_scores(old)) - 1 if find_kind(old) == "bpe" else None
    messages = zip(new.spellings, _scores(new), read_messages(memoryview(new.content), PIECES), strict=True)
    for spelling, score, piece in messages:
        if spelling in known or any(field == (KIND, BYTE) for field in read_fields(piece)):
            continue
        message = bytes(piece)
        if shift is not None:
            message += FIXED32_SCORE + struct.pack("<f", score + shift)  # the last value of a field counts
        added += write_field(PIECES, message)
    return bytes(added)


def _scores(vocabulary: SentencePieceVocabulary) -> list[float]:
    pieces = read_messages(memoryview(vocabulary.content), PIECES)
    scores = (list(read_messages(piece, SCORE))[-1:] for piece in pieces)
    return [struct.unpack("<f", score[0])[0] if score else 0.0 for score in scores]


class TokenParts(NamedTuple):
    """For each token of a vocabulary the tokens of another one with which its vectors start."""

    parts: list[list[int]]  # the same token; or those that spell it; or none

    def describe(self) -> str:
        """Count the tokens by where their vectors come from."""
        sizes = np.array([len(part) for part in self.parts])
        shared = len(SPECIALS) + int((sizes[len(SPECIALS) :] == 1).sum())
        return (
            f"{shared:,} of {len(sizes):,} tokens shared, {int((sizes > 1).sum()):,} start as the mean of "
            f"their parts, {int((sizes == 0).sum()):,} as the mean of all"
        )


def find_parts(old: Vocabulary, new: Vocabulary) -> TokenParts:
    """Find the tokens of `old` that spell each token of `new`, as few as possible."""
    ids = {spelling: i for i, spelling in enumerate(_spellings(old)) if i >= len(SPECIALS)}
    longest = max(map(len, ids), default=0)
    specials = [[i] for i in range(len(SPECIALS))]
    others = _spellings(new)[len(SPECIALS) :]
    return TokenParts([*specials, *(_split(spelling, ids, longest) for spelling in others)])


def _spellings(vocabulary: Vocabulary) -> list[str]:
    """Return the tokens as subwords are spelt, with ▁ before a word."""
    if isinstance(vocabulary, WordVocabulary):
        return ["▁" + word for word in vocabulary.spellings]
    return vocabulary.spellings


def _split(text: str, ids: dict[str, int], longest: int) -> list[int]:
    """Split a text into as few tokens as possible; none, if it cannot be split."""
    if text in ids:
        return [ids[text]]
    if BYTE_TOKEN.fullmatch(text):
        return []
    best: list[list[int] | None] = [[]]
    for end in range(1, len(text) + 1):
        starts = range(max(0, end - longest), end)
        ways = [
            [*before, ids[text[start:end]]]
            for start in starts
            if (before := best[start]) is not None and text[start:end] in ids
        ]
        best.append(min(ways, key=len) if ways else None)
    return best[-1] or []
