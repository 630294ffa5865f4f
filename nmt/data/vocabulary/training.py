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
from nmt.data.vocabulary.model_file import restore_joiners, write_rule
from nmt.data.vocabulary.normalisation import NORMALISATIONS, STAND_IN, ZWNJ
from nmt.errors import DataError
from nmt.settings import Conflict, Count, OneOf, Settings, Share

log = logging.getLogger(__name__)

KINDS = ("unigram", "bpe", "char", "pretokenized")
SAMPLED_KINDS = ("unigram", "bpe")  # with several segmentations of a word
BYTES_FROM = 1000  # the size from which subwords have bytes: SentencePiece refuses them in tiny vocabularies
BYTES = 256
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
    """Share of characters that get a token; the rest become bytes, or <unk> without `byte_fallback`."""
    byte_fallback: bool | None = None
    """`unigram` and `bpe`: characters without a token become the bytes of their UTF-8 form, so that nothing
    is unknown; its 256 tokens are added to `size`. null: on if `size` is 1000 or more."""
    normalisation: Annotated[str, OneOf(lambda: NORMALISATIONS)] | None = None
    """Normalisation of text in training and translation. `nmt_nfkc`: SentencePiece's form of NFKC, without
    characters that are invisible (docs/text.md); `nfc`: Unicode's composed form, without these characters;
    `none`: the text as it is. null: `nmt_nfkc`, and `nfc` for `pretokenized`."""
    min_count: Count = 1
    """`pretokenized` only: rarer words become <unk>."""

    @property
    def has_bytes(self) -> bool:
        """Whether the vocabulary has a token for each byte."""
        if self.byte_fallback is None:
            return self.kind in SAMPLED_KINDS and self.size >= BYTES_FROM
        return self.byte_fallback

    @property
    def rule(self) -> str:
        """The name of the normalisation."""
        return self.normalisation or ("nfc" if self.kind == "pretokenized" else "nmt_nfkc")

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        if self.byte_fallback and self.kind not in SAMPLED_KINDS:
            yield "byte_fallback", f"needs subwords.kind unigram or bpe, not {self.kind}"
        if self.kind == "pretokenized" and self.normalisation == "nmt_nfkc":
            yield "normalisation", "nmt_nfkc is a rule of subwords: pretokenized needs nfc or none"


@dataclass(frozen=True, kw_only=True)
class TranslationSubwordSettings(SubwordSettings):
    """The segmentation of a line into tokens (subwords), on either side."""

    joint: bool = True
    """One model for both sides; false trains one per side."""
    sampling: Share = 0.0
    """Subword regularisation (Kudo, 2018): smoothing alpha of the segmentations sampled in training; 0 turns
    it off."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.sampling and self.kind not in SAMPLED_KINDS:
            yield "sampling", f"needs subwords.kind unigram or bpe, not {self.kind}"


@dataclass(frozen=True, kw_only=True)
class LanguageModelSubwordSettings(SubwordSettings):
    """The segmentation of a line into tokens (subwords)."""

    same_as: str | None = None
    """A translator's run or model directory whose target vocabulary is used unchanged, so that `nmt translate
    --lm` can combine the two; found like `data.root`. It replaces the settings above."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
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
    lines = map(NORMALISATIONS[settings.rule], lines)
    if settings.kind == "pretokenized":
        return _train_words(lines, settings, tags)
    short = (line[i : i + LINE_CHARACTERS] for line in lines for i in range(0, len(line), LINE_CHARACTERS))
    vocabulary = _train_subwords(sample_lines(short, sample_size, seed), settings, tags)
    size = len(vocabulary) - BYTES * settings.has_bytes
    if size < settings.size and settings.kind != "char":
        log.warning(f"the text gives {size:,} tokens, fewer than the {settings.size:,} asked for")
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
    return WordVocabulary([*tags, *(word for _, word in frequent[:most])], settings.rule)


def _train_subwords(sample: list[str], settings: SubwordSettings, tags: Sequence[str]) -> Vocabulary:
    """Train a SentencePiece model by one thread; each line is removed from `sample` when it is read."""
    model, has_joiners = BytesIO(), settings.rule == "nmt_nfkc"
    texts = (sample.pop() for _ in range(len(sample)))
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(text.replace(ZWNJ, STAND_IN) for text in texts) if has_joiners else texts,
            model_writer=model,
            model_type=settings.kind,
            vocab_size=settings.size + BYTES * settings.has_bytes,
            byte_fallback=settings.has_bytes,
            normalization_rule_name="nmt_nfkc" if settings.rule == "nmt_nfkc" else "identity",
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
        raise DataError(_explain_error(str(error), settings)) from None
    content = restore_joiners(model.getvalue()) if has_joiners else model.getvalue()
    return SentencePieceVocabulary(write_rule(content, settings.rule))


def _explain_error(error: str, settings: SubwordSettings) -> str:
    if match := re.search(r"required_chars\. (\d+) vs (\d+)", error):
        needed = int(match[2]) - BYTES * settings.has_bytes
        return (
            f"no vocabulary of {settings.size:,} tokens can be trained: the training text needs {needed:,}, "
            f"one for each character; raise subwords.size, or lower subwords.character_coverage"
        )
    if "sentences_.empty()" in error:
        return "no vocabulary can be trained: the training text is empty"
    return f"no vocabulary can be trained on this text: {error}"
