"""A vocabulary for tests: subwords made by cutting words after every third character."""

from collections.abc import Sequence


class CutWords:
    """Words are cut into pieces of three characters, the first with ▁ before it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def encode(self, line: str) -> list[int]:
        return [self._id(piece) for word in line.split() for piece in cut("▁" + word)]

    def _id(self, piece: str) -> int:
        """It depends on the spelling alone, and is even where a word begins."""
        return 4 + 2 * (sum(map(ord, piece)) % (self.size // 2 - 2)) + (not piece.startswith("▁"))

    def fingerprint(self) -> str:
        return f"cut words, {self.size}"

    def encode_phrase(self, phrase: str) -> list[int]:
        return self.encode(phrase)

    def can_write(self, ids: Sequence[int]) -> bool:
        return True

    def continuations(self) -> list[int]:
        return [*range(5, self.size, 2)]

    def case_tokens(self) -> list[int]:
        return []

    def openings(self) -> list[int]:
        return []

    def normalise(self, line: str) -> str:
        return line

    def join(self, text: str) -> str:
        return text

    def byte_tokens(self) -> list[int]:
        return []

    def tag(self, line: str) -> str:
        return ""

    @property
    def copies(self) -> range:
        return range(0)

    def tokens(self, ids: Sequence[int]) -> list[str]:
        return [("▁" if i % 2 == 0 else "") + f"p{i}" for i in ids]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.tokens(ids)).replace("▁", " ").strip()


def cut(word: str) -> list[str]:
    return [word[start : start + 3] for start in range(0, len(word), 3)]
