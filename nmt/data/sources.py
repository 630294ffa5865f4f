"""The files that a recipe's `data` section describes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nmt.data.corpora import corpus_root
from nmt.data.pair_rules import LengthSettings
from nmt.data.pairs import COLUMN, Corpus, find_corpus, find_file, find_text_file, list_pair_files
from nmt.data.protection.spans import KINDS
from nmt.data.vocabulary import COPY, SPECIALS, TAG
from nmt.errors import UsageError
from nmt.settings import ByShape, Conflict, Count, OneOf, Positive, ProcessCount, Settings, Share

TwoFiles = Annotated[list[str], MinLen(2), MaxLen(2)]
PairFiles = Annotated[str | TwoFiles, ByShape()]


@dataclass(frozen=True, kw_only=True)
class FileSettings(Settings):
    """The files of a corpus."""

    root: str = "."
    """Folder that the paths below start from; `corpus:NAME` is a corpus of `nmt corpus ls`. A relative folder
    starts at the recipe that names it (or `train`), on the command line at the current folder."""
    first: Count | None = None
    """Use only the first N training pairs (lines), for the vocabulary too; of several corpora, the first N of
    each. null: all."""
    workers: ProcessCount | None = None
    """Processes that encode the training data; null: one per core."""

    @property
    def root_directory(self) -> Path:
        """The directory of `root`."""
        if self.root.startswith("corpus:"):
            return corpus_root(self.root.removeprefix("corpus:"))
        return Path(self.root)


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(Settings):
    """One of several corpora of training pairs."""

    name: str
    """Name in logs and messages."""
    pairs: PairFiles
    """Its pairs, written like `data.train` with one corpus."""
    weight: Positive = 1.0
    """Passes over the corpus per epoch: 2 is twice, 0.25 a quarter in each epoch, another one each time."""
    tag: str | None = None
    """A word like `<2en>` or `<bt>` that is added to the beginning of each source and is a separate token;
    in text to be translated and in validation pairs one writes it oneself."""
    sentence_weights: str | None = None
    """Weight of each pair in the loss: a file with a number for each, or `column:NAME` of a JSONL or Parquet
    file, `column:3` of a TSV file."""
    alignments: str | None = None
    """Word alignments in Pharaoh format, `0-0 1-2`; a line may be blank. A file or a column, like
    `sentence_weights`."""

    def conflicts(self) -> Iterator[Conflict]:
        if self.tag is not None and not TAG.fullmatch(self.tag):
            yield "tag", f"expected one word in angle brackets, such as <2en> (got '{self.tag}')"
        if self.tag in SPECIALS or COPY.fullmatch(self.tag or ""):
            yield "tag", f"{self.tag} is reserved: choose another"


@dataclass(frozen=True, kw_only=True)
class PairFileSettings(FileSettings):
    """The files of sentence pairs for training, validation and test."""

    src: str
    """Source language: the suffix of the source files."""
    tgt: str
    """Target language: the suffix of the target files."""
    train: Annotated[str | TwoFiles | list[CorpusSettings], ByShape(("one", "list", "sections"))]
    """Training pairs: a prefix (`train` reads train.de and train.en, plain or compressed), two files
    `[source, target]`, or one file: TSV (source, tab, target), JSONL (an object a line, its texts under the
    two languages), TMX or Parquet (columns called like the languages). Or several corpora, a list of sections
    as below."""
    temperature: Annotated[float, Ge(1.0), Le(1e6)] | None = None
    """Several corpora only, instead of weights: shares are proportional to the sizes to the power 1/T
    (Arivazhagan et al., 2019), with one pass over the largest per epoch; 1 keeps the sizes, a large T makes
    the shares equal."""
    valid: PairFiles
    """Validation pairs, written like `train`; every choice is made on them."""
    test: PairFiles | None = None
    """Test pairs, written like `train`; only reported, never used to choose."""

    @property
    def corpora(self) -> list[CorpusSettings]:
        """The training corpora, if there are several."""
        return [entry for entry in self.train if isinstance(entry, CorpusSettings)]

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        for name, count in Counter(corpus.name for corpus in self.corpora).items():
            if count > 1:
                yield "train", f"{count} corpora are named '{name}'"
        if self.temperature is not None and not self.corpora:
            yield "temperature", "needs several corpora in data.train"
        if self.temperature is not None and any(corpus.weight != 1.0 for corpus in self.corpora):
            yield "temperature", "the weights of the corpora also set the shares: remove one of them"


@dataclass(frozen=True, kw_only=True)
class PairSettings(LengthSettings, PairFileSettings):
    """The sentence pairs for training, validation and test, and the filter of training pairs."""

    join_sentences: Share = 0.0
    """Probability that a training pair is joined with the pair of the next line, drawn anew in each epoch, so
    that the model learns to translate lines of several sentences. Joined pairs have at most `max_length`
    tokens."""
    protect: list[Annotated[str, OneOf(lambda: KINDS)]] | None = None
    """Kinds of text that is not translated but copied exactly (docs/text.md): in translation wherever it
    occurs, in training where both sides contain the same. null: url, email, tag and placeholder if subwords
    are unigram or bpe of `size` 1000 or more, else none."""
    case: Literal["keep", "inline"] = "keep"
    """`inline`: words are divided in small letters, and a mark follows those that have capitals, so that a
    word has the same tokens in any case (docs/text.md)."""
    copy_practice: Share = 0.2
    """Share of the training pairs into which symbols to copy are inserted, other pairs in each epoch, so that
    the model learns to copy what its corpus does not contain."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.join_sentences and any(corpus.alignments for corpus in self.corpora):
            yield "join_sentences", "joined pairs have no word alignments: remove the `alignments`, or this"


