"""Word vocabularies: words split on spaces, for tokenised text."""

from collections.abc import Iterable, Sequence

import numpy as np

from nmt.data.vocabulary.vocabulary import EOS, SPECIALS, UNK, Flags, Vocabulary


class WordVocabulary(Vocabulary):
    """Words split on spaces, for tokenised text.

    The file has a word in each line. Its first line also has the rule of normalisation: `<pad> nfc`.
    """

    suffix = ".vocab"

    def __init__(self, words: Iterable[str], rule: str = "none") -> None:
        self.spellings, self.rule = [*SPECIALS, *words], rule
        self._ids = {word: i for i, word in enumerate(self.spellings) if i > UNK}
        header = SPECIALS[0] if rule == "none" else f"{SPECIALS[0]} {rule}"
        self.content = "".join(word + "\n" for word in (header, *self.spellings[1:])).encode()

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        return [[self._ids.get(word, UNK) for word in split_words(self.normalise(line))] for line in lines]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.spellings[i] for i in ids if i > EOS)

    def starts(self) -> Flags:
        return np.ones(len(self), np.bool_)


def split_words(line: str) -> list[str]:
    """Split a line at spaces; other white space (a no-break space, say) can be part of a word, not a word."""
    return [word for word in line.split(" ") if word and not word.isspace()]
