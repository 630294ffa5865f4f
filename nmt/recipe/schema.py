"""The recipe: one typed, strict tree. Every setting, its default and its meaning stand here once."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from nmt.recipe.fields import (
    Cells,
    Choice,
    Conflict,
    Count,
    Duration,
    Pair,
    Probability,
    Section,
    Share,
    Stretch,
)


class Data(Section):
    """Which sentence pairs are learnt from, and which of them are left out."""

    root: str = Field(
        ".",
        description="Folder that the paths below start from; `corpus:NAME` is a corpus of `nmt "
        "corpus ls`. A relative folder starts at the recipe that names it (or "
        "`train`), on the command line at the current folder.",
    )
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


class Subwords(Section):
    """How a line becomes pieces."""

    kind: Annotated[str, Choice("nmt.data.subwords", "KINDS")] = Field(
        "unigram", description="Subword model, or `pretokenized`: words split on spaces."
    )
    size: Count = Field(8000, description="Number of pieces (the most words, for `pretokenized`).")
    joint: bool = Field(True, description="One model for both sides; false trains one per side.")
    character_coverage: Annotated[float, Field(gt=0.9, le=1.0)] = Field(
        1.0, description="Share of characters that get a piece; the rest become <unk>."
    )
    min_count: Count = Field(1, description="`pretokenized` only: rarer words become <unk>.")
    sampling: Share = Field(
        0.0,
        description="Subword regularisation (Kudo, 2018): smoothing alpha of the sampled "
        "segmentation in training; 0 turns it off.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.sampling and self.kind not in ("unigram", "bpe"):
            yield "sampling", f"needs subwords.kind unigram or bpe, not {self.kind}"


class Dropout(Section):
    """Dropout probabilities that the encoder and the decoder have in common."""

    embedding: Probability = Field(0.0, description="On the embedded words.")
    word: Probability = Field(0.0, description="Whole words replaced by zeros (Gal & Ghahramani, 2016).")
    layers: Probability = Field(0.0, description="Between stacked layers.")
    input: Probability = Field(0.0, description="Variational: one mask per sequence on each layer's input.")
    state: Probability = Field(
        0.0,
        description="Variational: one mask per sequence on the state that enters the recurrent products.",
    )
    zoneout: Probability = Field(
        0.0,
        description="Units of the state that keep their old value, drawn at every position "
        "(Krueger et al., 2017).",
    )


class EncoderDropout(Dropout):
    """Dropout probabilities in the encoder."""

    output: Probability = Field(0.0, description="On the encoder states that attention reads.")


class DecoderDropout(Dropout):
    """Dropout probabilities in the decoder."""

    output: Probability = Field(0.0, description="On the decoder's features before the output layer.")


class Stack(Section):
    """Layers of cells, one above the other: what the encoder and the decoder have in common."""

    cell: Cells = Field(
        "lstm",
        description="Cell of all layers, or a list with one per layer; `my_cells.py:MyCell` is "
        "your own, its file found like `data.root`.",
    )
    embedding: Count = Field(256, description="Size of a word's embedding.")
    hidden: Count = Field(256, description="Size of the hidden state (of each direction).")
    layers: Count = Field(1, description="Depth of the stack.")
    residual_from: Count | None = Field(
        None,
        description="First layer (counted from 1) whose input is added to its output; null for none.",
    )
    layer_norm: bool = Field(False, description="Normalise each gate's products (Ba et al., 2016).")
    gate_bias: dict[str, float] = Field(
        {}, description="Initial bias by gate name, over the cell's own (`{f: 1.0}` opens a forget gate)."
    )

    def widths(self) -> list[int]:
        """Width of what enters each layer, and last of what leaves the top."""
        raise NotImplementedError

    def conflicts(self) -> Iterator[Conflict]:
        if isinstance(self.cell, list) and len(self.cell) != self.layers:
            yield (
                "cell",
                f"a list has one cell per layer: it has {len(self.cell)}, layers is {self.layers}",
            )
        if self.residual_from is None:
            return
        if self.residual_from > self.layers:
            yield "residual_from", f"there is no layer {self.residual_from}: layers is {self.layers}"
        for layer, (enters, leaves) in enumerate(pairwise(self.widths()), start=1):
            if layer >= self.residual_from and enters != leaves:
                yield (
                    "residual_from",
                    f"layer {layer} reads {enters} numbers and writes {leaves}, so they cannot be added",
                )


class Encoder(Stack):
    """The stack that reads the source."""

    bidirectional: Literal["all", "first", "none"] = Field(
        "all", description="Layers that also read from right to left."
    )
    dropout: EncoderDropout = EncoderDropout()

    def widths(self) -> list[int]:
        first = self.hidden * (1 if self.bidirectional == "none" else 2)
        later = self.hidden * (2 if self.bidirectional == "all" else 1)
        return [self.embedding, first, *[later] * (self.layers - 1)]


class Decoder(Stack):
    """The stack that writes the target, and what it looks at."""

    hidden: Count = Field(512, description="Size of the hidden state.")
    bridge: Annotated[str, Choice("nmt.model.bridge", "BRIDGES")] = Field(
        "linear", description="How the encoder's states become the decoder's first state."
    )
    attention: Annotated[str, Choice("nmt.model.attention", "ATTENTIONS")] = Field(
        "general", description="How the decoder looks at the encoder's states."
    )
    attention_size: Count | None = Field(
        None, description="Width of additive and multi-head attention; null: the decoder's hidden size."
    )
    heads: Count = Field(4, description="`multi-head` only: number of heads.")
    input_feeding: bool = Field(
        False, description="Feed the attentional vector to the next position (Luong et al., 2015)."
    )
    conditional: bool = Field(
        False, description="Attention between two cells of the first layer (cGRU, cLSTM; Nematus, 2017)."
    )
    features: Count | None = Field(
        None, description="Width of the vector before the output layer; null: the embedding size."
    )
    tie: Literal["none", "target", "all"] = Field(
        "target",
        description="Share the output layer with the target embedding, or (all; joint subwords) "
        "with the source embedding too.",
    )
    dropout: DecoderDropout = DecoderDropout()

    def widths(self) -> list[int]:
        return [self.hidden] * (self.layers + 1)  # the first layer is never residual

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.residual_from == 1:
            yield "residual_from", "the first layer of a decoder cannot be residual, start at 2"
        for name in ("input_feeding", "conditional"):
            if self.attention == "none" and getattr(self, name):
                yield name, "needs an attention, and decoder.attention is none"
        size = self.attention_size or self.hidden
        if self.attention == "multi-head" and size % self.heads:
            name = "attention_size" if self.attention_size else "hidden"
            yield "heads", f"{self.heads} heads cannot share decoder.{name}, {size}, evenly"
        if self.tie != "none" and self.features not in (None, self.embedding):
            yield (
                "features",
                f"decoder.tie {self.tie} needs it null or decoder.embedding, {self.embedding}",
            )


class Batch(Section):
    """How many pairs make one batch."""

    by: Literal["sentences", "tokens"] = Field(
        "sentences", description="What `size` counts; tokens are counted padded, on the longer side."
    )
    size: Count = Field(64, description="Sentences, or tokens, in a batch.")


class LearningRate(Section):
    """The learning rate over the updates."""

    peak: float = Field(1e-3, gt=0.0, description="Highest learning rate.")
    schedule: Annotated[str, Choice("nmt.training.schedules", "SCHEDULES")] = Field(
        "constant", description="What happens after the warm-up."
    )
    warmup: int = Field(0, ge=0, description="Updates of linear warm-up.")
    span: Stretch | None = Field(
        None, description="`cosine` only: where the rate reaches `floor`; null: stop_after."
    )
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="`plateau` only: the rate is multiplied by this."
    )
    patience: int = Field(
        0, ge=0, description="`plateau` only: validations without improvement that are forgiven."
    )
    floor: float = Field(0.0, ge=0.0, description="The rate never falls below this.")

    def conflicts(self) -> Iterator[Conflict]:
        if self.floor > self.peak:
            yield "floor", f"{self.floor:g} is above the peak, {self.peak:g}"


class TeacherForcing(Section):
    """How often the decoder sees the true previous word (Williams & Zipser, 1989; Bengio et al., 2015)."""

    schedule: Annotated[str, Choice("nmt.training.teacher_forcing", "FORCINGS")] = Field(
        "always", description="How the ratio moves from `start` to `end`."
    )
    start: Share = Field(
        1.0, description="Ratio at first: the probability of the true word (`fixed` keeps it)."
    )
    end: Share = Field(0.0, description="Ratio the schedule falls towards and never under.")
    warmup: Duration = Field(
        Duration(0, "u"), description="Stretch before the schedule starts, at ratio `start`."
    )
    span: Stretch = Field(
        Duration(10, "e"),
        description="linear: where `end` is reached; exponential: where the fall is to 1/e; "
        "inverse-sigmoid: where it is half-way.",
    )
    per: Literal["token", "sentence"] = Field(
        "token", description="Draw for each position, or once for each sentence."
    )
    feedback: Literal["argmax", "sample"] = Field(
        "argmax", description="The model's own word: its best one, or one drawn from its distribution."
    )

    def conflicts(self) -> Iterator[Conflict]:
        if self.schedule not in ("always", "fixed") and self.end > self.start:
            yield "end", f"{self.end:g} is above start, {self.start:g}, and the ratio only falls"


class Validation(Section):
    """What is measured during training, and when it stops."""

    every: Stretch = Field(
        Duration(1, "e"), description="Stretch between validations; a checkpoint is written at each."
    )
    metric: Literal["bleu", "chrf", "loss"] = Field(
        "bleu",
        description="What decides on the best checkpoint, early stopping and plateaus: a score of"
        " free-running greedy decoding, or the loss.",
    )
    patience: Count | None = Field(
        None, description="Validations without improvement before training stops; null: never."
    )
    samples: int = Field(3, ge=0, description="Translations printed at each validation.")


class Training(Section):
    """The training run."""

    optimiser: Annotated[str, Choice("nmt.training.optimisers", "OPTIMISERS")] = Field(
        "adam", description="Update rule."
    )
    learning_rate: LearningRate = LearningRate()
    betas: tuple[Probability, Probability] = Field(
        (0.9, 0.999), strict=False, description="Adam, AdamW: decay of the two moments."
    )
    momentum: Probability = Field(0.0, description="SGD: momentum.")
    weight_decay: float = Field(0.0, ge=0.0, description="L2 penalty (decoupled for adamw).")
    clip_norm: float | None = Field(
        1.0, gt=0.0, description="Largest norm of the gradient; null for no clipping."
    )
    label_smoothing: Probability = Field(
        0.1,
        description="Share of the target's probability spread over the vocabulary (Szegedy et al., 2016).",
    )
    batch: Batch = Batch()
    accumulate: Count = Field(1, description="Batches whose gradients make one update.")
    stop_after: Stretch = Field(Duration(20, "e"), description="Length of the run.")
    checkpoint_every: Stretch | None = Field(
        None, description="Stretch between checkpoints besides those at validations; null: none."
    )
    keep: Count = Field(2, description="Latest checkpoints kept, besides the best.")
    validation: Validation = Validation()
    teacher_forcing: TeacherForcing = TeacherForcing()
    recompute: int = Field(
        0,
        ge=0,
        description="Decoders with the attention in their loop (input_feeding, conditional, own words): "
        "positions between two states that are kept; the backward pass computes the rest again, for less "
        "memory and more time. 0 keeps everything.",
    )
    threads: Count | None = Field(None, description="CPU threads; null: torch's choice.")

    def conflicts(self) -> Iterator[Conflict]:
        rate = self.learning_rate
        end = rate.span or self.stop_after
        if rate.schedule == "cosine" and end.unit == "u" and end.count <= rate.warmup:
            yield "learning_rate.warmup", f"{rate.warmup} updates: the cosine ends within them, at {end}"


class Search(Section):
    """How a translation is looked for."""

    beam: Count = Field(5, description="Hypotheses kept at each position; 1 is greedy.")
    length_penalty: float = Field(
        1.0,
        ge=0.0,
        description="GNMT's alpha (Wu et al., 2016, eq. 14); 0 ranks by the sum of log probabilities.",
    )
    max_ratio: float = Field(2.0, gt=0.0, description="Longest output, in pieces per source piece ...")
    max_extra: int = Field(10, ge=0, description="... plus this many.")
    batch: Count = Field(64, description="Sentences translated together; the result does not depend on it.")


class Evaluation(Section):
    """How translations are scored."""

    metrics: list[Annotated[str, Choice("nmt.evaluation.scores", "METRICS")]] = Field(
        ["bleu", "chrf", "ter"], min_length=1, description="Scores reported, each with its signature."
    )
    lowercase: bool = Field(False, description="Score in lower case.")


class Recipe(Section):
    """One experiment."""

    data: Data
    subwords: Subwords = Subwords()
    encoder: Encoder = Encoder()
    decoder: Decoder = Decoder()
    training: Training = Training()
    search: Search = Search()
    evaluation: Evaluation = Evaluation()
    engine: Literal["auto", "compiled", "inductor", "torch", "reference"] = Field(
        "auto",
        description="How cells run in training: taken apart into products and kernels, these compiled by "
        "the machine's C compiler (`compiled`), by `torch.compile` (`inductor`) or run by `torch` (`auto`: "
        "`compiled` on a CPU, `inductor` on a GPU, `torch` where there is no compiler), or as the plain loop "
        "of `step` that defines them (`reference`).",
    )
    seed: int = Field(1, ge=0, description="Seed of every random draw.")

    def conflicts(self) -> Iterator[Conflict]:
        seen, looking = self.encoder.widths()[-1], self.decoder.hidden
        if self.decoder.attention in ("dot", "scaled-dot") and seen != looking:
            yield (
                "decoder.attention",
                f"{self.decoder.attention} needs encoder states and decoder states of one width, "
                f"not {seen} and {looking}; general has no such need",
            )
        if self.decoder.tie != "all":
            return
        if not self.subwords.joint:
            yield (
                "decoder.tie",
                "'all' shares one vocabulary between both sides: it needs subwords.joint: true",
            )
        if self.encoder.embedding != self.decoder.embedding:
            yield (
                "decoder.tie",
                f"'all' needs encoder.embedding ({self.encoder.embedding}) and decoder.embedding "
                f"({self.decoder.embedding}) to be equal",
            )
