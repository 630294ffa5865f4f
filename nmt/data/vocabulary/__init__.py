"""Vocabularies: the segmentation of a line into tokens (subwords or words), and back."""

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from nmt.data.vocabulary.model_file import check_model_file
from nmt.data.vocabulary.sampling import (
    LONGEST_WORD,
    BpeSegmentations,
    SegmentationSampler,
    UnigramSegmentations,
    merge_unknowns,
)
from nmt.errors import DataError, UsageError
from nmt.files import write_file
from nmt.untrusted_files import ADVICE, TEXT_BYTES, read_bytes

Flags = NDArray[np.bool_]

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
SIDES = ("source", "target")  # of a translator, in the names of its vocabulary files

WORD = re.compile("▁*[^▁]+")  # tokens of sentencepiece do not cross a space, which it writes as ▁
CANNOT_SAMPLE = "only unigram and bpe segmentations can be sampled: set subwords.sampling to 0"


class Vocabulary(Protocol):
    """Tokens with their ids, where 0 to 3 are pad, bos, eos and unk."""

    suffix: str
    content: bytes
    """The vocabulary's file."""
    spellings: list[str]
    """The tokens as spelt in the vocabulary."""

    def encode(self, line: str) -> list[int]:
        """Return the ids of a line's tokens, without bos and eos."""
        return self.encode_all([line])[0]

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        """Encode several lines, which is faster."""

    def sample(self, line: str, alpha: float, seed: int) -> list[int]:
        """Sample a segmentation of the line, which depends on the line, alpha and the seed (32 bits) only."""
        raise UsageError(CANNOT_SAMPLE)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; pad, bos and eos are skipped."""

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return tokens as spelt in the vocabulary."""
        return [self.spellings[i] for i in ids]

    def starts(self) -> Flags:
        """Return a flag per token: True if it starts a word."""

    def __len__(self) -> int:
        return len(self.spellings)

    def save(self, path: Path) -> None:
        """Write the vocabulary atomically."""
        write_file(path, self.content)

    def fingerprint(self) -> str:
        """Return the SHA-256 of what `save` writes."""
        return hashlib.sha256(self.content).hexdigest()


class SentencePieceVocabulary(Vocabulary):
    """Subwords of a SentencePiece model (Kudo and Richardson, 2018)."""

    suffix = ".spm"

    def __init__(self, model: bytes) -> None:
        self.content = model
        self._processor = spm = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.special_ids = spm.pad_id(), spm.bos_id(), spm.eos_id(), spm.unk_id()
        self.spellings = spm.id_to_piece(list(range(spm.get_piece_size())))

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        split = [self._split_tag(line) for line in lines] if self._tags else []
        rests = [rest for _, rest in split] or lines
        ids: list[list[int]] = self._processor.encode(rests, num_threads=1)
        return [tag + rest for (tag, _), rest in zip(split, ids, strict=True)] if split else ids

    def _split_tag(self, line: str) -> tuple[list[int], str]:
        """Split off the tag at the beginning of a line."""
        word, _, rest = line.partition(" ")
        return ([self._tags[word]], rest) if word in self._tags else ([], line)

    @cached_property
    def _tags(self) -> dict[str, int]:
        """The ids of tokens that are recognised only as the first word of a line."""
        ids = range(len(SPECIALS), len(self))
        return {self.spellings[i]: i for i in ids if self._processor.is_control(i)}

    def sample(self, line: str, alpha: float, seed: int) -> list[int]:
        """Sample from the unigram model's distribution smoothed by alpha (Kudo, 2018), or skip each BPE merge
        with probability alpha (Provilkov et al., 2020); UsageError for other models.
        """
        tag, rest = self._split_tag(line)
        rng, words = random.Random(seed), WORD.findall(self._processor.normalize(rest))
        return tag + [i for word in words for i in self._sample_word(word, alpha, rng)]

    def _sample_word(self, word: str, alpha: float, rng: random.Random) -> list[int]:
        if len(word) > LONGEST_WORD:
            return self.encode(word)
        return merge_unknowns(self._draw(word, alpha, rng), UNK)

    @cached_property
    def _draw(self) -> SegmentationSampler:
        tags = {*self._tags.values()}
        tokens = {self.spellings[i]: i for i in range(len(SPECIALS), len(self)) if i not in tags}
        scores = {token: self._processor.get_score(i) for token, i in tokens.items()}
        if _supports(lambda: self._processor.nbest_encode("a", nbest_size=2)):
            return UnigramSegmentations(tokens, scores)
        if _supports(lambda: self._processor.encode("a", enable_sampling=True, alpha=0.5, nbest_size=-1)):
            return BpeSegmentations(tokens, scores)
        raise UsageError(CANNOT_SAMPLE)

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self._processor.decode([i for i in ids if i > EOS])
        return text

    def starts(self) -> Flags:
        return np.array([token.startswith("▁") for token in self.spellings])


def _supports(call: Callable[[], object]) -> bool:
    """Return True if a call succeeds; sentencepiece does not report the type of a model."""
    try:
        call()
    except RuntimeError:
        return False
    return True


class WordVocabulary(Vocabulary):
    """Words split on spaces, for tokenised text."""

    suffix = ".vocab"

    def __init__(self, words: Iterable[str]) -> None:
        self.spellings = [*SPECIALS, *words]
        self._ids = {word: i for i, word in enumerate(self.spellings) if i > UNK}
        self.content = "".join(word + "\n" for word in self.spellings).encode()

    def encode_all(self, lines: list[str]) -> list[list[int]]:
        return [[self._ids.get(word, UNK) for word in split_words(line)] for line in lines]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.spellings[i] for i in ids if i > EOS)

    def starts(self) -> Flags:
        return np.ones(len(self), np.bool_)


def split_words(line: str) -> list[str]:
    """Split a line at spaces; other white space (a no-break space, say) can be part of a word, not a word."""
    return [word for word in line.split(" ") if word and not word.isspace()]


def load_vocabulary(path: Path) -> Vocabulary:
    """Load a vocabulary of either kind; DataError if the file is missing or damaged."""
    content = read_bytes(path, TEXT_BYTES)
    if content.startswith(SPECIALS[PAD].encode() + b"\n"):
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
        words = content.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise DataError(f"the vocabulary {path} is damaged: it is not UTF-8") from None
    if tuple(words[: len(SPECIALS)]) != SPECIALS:
        raise DataError(f"the vocabulary {path} must start with the lines {', '.join(SPECIALS)}")
    return WordVocabulary(words[len(SPECIALS) :])
