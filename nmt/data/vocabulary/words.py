"""Word vocabularies: words split on spaces, or segments of words by byte-pair encoding."""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from nmt.data.vocabulary.codes import JOINER, BpeCodes, join_segments
from nmt.data.vocabulary.normalisation import NORMALISATIONS
from nmt.data.vocabulary.vocabulary import EOS, SPECIALS, TAG, UNK, Flags, Vocabulary

JOINED, CODES = "joined", "codes="  # in the first line of the file


class WordVocabulary(Vocabulary):
    """Words split on spaces, for tokenised text.

    With `joined` they are segments of words, which are joined in output; with `codes` words are divided into
    segments by these. The file has a word in each line, then the codes. Its first line has the rule of
    normalisation and the other properties: `<pad> nfc joined codes=10000`.
    """

    suffix = ".vocab"

    def __init__(
        self, words: Iterable[str], rule: str = "none", *, joined: bool = False, codes: BpeCodes | None = None
    ) -> None:
        self.spellings, self.rule = [*SPECIALS, *words], rule
        self.joined, self._codes = joined or codes is not None, codes
        self._ids = {word: i for i, word in enumerate(self.spellings) if i > UNK}
        self.copies = self.find_copies()
        lines = codes.lines if codes else []
        properties = [SPECIALS[0], *([rule] if rule != "none" or self.joined else [])]
        properties += [JOINED] * self.joined + [f"{CODES}{len(lines)}"] * bool(lines)
        self.content = "".join(
            f"{line}\n" for line in (" ".join(properties), *self.spellings[1:], *lines)
        ).encode()

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        return [[self._ids.get(word, UNK) for word in self._split(line)] for line in lines]

    def _split(self, line: str) -> list[str]:
        line = self.normalise(line)
        if self._codes is None:
            return split_words(line)
        words = split_words(join_segments(line))
        return [part for word in words for part in self._segment(word, self._codes)]

    def _segment(self, word: str, codes: BpeCodes) -> list[str]:
        return [word] if TAG.fullmatch(word) and word in self._ids else codes.segment(word, self._ids)

    @property
    def has_codes(self) -> bool:
        """Whether words are divided into segments by codes."""
        return self._codes is not None

    def tag(self, line: str) -> str:
        word = line.partition(" ")[0]
        is_tag = TAG.fullmatch(word) is not None and self._ids.get(word, UNK) not in (UNK, *self.copies)
        return word if is_tag else ""

    def decode(self, ids: Sequence[int]) -> str:
        return self.join(" ".join(self.spellings[i] for i in ids if i > EOS))

    def join(self, text: str) -> str:
        return join_segments(text) if self.joined else text

    def starts(self) -> Flags:
        return np.ones(len(self), np.bool_)

    def openings(self) -> Sequence[int]:
        return self._openings

    @cached_property
    def _openings(self) -> list[int]:
        if not self.joined:
            return []
        return [i for i, word in enumerate(self.spellings) if word.endswith(JOINER)]


def split_words(line: str) -> list[str]:
    """Split a line at spaces; other white space (a no-break space, say) can be part of a word, not a word."""
    return [word for word in line.split(" ") if word and not word.isspace()]


def parse_words(content: bytes) -> WordVocabulary:
    """Read the file of a word vocabulary; ValueError if it is damaged."""
    try:
        header, *lines = content.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise ValueError("is damaged: it is not UTF-8") from None
    if (header.split(" ")[0], *lines[: len(SPECIALS) - 1]) != SPECIALS:
        raise ValueError(f"must start with the lines {', '.join(SPECIALS)}")
    rule, *properties = header.split(" ")[1:] or ["none"]
    if rule not in NORMALISATIONS:
        raise ValueError(f"has the normalisation {rule!r}, which this version does not know")
    words, counts = lines[len(SPECIALS) - 1 :], [one for one in properties if one.startswith(CODES)]
    if unknown := {*properties} - {JOINED, *counts}:
        raise ValueError(f"has the property {min(unknown)!r}, which this version does not know")
    if not counts:
        return WordVocabulary(words, rule, joined=JOINED in properties)
    count = counts[0].removeprefix(CODES)
    if not count.isdecimal() or not 0 < int(count) <= len(words):
        raise ValueError("is damaged: its codes are incomplete")
    first = len(words) - int(count)
    return WordVocabulary(words[:first], rule, joined=True, codes=BpeCodes(words[first:]))
