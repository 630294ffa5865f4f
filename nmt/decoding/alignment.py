"""Which source word each target word looked at most."""

from nmt.decoding.model import Floats

SPACE = "▁"  # how a subword piece says that a word begins

Alignment = list[tuple[int, int]]  # pairs of source word and target word, from 0


def are_subwords(source_pieces: list[str]) -> bool:
    """Whether a line was cut into subwords (its first piece carries ▁), or came split into words."""
    return any(piece.startswith(SPACE) for piece in source_pieces)


def word_numbers(pieces: list[str], subwords: bool) -> list[int]:
    """The word that each piece belongs to, counted as between spaces in the text."""
    numbers, word = [], -1
    for piece in pieces:
        if word < 0 or not subwords or piece.startswith(SPACE):
            word += 1
        numbers.append(word)
    return numbers


def align(weights: Floats, source_words: list[int], target_words: list[int]) -> Alignment:
    """Each target piece's most attended source piece, as pairs of words, each pair once; weights [T, S]."""
    if not target_words:
        return []
    looked_at = weights.argmax(axis=-1).tolist()
    pairs = {(source_words[s], target) for s, target in zip(looked_at, target_words, strict=True)}
    return sorted(pairs, key=lambda pair: pair[::-1])
