"""The interface of vocabularies, and the ids that all of them share."""

import hashlib
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary.normalisation import NORMALISATIONS
from nmt.errors import UsageError
from nmt.files import write_file

Flags = NDArray[np.bool_]

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
TAG = re.compile(r"<[^<>\s]+>")  # a word that can be added to the beginning of each source of a corpus
COPY = re.compile("<copy([0-9]+)>")
"""A copy symbol: it stands for a part of a source that is copied to the translation."""
COPIES = 16
"""Copy symbols of a vocabulary."""
CANNOT_SAMPLE = "only unigram and bpe segmentations can be sampled: set subwords.sampling to 0"


def copy_symbol(number: int) -> str:
    """Return the spelling of a copy symbol, numbered from 1."""
    return f"<copy{number}>"


class Vocabulary(Protocol):
    """Tokens with their ids, where 0 to 3 are pad, bos, eos and unk."""

    suffix: str
    content: bytes
    """The vocabulary's file."""
    spellings: list[str]
    """The tokens as spelt in the vocabulary."""
    rule: str
    """The normalisation before a line is divided, one of `NORMALISATIONS`."""

    copies: range
    """The tokens of the copy symbols 1, 2, ...; vocabularies of version 0.1 have none."""

    def normalise(self, line: str) -> str:
        """Return a line as it is divided into tokens; a subword model normalises further."""
        return NORMALISATIONS[self.rule](line)

    def encode(self, line: str) -> list[int]:
        """Return the ids of a line's tokens, without bos and eos."""
        return self.encode_all([line])[0]

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        """Encode several lines, which is faster."""

    def encode_phrase(self, phrase: str) -> list[int]:
        """Return the ids of a phrase as it is written inside a line."""
        return self.encode(phrase)

    def sample(self, line: str, alpha: float, seed: int) -> list[int]:
        """Sample a segmentation of the line, which depends on the line, alpha and the seed (32 bits) only."""
        raise UsageError(CANNOT_SAMPLE)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; pad, bos and eos are skipped."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return tokens as spelt in the vocabulary."""
        return [self.spellings[i] for i in ids]

    def join(self, text: str) -> str:
        """Join the segments of words, if the vocabulary's tokens are written as segments (`be@@ tter`)."""
        return text

    def tag(self, line: str) -> str:
        """Return the tag that a line begins with, or an empty string."""
        return ""

    def starts(self) -> Flags:
        """Return a flag per token: True if it starts a word."""

    def continuations(self) -> Sequence[int]:
        """Return the tokens that would extend a word after which they are written."""
        return []

    def openings(self) -> Sequence[int]:
        """Return the tokens that the next token extends, whatever it is."""
        return []

    def can_write(self, ids: Sequence[int]) -> bool:
        """Return True if `decode` gives the text that was encoded as these tokens, apart from white space."""
        return UNK not in ids

    def byte_tokens(self) -> Sequence[int]:
        """Return the tokens that are single bytes, for characters that have no token."""
        return []

    def case_tokens(self) -> Sequence[int]:
        """Return the tokens that are marks of case, which belong to the word before them."""
        return []

    def find_copies(self) -> range:
        """Find the copy symbols among the tokens."""
        first = next((i for i, token in enumerate(self.spellings) if token == copy_symbol(1)), None)
        if first is None:
            return range(0)
        others = self.spellings[first:]
        return range(first, first + sum(1 for _ in takewhile(_is_numbered, enumerate(others, 1))))

    def __len__(self) -> int:
        return len(self.spellings)

    def save(self, path: Path) -> None:
        """Write the vocabulary atomically."""
        write_file(path, self.content)

    def fingerprint(self) -> str:
        """Return the SHA-256 of what `save` writes."""
        return hashlib.sha256(self.content).hexdigest()


def _is_numbered(entry: tuple[int, str]) -> bool:
    return entry[1] == copy_symbol(entry[0])
