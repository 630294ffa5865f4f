"""Copies of source words in the place of unknown tokens of an output."""

from collections.abc import Sequence

from nmt.data.vocabulary import UNK
from nmt.decoding.job import Tokenizer
from nmt.decoding.parts import begins_next_word


def replace_unknown(ids: Sequence[int], copies: Sequence[str], target: Tokenizer, *, subwords: bool) -> str:
    """Return the text of an output with `copies[t]` instead of each unk at position t.

    A copied word is set between spaces, except before a subword that continues it. Adjacent unk of the same
    word give one copy.
    """
    text, start = "", 0
    tokens = target.tokens(ids)
    for index in [index for index, token in enumerate(ids) if token == UNK]:
        repeated = index == start > 0 and copies[index] == copies[index - 1]
        text = _join_texts(text, target.decode(ids[start:index]), _continues(tokens, start, subwords))
        text = text if repeated else _join_texts(text, copies[index], continues=False)
        start = index + 1
    return _join_texts(text, target.decode(ids[start:]), _continues(tokens, start, subwords))


def _continues(tokens: Sequence[str], start: int, subwords: bool) -> bool:
    """Return True if the token at `start` continues a word."""
    return subwords and start < len(tokens) and not begins_next_word(tokens, start, subwords)


def _join_texts(first: str, second: str, continues: bool) -> str:
    first, second = first.rstrip(), second.strip()
    return f"{first}{second}" if continues or not first or not second else f"{first} {second}"
