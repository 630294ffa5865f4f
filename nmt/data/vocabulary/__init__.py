"""Vocabularies: the segmentation of a line into tokens (subwords or words), and back."""

from pathlib import Path

from nmt.data.vocabulary.model_file import check_model_file
from nmt.data.vocabulary.subwords import SentencePieceVocabulary
from nmt.data.vocabulary.vocabulary import (
    BOS,
    COPIES,
    COPY,
    EOS,
    PAD,
    SPECIALS,
    TAG,
    UNK,
    Flags,
    Vocabulary,
    copy_symbol,
)
from nmt.data.vocabulary.words import WordVocabulary, parse_words, split_words
from nmt.errors import DataError
from nmt.untrusted_files import ADVICE, TEXT_BYTES, read_bytes

__all__ = [
    "BOS",
    "COPIES",
    "COPY",
    "EOS",
    "PAD",
    "SIDES",
    "SPECIALS",
    "TAG",
    "UNK",
    "Flags",
    "SentencePieceVocabulary",
    "Vocabulary",
    "WordVocabulary",
    "copy_symbol",
    "load_vocabulary",
    "split_words",
]

SIDES = ("source", "target")  # of a translator, in the names of its vocabulary files


def load_vocabulary(path: Path) -> Vocabulary:
    """Load a vocabulary of either kind; DataError if the file is missing or damaged."""
    content = read_bytes(path, TEXT_BYTES)
    if content.startswith((f"{SPECIALS[PAD]}\n".encode(), f"{SPECIALS[PAD]} ".encode())):
        return _load_words(path, content)
    try:
        check_model_file(content)
        vocabulary = SentencePieceVocabulary(content)
    except (RuntimeError, ValueError):
        raise DataError(f"{path} is not a SentencePiece model, or is damaged; {ADVICE}") from None
    if vocabulary.special_ids != (PAD, BOS, EOS, UNK):
        options = f"pad_id={PAD}, bos_id={BOS}, eos_id={EOS}, unk_id={UNK}"
        raise DataError(f"the SentencePiece model {path} must be trained with {options}")
    return vocabulary


def _load_words(path: Path, content: bytes) -> WordVocabulary:
    try:
        return parse_words(content)
    except ValueError as error:
        raise DataError(f"the vocabulary {path} {error}") from None
