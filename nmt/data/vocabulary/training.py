"""Training of vocabularies: their settings, and SentencePiece's trainer, run so that the result is
reproducible."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Annotated

import sentencepiece
from annotated_types import Ge, Gt, Le

from nmt.data.text import sample_lines
from nmt.data.vocabulary import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    SentencePieceVocabulary,
    Vocabulary,
    WordVocabulary,
    split_words,
)
from nmt.errors import DataError
from nmt.settings import Conflict, Count, OneOf, Settings, Share

log = logging.getLogger(__name__)

KINDS = ("unigram", "bpe", "char", "pretokenized")
SAMPLE_SIZE = 500_000  # maximum number of lines for sentencepiece, which holds its text in memory
LINE_CHARACTERS = 1_000  # sentencepiece skips lines above 4,192 bytes; longer ones are truncated


@dataclass(frozen=True, kw_only=True)
class SubwordSettings(Settings):
    """The segmentation of a line into tokens (subwords)."""

    kind: Annotated[str, OneOf(lambda: KINDS)] = "unigram"
    """Subword model, or `pretokenized`: words split on spaces."""
    size: Annotated[int, Ge(1), Le(10_000_000)] = 8000
    """Size of the vocabulary (for `pretokenized` an upper limit)."""
    character_coverage: Annotated[float, Gt(0.9), Le(1.0)] = 1.0
    """Share of characters that get a token; the rest become <unk>."""
    min_count: Count = 1
    """`pretokenized` only: rarer words become <unk>."""


@dataclass(frozen=True, kw_only=True)
class TranslationSubwordSettings(SubwordSettings):
    """The segmentation of a line into tokens (subwords), on either side."""

    joint: bool = True
    """One model for both sides; false trains one per side."""
    sampling: Share = 0.0
    """Subword regularisation (Kudo, 2018): smoothing alpha of the segmentations sampled in training; 0 turns
    it off."""

    def conflicts(self) -> Iterator[Conflict]:
        if self.sampling and self.kind not in ("unigram", "bpe"):
            yield "sampling", f"needs subwords.kind unigram or bpe, not {self.kind}"


@dataclass(frozen=True, kw_only=True)
class LanguageModelSubwordSettings(SubwordSettings):
    """The segmentation of a line into tokens (subwords)."""

    same_as: str | None = None
    """A translator's run or model directory whose target vocabulary is used unchanged, so that `nmt translate
    --lm` can combine the two; found like `data.root`. It replaces the settings above."""

    def conflicts(self) -> Iterator[Conflict]:
        for setting in fields(SubwordSettings):
            if self.same_as is not None and getattr(self, setting.name) != setting.default:
                yield setting.name, "subwords.same_as sets the vocabulary: omit one of the two"


def train_vocabulary(
    lines: Iterable[str],
    settings: SubwordSettings,
    *,
    seed: int = 1,
    tags: Sequence[str] = (),
    sample_size: int = SAMPLE_SIZE,
) -> Vocabulary:
    """Train a vocabulary on lines, the same in every process for the same lines and settings.

    Each of the `tags` is a separate token, recognised as the first word of a line. Subwords are trained on
    at most `sample_size` lines; there may be fewer than `size`. DataError if the text is not sufficient.
    """
    if settings.kind == "pretokenized":
        return _train_words(lines, settings, tags)
    short = (line[i : i + LINE_CHARACTERS] for line in lines for i in range(0, len(line), LINE_CHARACTERS))
    vocabulary = _train_subwords(sample_lines(short, sample_size, seed), settings, tags)
    if len(vocabulary) < settings.size and settings.kind != "char":
        log.warning(f"the text gives {len(vocabulary):,} tokens, fewer than the {settings.size:,} asked for")
    return vocabulary


def _train_words(lines: Iterable[str], settings: SubwordSettings, tags: Sequence[str]) -> WordVocabulary:
    reserved = {*SPECIALS, *tags}
    counts = Counter(word for line in lines for word in split_words(line) if word not in reserved)
    frequent = sorted((-count, word) for word, count in counts.items() if count >= settings.min_count)
    if not frequent:
        raise DataError(
            "the vocabulary is empty: no word of the training text is frequent enough (subwords.min_count)"
        )
    most = max(1, settings.size - len(SPECIALS) - len(tags))
    return WordVocabulary([*tags, *(word for _, word in frequent[:most])])


def _train_subwords(sample: list[str], settings: SubwordSettings, tags: Sequence[str]) -> Vocabulary:
    """Train a SentencePiece model by one thread; each line is removed from `sample` when it is read."""
    model = BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(sample.pop() for _ in range(len(sample))),
            model_writer=model,
            model_type=settings.kind,
            vocab_size=settings.size,
            character_coverage=settings.character_coverage,
            hard_vocab_limit=False,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            control_symbols=list(tags),
            num_threads=1,
            minloglevel=3,
        )
    except RuntimeError as error:
        raise DataError(_explain_error(str(error), settings.size)) from None
    return SentencePieceVocabulary(model.getvalue())


def _explain_error(error: str, size: int) -> str:
    if match := re.search(r"required_chars\. (\d+) vs (\d+)", error):
        return (
            f"no vocabulary of {size:,} tokens can be trained: the training text needs {int(match[2]):,}, "
            f"one for each character; raise subwords.size, or lower subwords.character_coverage"
        )
    if "sentences_.empty()" in error:
        return "no vocabulary can be trained: the training text is empty"
    return f"no vocabulary can be trained on this text: {error}"
