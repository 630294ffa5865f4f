"""What is learnt from: text, and the pieces it is cut into."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from nmt.recipe.fields import Choice, Conflict, Count, Pair, Section, Share


class Files(Section):
    """Where text lies."""

    root: str = Field(
        ".",
        description="Folder that the paths below start from; `corpus:NAME` is a corpus of `nmt "
        "corpus ls`. A relative folder starts at the recipe that names it (or "
        "`train`), on the command line at the current folder.",
    )
    workers: Count | None = Field(
        None, description="Processes that encode the training data; null: one per core."
    )


class Data(Files):
    """Which sentence pairs are learnt from, and which of them are left out."""

    src: str = Field(description="Source language: the suffix of the source files.")
    tgt: str = Field(description="Target language: the suffix of the target files.")
    train: Pair = Field(
        description="Training pairs: a prefix (`train` reads train.de and train.en, plain or "
        "compressed), one TSV file (source, tab, target), or two files `[source, "
        "target]`."
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

    def conflicts(self) -> Iterator[Conflict]:
        if self.min_length > self.max_length:
            yield "min_length", f"{self.min_length} is more than data.max_length, {self.max_length}"


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

    kind: Annotated[str, Choice("nmt.data.subwords", "KINDS")] = Field(
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