@dataclass(frozen=True, kw_only=True)
class TextSettings(FileSettings):
    """The text for training, validation and test. A file is UTF-8, plain or compressed; a line ends at `\\n`
    only."""

    train: str
    """Training text: one file, its compression's ending not written."""
    valid: str
    """Validation text, written like `train`; every choice is made on it."""
    test: str | None = None
    """Test text, written like `train`; only reported, never used to choose."""
    max_length: Count | None = None
    """Without `training.chunk` only: maximum number of tokens in a training line; longer lines are counted
    and removed. null for no limit."""


def find_part(data: PairSettings | TextSettings, part: str) -> Corpus:
    """Find the files of a part of the data: `train` (if it is one corpus), `valid` or `test`."""
    named = getattr(data, part)
    if named is None:
        raise UsageError(f"data.{part} is not set: add it to the recipe, or give data.{part}=NAME")
    if isinstance(data, TextSettings):
        corpus = find_text_file(named, root=data.root_directory)
    else:
        corpus = find_corpus(named, root=data.root_directory, src=data.src, tgt=data.tgt)
    return corpus._replace(first=data.first if part == "train" else None)


def find_training_corpora(data: PairSettings | TextSettings) -> list[Corpus]:
    """Find the training corpora, one or several."""
    if isinstance(data, PairSettings) and data.corpora:
        return [_find_corpus(data, corpus) for corpus in data.corpora]
    return [find_part(data, "train")]


def list_files(data: PairSettings | TextSettings) -> Iterator[str]:
    """Yield the names of all files of the data, which start at its root, whether they exist or not."""
    if isinstance(data, TextSettings):
        yield from filter(None, (data.train, data.valid, data.test))
        return
    trained: list[Any] = [corpus.pairs for corpus in data.corpora] or [data.train]
    for pairs in (*trained, data.valid, data.test):
        if pairs is not None:
            yield from list_pair_files(pairs, data.src, data.tgt)
    for corpus in data.corpora:
        for name in (corpus.sentence_weights, corpus.alignments):
            if name is not None and not name.startswith(COLUMN):
                yield name


def _find_corpus(data: PairSettings, corpus: CorpusSettings) -> Corpus:
    root = data.root_directory
    weights, alignments = (_find_column(name, root) for name in (corpus.sentence_weights, corpus.alignments))
    return find_corpus(corpus.pairs, root=root, src=data.src, tgt=data.tgt)._replace(
        name=corpus.name, tag=corpus.tag, weights=weights, alignments=alignments, first=data.first
    )


def _find_column(name: str | None, root: Path) -> Path | str | None:
    """Return a file, or the name of a column."""
    if name is None or name.startswith(COLUMN):
        return name and name.removeprefix(COLUMN)
    return find_file(root, name)


def compute_passes(data: PairSettings, sizes: Sequence[int]) -> tuple[float, ...]:
    """Return the passes over each of several corpora per epoch: by weights, or by temperature."""
    if data.temperature is None:
        return tuple(corpus.weight for corpus in data.corpora)
    return tuple(float((max(sizes) / size) ** (1 - 1 / data.temperature)) for size in sizes)
