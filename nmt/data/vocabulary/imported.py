"""Vocabularies in the files of other programs: SentencePiece models, codes of subword-nmt, lists of words."""

from collections.abc import Sequence
from pathlib import Path

from nmt.data.vocabulary.codes import BpeCodes
from nmt.data.vocabulary.model_file import PIECES, SPELLING, check_model_file, write_rule
from nmt.data.vocabulary.normalisation import NORMALISATIONS
from nmt.data.vocabulary.subwords import SentencePieceVocabulary
from nmt.data.vocabulary.vocabulary import BOS, EOS, PAD, SPECIALS, UNK
from nmt.protobuf import FieldValue, read_fields, read_messages, write_field, write_integer
from nmt.untrusted_files import TEXT_BYTES, RefusedFile, read_bytes

KIND, UNKNOWN, CONTROL = 3, 2, 3  # the field of a piece with its kind, and two kinds
TRAINER = 2  # the field of a model with the settings of its training
ID_FIELDS = {UNK: 40, BOS: 41, EOS: 42, PAD: 43}  # there: the numbers of special tokens ...
NAME_FIELDS = {UNK: 45, BOS: 46, EOS: 47, PAD: 48}  # ... and their names
ADVICE = "give a file that SentencePiece wrote"
CODES_ADVICE = "give the codes that `subword-nmt learn-bpe` wrote"
LIST_ADVICE = "give a word in each line, with or without its count"


def import_model(path: Path, rule: str, tags: Sequence[str] = ()) -> SentencePieceVocabulary:
    """Read a SentencePiece model of any other program, with the ids that special tokens have here.

    `tags` that it lacks are added.
    """
    content = read_bytes(path, TEXT_BYTES, ADVICE, inside=False)
    try:
        check_model_file(content)
        vocabulary = SentencePieceVocabulary(write_rule(_arrange_pieces(content, tags), rule))
    except (RuntimeError, ValueError):
        raise RefusedFile(path, "it is not a SentencePiece model, or is damaged", ADVICE) from None
    if vocabulary.special_ids != (PAD, BOS, EOS, UNK):
        raise RefusedFile(path, "its special tokens are also among its other tokens", ADVICE)
    return vocabulary


def _arrange_pieces(content: bytes, tags: Sequence[str]) -> bytes:
    """Return a model whose special tokens come first; the segmentation does not depend on the order."""
    model = memoryview(content)
    pieces = _find_ordinary_pieces(model)
    known = {_spelling(memoryview(piece)) for piece in pieces}
    pieces += [_write_piece(tag, CONTROL) for tag in tags if tag.encode() not in known]
    special = [_write_piece(name, UNKNOWN if name == SPECIALS[UNK] else CONTROL) for name in SPECIALS]
    others = [_write(number, value) for number, value in read_fields(model) if number != PIECES]
    ids = [write_integer(field, token) for token, field in ID_FIELDS.items()]
    names = [write_field(field, SPECIALS[token].encode()) for token, field in NAME_FIELDS.items()]
    written = [write_field(PIECES, piece) for piece in (*special, *pieces)]
    return b"".join([*written, *others, write_field(TRAINER, b"".join(ids + names))])


def _find_ordinary_pieces(model: memoryview) -> list[bytes]:
    """Return the pieces of a model without its special tokens."""
    names = {name.encode() for name in SPECIALS}
    for trainer in read_messages(model, TRAINER):
        names |= {_text(value) for number, value in read_fields(trainer) if number in NAME_FIELDS.values()}
    found = list[bytes]()
    for piece in read_messages(model, PIECES):
        kind = dict(read_fields(piece)).get(KIND)
        if kind != UNKNOWN and not (kind == CONTROL and _spelling(piece) in names):
            found.append(bytes(piece))
    return found


def _spelling(piece: memoryview) -> bytes:
    return _text(dict(read_fields(piece)).get(SPELLING, memoryview(b"")))


def _text(value: FieldValue) -> bytes:
    return b"" if isinstance(value, int) else bytes(value)


def _write_piece(name: str, kind: int) -> bytes:
    return write_field(SPELLING, name.encode()) + write_integer(KIND, kind)


def _write(number: int, value: FieldValue) -> bytes:
    return write_integer(number, value) if isinstance(value, int) else write_field(number, bytes(value))


def import_codes(path: Path) -> BpeCodes:
    """Read the codes of subword-nmt."""
    try:
        return BpeCodes(_read_text_lines(path, CODES_ADVICE))
    except ValueError as error:
        raise RefusedFile(path, str(error), CODES_ADVICE) from None


def import_words(path: Path, min_count: int, rule: str) -> list[str]:
    """Read a list of words or characters, each on a line, with its count if it has one.

    Words with a lower count and the names of special tokens are left out. A word that the rule of
    normalisation changes would never be found, so it is an error.
    """
    words = dict[str, int]()
    for number, line in enumerate(_read_text_lines(path, LIST_ADVICE), 1):
        word, *counts = line.split()
        if len(counts) > 1 or not all(count.isdecimal() for count in counts):
            raise RefusedFile(path, f"line {number}: expected a word, or a word and its count", LIST_ADVICE)
        if NORMALISATIONS[rule](word) != word:
            advice = "normalise the list, or set subwords.normalisation to none"
            raise RefusedFile(path, f"line {number}: {word!r} is not in the normal form {rule}", advice)
        if word in SPECIALS:
            continue
        if min_count > 1 and not counts:
            reason = f"line {number}: no count, and subwords.min_count needs it"
            raise RefusedFile(path, reason, LIST_ADVICE)
        if not counts or int(counts[0]) >= min_count:
            words.setdefault(word, number)
    if not words:
        raise RefusedFile(path, "it has no words that are frequent enough", LIST_ADVICE)
    return [*words]


def check_characters(words: list[str], path: Path | None) -> list[str]:
    """Return a list of characters; DataError if one of them is longer."""
    for word in words:
        if len(word) > 1 and path is not None:
            advice = "give a character in each line, or set subwords.kind to pretokenized"
            raise RefusedFile(path, f"{word!r} is not a character", advice)
    return words


def _read_text_lines(path: Path, advice: str) -> list[str]:
    """Return the lines of a text file that are not blank."""
    try:
        text = read_bytes(path, TEXT_BYTES, advice, inside=False).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RefusedFile(path, f"line {line} is not UTF-8", advice) from None
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]
