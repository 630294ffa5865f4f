"""The lexical constraints of a line as tokens: phrases are written exactly, as whole words."""

from collections.abc import Iterator
from typing import NamedTuple

from nmt.data.script import is_written_with_spaces
from nmt.data.vocabulary import UNK
from nmt.decoding.job import LineConstraints, Tokenizer
from nmt.decoding.options import TokenSequence


class EncodedConstraints(NamedTuple):
    """The constraints of a line, in the fields of a `Request`."""

    prefix: list[int]
    required: list[list[int]]
    forbidden: list[list[int]]
    closed: frozenset[TokenSequence]


def encode_constraints(constraints: LineConstraints, target: Tokenizer) -> EncodedConstraints:
    """Encode the constraints of a line; a phrase that cannot be written need not be forbidden."""
    prefix = target.encode(constraints.prefix)
    required = [(phrase, target.encode_phrase(phrase)) for phrase in constraints.must]
    forbidden = [
        ids
        for phrase in constraints.must_not
        for ids in (target.encode(phrase), target.encode_phrase(phrase))
        if UNK not in ids
    ]
    return EncodedConstraints(
        prefix,
        [ids for _, ids in required],
        forbidden,
        frozenset(
            tuple(ids) for text, ids in [(constraints.prefix, prefix), *required] if ends_word(text.rstrip())
        ),
    )


def ends_word(text: str) -> bool:
    """Return True if a letter or digit after this text would extend its last word."""
    return text != "" and is_written_with_spaces(text[-1])


def find_unwritable(constraints: LineConstraints, target: Tokenizer) -> str | None:
    """Describe the first constraint that the target vocabulary cannot write; None if there is none."""
    for name, phrase in _phrases(constraints):
        if not target.can_write(target.encode(phrase)):
            missing = dict.fromkeys(char for char in phrase if not target.can_write(target.encode(char)))
            tokens = f"no tokens for {' '.join(missing)}" if missing else "no tokens for it"
            return f"the {name} {phrase!r} cannot be written: the target vocabulary has {tokens}: left blank"
    return None


def _phrases(constraints: LineConstraints) -> Iterator[tuple[str, str]]:
    yield "prefix", constraints.prefix
    yield from (("required phrase", phrase) for phrase in constraints.must)
