"""Training of vocabularies: their settings, and SentencePiece's trainer, run so that the result is
reproducible."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import sentencepiece
from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from nmt.data.vocabulary import (
    BOS,
    COPY,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    SentencePieceVocabulary,
    Vocabulary,
    WordVocabulary,
    copy_symbol,
    split_words,
)
from nmt.data.vocabulary.case import MARK_NAMES, CaseMarks
from nmt.data.vocabulary.codes import BpeCodes, count_segments, has_segments
from nmt.data.vocabulary.imported import check_characters, import_codes, import_model, import_words
from nmt.data.vocabulary.model_file import restore_joiners, write_case, write_rule
from nmt.data.vocabulary.normalisation import NORMALISATIONS, STAND_IN, ZWNJ
from nmt.errors import DataError
from nmt.reservoir import sample_lines
from nmt.settings import ByShape, Conflict, Count, OneOf, Settings, Share

log = logging.getLogger(__name__)

KINDS = ("unigram", "bpe", "char", "pretokenized")
SAMPLED_KINDS = ("unigram", "bpe")  # with several segmentations of a word
BYTES_FROM = 1000  # the size from which subwords have bytes: SentencePiece refuses them in tiny vocabularies
BYTES = 256
FILES = ("model", "codes", "vocabulary")  # the settings that name files of other programs
SAMPLE_SIZE = 500_000  # maximum number of lines for sentencepiece, which holds its text in memory
LINE_CHARACTERS = 1_000  # sentencepiece skips lines above 4,192 bytes; longer ones are truncated

VocabularyFiles = Annotated[str | Annotated[list[str], MinLen(2), MaxLen(2)], ByShape()]


@dataclass(frozen=True, kw_only=True)
class SubwordSettings(Settings):
    """The segmentation of a line into tokens (subwords)."""

    kind: Annotated[str, OneOf(lambda: KINDS)] = "unigram"
    """Subword model, or `pretokenized`: words split on spaces. If these are segments of subword-nmt
    (`be@@ tter`), they are joined in output and before scoring."""
    size: Annotated[int, Ge(len(SPECIALS) + 1), Le(10_000_000)] = 8000
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
    """`pretokenized`, `codes` and `vocabulary`: rarer words become <unk>."""
    model: VocabularyFiles | None = None
    """A SentencePiece model that is used instead of a new one, found like `data.root`, or one for each side;
    it replaces `kind` and `size`."""
    codes: VocabularyFiles | None = None
    """Codes of `subword-nmt learn-bpe` by which words, split on spaces, are divided into segments, or codes
    for each side; they replace `kind`."""
    vocabulary: VocabularyFiles | None = None
    """A list of words (`pretokenized`), segments (`codes`) or characters (`char`), each on a line, with its
    count if it has one; or a list for each side. It replaces `size`."""
    from_start: Literal["keep", "extend", "new"] = "keep"
    """The vocabulary of a model that `training.start_from` names: `keep` it, if it knows 99% of the tokens of
    the text; `extend` it by the tokens of a vocabulary made as above from the text; or use this one alone
    (`new`). Vectors of shared tokens are copied; those of new tokens are the mean of their parts."""
    symbols: list[str] = field(default_factory=list)
    """Texts that are always one token, such as `[SEP]` or `<nl>`, wherever they occur; added to `size`."""

    @property
    def has_subwords(self) -> bool:
        """Whether subwords are trained that have several segmentations of a word."""
        return self.kind in SAMPLED_KINDS and not (self.model or self.codes)

    @property
    def has_words(self) -> bool:
        """Whether text is split on spaces."""
        return self.codes is not None or (self.kind == "pretokenized" and self.model is None)

    @property
    def has_bytes(self) -> bool:
        """Whether the vocabulary has a token for each byte."""
        if self.byte_fallback is None:
            return self.has_subwords and self.size >= BYTES_FROM
        return self.byte_fallback

    @property
    def rule(self) -> str:
        """The name of the normalisation."""
        return self.normalisation or ("nfc" if self.has_words else "nmt_nfkc")

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        if self.byte_fallback and not self.has_subwords:
            kind = self.kind if self.kind not in SAMPLED_KINDS else "an existing vocabulary"
            yield "byte_fallback", f"needs subwords.kind unigram or bpe, not {kind}"
        if self.has_words and self.normalisation == "nmt_nfkc":
            yield "normalisation", "nmt_nfkc is a rule of subwords: words and codes need nfc or none"
        for name in ("codes", "vocabulary"):
            if self.model is not None and getattr(self, name) is not None:
                yield name, "subwords.model is a complete vocabulary: omit one of the two"
        if self.codes is not None and self.kind == "char":
            yield "codes", "divides words into segments, not into characters: omit subwords.kind"
        if self.vocabulary is not None and self.kind in SAMPLED_KINDS and not (self.codes or self.model):
            yield "vocabulary", "is a list for subwords.kind pretokenized or char, or for subwords.codes"
        for symbol, count in Counter(self.symbols).items():
            if self.model is not None or self.codes is not None:
                yield "symbols", "are added when a vocabulary is trained, not to an existing one: omit one"
            elif count > 1 or symbol in SPECIALS or COPY.fullmatch(symbol):
                yield "symbols", f"'{symbol}' is reserved or repeated: remove it"
            elif not symbol or "▁" in symbol or any(char.isspace() for char in symbol):
                yield "symbols", f"a symbol is a text without spaces (got '{symbol}')"
            elif NORMALISATIONS[self.rule](symbol) != symbol:
                yield "symbols", f"'{symbol}' contains characters that subwords.normalisation removes"

    def find_file(self, name: str, side: int) -> Path | None:
        """Return the file that `model`, `codes` or `vocabulary` names for a side: 0 is the source."""
        files = getattr(self, name)
        return None if files is None else Path(files if isinstance(files, str) else files[side])


DEFAULTS = SubwordSettings()


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
        if self.sampling and (self.codes or self.kind not in SAMPLED_KINDS):
            yield (
                "sampling",
                f"needs subwords.kind unigram or bpe, not {'codes' if self.codes else self.kind}",
            )
        for name in FILES:
            if self.joint and isinstance(getattr(self, name), list):
                yield name, "a file for each side needs subwords.joint: false"


@dataclass(frozen=True, kw_only=True)
class LanguageModelSubwordSettings(SubwordSettings):
    """The segmentation of a line into tokens (subwords)."""

    same_as: str | None = None
    """A translator's run or model directory whose target vocabulary is used unchanged, so that `nmt translate
    --lm` can combine the two; found like `data.root`. It replaces the settings above."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        for name in FILES:
            if isinstance(getattr(self, name), list):
                yield name, "a language model has one side: give one file"
        for setting in fields(SubwordSettings):
            if self.same_as is not None and getattr(self, setting.name) != getattr(DEFAULTS, setting.name):
                yield setting.name, "subwords.same_as sets the vocabulary: omit one of the two"


def train_vocabulary(
    lines: Iterable[str],
    settings: SubwordSettings,
    *,
    seed: int = 1,
    tags: Sequence[str] = (),
    side: int = 0,
    copies: int = 0,
    marks_case: bool = False,
    sample_size: int = SAMPLE_SIZE,
) -> Vocabulary:
    """Train a vocabulary on lines, the same in every process for the same lines and settings; or make it from
    the files that the settings name for a side.

    Each of the `tags` is a separate token, recognised as the first word of a line. Subwords are trained on
    at most `sample_size` lines; there may be fewer than `size`, to which bytes, `copies` copy symbols, the
    marks of case and the symbols of the settings are added. DataError if the text is not sufficient.
    """
    symbols = [*(copy_symbol(number) for number in range(1, copies + 1)), *settings.symbols]
    if marks_case:
        lines = map(CaseMarks(symbols).mark, map(NORMALISATIONS[settings.rule], lines))
        subwords = _train_text(lines, settings, seed, tags, [*symbols, *MARK_NAMES], sample_size)
        return SentencePieceVocabulary(write_case(subwords.content))
    lines = map(NORMALISATIONS[settings.rule], lines)
    model, codes, listed = (settings.find_file(name, side) for name in FILES)
    if model is not None:
        return import_model(model, settings.rule, tags)
    words = None if listed is None else import_words(listed, settings.min_count, settings.rule)
    if settings.has_words:
        bpe = None if codes is None else import_codes(codes)
        return _train_words(lines, settings, tags, symbols, words, bpe)
    if words is not None:
        size = len(words) + len(tags) + len(SPECIALS) + 1  # with the space
        whole = replace(settings, size=size, character_coverage=1.0)
        return _train_subwords(check_characters(words, listed), whole, tags, symbols)
    return _train_text(lines, settings, seed, tags, symbols, sample_size)


def _train_text(
    lines: Iterable[str],
    settings: SubwordSettings,
    seed: int,
    tags: Sequence[str],
    symbols: Sequence[str],
    sample_size: int,
) -> SentencePieceVocabulary:
    """Train subwords on normalised lines."""
    short = (line[i : i + LINE_CHARACTERS] for line in lines for i in range(0, len(line), LINE_CHARACTERS))
    vocabulary = _train_subwords(sample_lines(short, sample_size, seed), settings, tags, symbols)
    size = len(vocabulary) - BYTES * settings.has_bytes - len(symbols)
    if size < settings.size and settings.kind != "char":
        log.warning(f"the text gives {size:,} tokens, fewer than the {settings.size:,} asked for")
    return vocabulary


def _train_words(
    lines: Iterable[str],
    settings: SubwordSettings,
    tags: Sequence[str],
    symbols: Sequence[str],
    listed: list[str] | None,
    codes: BpeCodes | None,
) -> WordVocabulary:
    """Count the words, or their segments by some codes, unless there is a list of them."""
    first = [*tags, *symbols]
    if listed is not None:
        words = [word for word in listed if word not in first]
        joined = codes is not None or has_segments(Counter(words))
        return WordVocabulary([*first, *words], settings.rule, joined=joined, codes=codes)
    reserved = {*SPECIALS, *first}
    counts = Counter(word for line in lines for word in split_words(line) if word not in reserved)
    if codes is not None:
        counts = count_segments(counts, codes)
    frequent = sorted((-count, word) for word, count in counts.items() if count >= settings.min_count)
    if not frequent:
        raise DataError(
            "the vocabulary is empty: no word of the training text is frequent enough (subwords.min_count)"
        )
    most = max(1, settings.size - len(SPECIALS) - len(tags))
    joined = codes is not None or has_segments(counts)
    if joined and codes is None:
        log.info("the words are segments of subword-nmt (be@@ tter): they are joined in output")
    chosen = [word for _, word in frequent[:most]]
    return WordVocabulary([*first, *chosen], settings.rule, joined=joined, codes=codes)


def _train_subwords(
    sample: list[str], settings: SubwordSettings, tags: Sequence[str], symbols: Sequence[str]
) -> SentencePieceVocabulary:
    """Train a SentencePiece model by one thread; each line is removed from `sample` when it is read."""
    model, has_joiners = BytesIO(), settings.rule == "nmt_nfkc"
    texts = (sample.pop() for _ in range(len(sample)))
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(text.replace(ZWNJ, STAND_IN) for text in texts) if has_joiners else texts,
            model_writer=model,
            model_type=settings.kind,
            vocab_size=settings.size + BYTES * settings.has_bytes + len(symbols),
            byte_fallback=settings.has_bytes,
            normalization_rule_name="nmt_nfkc" if settings.rule == "nmt_nfkc" else "identity",
            character_coverage=settings.character_coverage,
            hard_vocab_limit=False,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            control_symbols=list(tags),
            user_defined_symbols=list(symbols),
            num_threads=1,
            minloglevel=3,
        )
    except RuntimeError as error:
        raise DataError(
            _explain_error(str(error), settings, BYTES * settings.has_bytes + len(symbols))
        ) from None
    content = restore_joiners(model.getvalue()) if has_joiners else model.getvalue()
    return SentencePieceVocabulary(write_rule(content, settings.rule))


def _explain_error(error: str, settings: SubwordSettings, added: int) -> str:
    if match := re.search(r"required_chars\. (\d+) vs (\d+)", error):
        needed = int(match[2]) - added
        return (
            f"no vocabulary of {settings.size:,} tokens can be trained: the training text needs {needed:,}, "
            f"one for each character; raise subwords.size, or lower subwords.character_coverage"
        )
    if "sentences_.empty()" in error:
        return "no vocabulary can be trained: the training text is empty"
    return f"no vocabulary can be trained on this text: {error}"
