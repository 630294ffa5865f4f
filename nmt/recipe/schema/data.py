"""What is learnt from: text, and the pieces it is cut into."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from nmt.recipe.fields import Choice, Conflict, Count, Pair, PairOr, Section, Share

TAG = re.compile(r"<[^<>\s]+>")
RESERVED = ("<pad>", "<s>", "</s>", "<unk>")


class Files(Section):
    """Where text lies."""

    root: str = Field(
        ".",
        description="Folder that the paths below start from; `corpus:NAME` is a corpus of `nmt "
        "corpus ls`. A relative folder starts at the recipe that names it (or "
        "`train`), on the command line at the current folder.",
    )
    first: Count | None = Field(
        None,
        description="Learn from the first N training pairs (lines) alone, the vocabulary too; of several "
        "corpora, from the first N of each. null: from all.",
    )
    workers: Count | None = Field(
        None, description="Processes that encode the training data; null: one per core."
    )


class Source(Section):
    """One of several corpora of training pairs."""

    name: str = Field(description="How the log and messages call it.")
    pairs: Pair = Field(description="Its pairs, written like `data.train` with one corpus.")
    weight: float = Field(
        1.0,
        gt=0.0,
        description="How often an epoch goes through it: 2 twice, 0.25 a quarter, each epoch the next.",
    )
    tag: str | None = Field(
        None,
        description="A word like `<2en>` or `<bt>` that is put before each source and is a piece of its own; "
        "in text to be translated and in validation pairs one writes it oneself.",
    )
    sentence_weights: str | None = Field(
        None,
        description="What each pair counts in the loss: a file with a number for each, or `column:NAME` of a "
        "JSONL or Parquet file, `column:3` of a TSV file.",
    )
    alignments: str | None = Field(
        None,
        description="Which words translate each other, as `0-0 1-2` (Pharaoh), a line may be blank; a "
        "file or a column, like `sentence_weights`.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.tag is not None and not TAG.fullmatch(self.tag):
            yield "tag", f"expected one word in angle brackets, like <2en> (got '{self.tag}')"
        if self.tag in RESERVED:
            yield "tag", f"{self.tag} has a meaning of its own: choose another"


class Data(Files):
    """Which sentence pairs are learnt from, and which of them are left out."""

    src: str = Field(description="Source language: the suffix of the source files.")
    tgt: str = Field(description="Target language: the suffix of the target files.")
    train: PairOr[Source] = Field(
        description="Training pairs: a prefix (`train` reads train.de and train.en, plain or "
        "compressed), two files `[source, target]`, or one file: TSV (source, tab, target), JSONL (an object "
        "a line, its texts under the two languages), TMX or Parquet (columns called like the languages). "
        "Or several corpora, a list of sections as below."
    )
    temperature: float | None = Field(
        None,
        ge=1.0,
        description="Several corpora only, instead of weights: shares are those of the sizes to the power "
        "1/T (Arivazhagan et al., 2019), the largest taken once in an epoch; 1 as they are, large T even.",
    )
    valid: Pair = Field(description="Validation pairs, written like `train`; every choice is made on them.")
    test: Pair | None = Field(
        None, description="Test pairs, written like `train`; only reported, never used to choose."
    )
    min_length: Count = Field(1, description="Fewest pieces on either side of a training pair.")
    max_length: Count = Field(
        100,
        description="Most pieces on either side of a training pair; longer pairs are counted and left out.",
    )
    max_ratio: float | None = Field(
        None, gt=1.0, description="Most pieces of one side per piece of the other; null for no limit."
    )

    def corpora(self) -> list[Source]:
        """The training corpora, where there are several."""
        return [entry for entry in self.train if isinstance(entry, Source)]

    def conflicts(self) -> Iterator[Conflict]:
        if self.min_length > self.max_length:
            yield "min_length", f"{self.min_length} is more than data.max_length, {self.max_length}"
        corpora = self.corpora()
        for name, count in Counter(corpus.name for corpus in corpora).items():
            if count > 1:
                yield "train", f"{count} corpora are called '{name}'"
        if self.temperature is not None and not corpora:
            yield "temperature", "needs several corpora in data.train"
        if self.temperature is not None and any(corpus.weight != 1.0 for corpus in corpora):
            yield "temperature", "the corpora's weights decide on the shares, too: leave one of them out"


class Text(Files):
    """Which text is learnt from. A file is UTF-8, plain or compressed; a line ends at `\\n` only."""

    train: str = Field(description="Training text: one file, its compression's ending not written.")
    valid: str = Field(description="Validation text, written like `train`; every choice is made on it.")
    test: str | None = Field(
        None, description="Test text, written like `train`; only reported, never used to choose."
    )
    max_length: Count | None = Field(
        None,
        description="Line by line only (`training.chunk: null`): most pieces of a training line; longer ones "
        "are counted and left out. null for no limit.",
    )


class Pieces(Section):
    """How a line becomes pieces."""

    kind: Annotated[str, Choice("nmt.data.vocabulary", "KINDS")] = Field(
        "unigram", description="Subword model, or `pretokenized`: words split on spaces."
    )
    size: Count = Field(8000, description="Number of pieces (the most words, for `pretokenized`).")
    character_coverage: Annotated[float, Field(gt=0.9, le=1.0)] = Field(
        1.0, description="Share of characters that get a piece; the rest become <unk>."
    )
    min_count: Count = Field(1, description="`pretokenized` only: rarer words become <unk>.")


class Subwords(Pieces):
    """How a line becomes pieces, on either side."""

    joint: bool = Field(True, description="One model for both sides; false trains one per side.")
    sampling: Share = Field(
        0.0,
        description="Subword regularisation (Kudo, 2018): smoothing alpha of the sampled "
        "segmentation in training; 0 turns it off.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.sampling and self.kind not in ("unigram", "bpe"):
            yield "sampling", f"needs subwords.kind unigram or bpe, not {self.kind}"


class TextSubwords(Pieces):
    """How a line becomes pieces."""

    same_as: str | None = Field(
        None,
        description="A translator's run or model directory, whose target pieces are taken over exactly, so "
        "that `nmt translate --lm` can add the two; found like `data.root`. The settings above are then not "
        "given.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        for name, field in Pieces.model_fields.items():
            if self.same_as is not None and getattr(self, name) != field.default:
                yield name, "subwords.same_as brings its own pieces: leave one of the two out"
