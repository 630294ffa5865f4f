"""The recipe: one typed, strict tree. Every setting, its default and its meaning stand here once."""

import importlib
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A part of the recipe: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Duration(NamedTuple):
    """A stretch of training: `10e` is ten epochs, `5000u` five thousand updates."""

    count: float
    unit: Literal["e", "u"]

    def __str__(self) -> str:
        return f"{self.count:g}{self.unit}"


def _duration(value: Any) -> Any:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([eu])", value) if isinstance(value, str) else None
    if isinstance(value, Duration):
        return value
    if match is None or (match[2] == "u" and "." in match[1]):
        raise PydanticCustomError("duration", "expected epochs or updates, like 10e or 5000u")
    return Duration(float(match[1]), "e" if match[2] == "e" else "u")


Span = Annotated[
    Duration,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=r"^\d+(\.\d+)?[eu]$")]),
]


def known_names(module: str, table: str) -> list[str]:
    """The names a choice offers, read from the table that stands beside its classes."""
    return list(getattr(importlib.import_module(module), table))


class Choice(NamedTuple):
    """Marks a field whose value names an entry of a table, and where that table stands."""

    module: str
    table: str

    def check(self, name: str) -> str:
        names = known_names(self.module, self.table)
        if name in names:
            return name
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "one of: " + ", ".join(names)
        raise PydanticCustomError("choice", "no '{name}', {hint}", {"name": name, "hint": hint})


def _named(module: str, table: str) -> Any:
    choice = Choice(module, table)
    return Annotated[str, AfterValidator(choice.check), choice]


def _cell(name: str) -> str:
    if re.fullmatch(r".+\.py:\w+", name):
        return name
    return Choice("nmt.cells", "CELLS").check(name)


CellName = Annotated[str, AfterValidator(_cell), Choice("nmt.cells", "CELLS")]
Cells = CellName | list[CellName]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Pair = str | Annotated[list[str], Field(min_length=2, max_length=2)]


class Data(Section):
    """Which sentence pairs are learnt from, and which of them are left out."""

    root: str = Field(".", description="Folder that the paths below start from; `corpus:NAME` is a corpus of `nmt corpus ls`.")
    src: str = Field(description="Source language: the suffix of the source files.")
    tgt: str = Field(description="Target language: the suffix of the target files.")
    train: Pair = Field(
        description="Training pairs: a prefix (`train` reads train.de and train.en, plain or compressed), "
        "one TSV file (source, tab, target), or two files `[source, target]`."
    )
    valid: Pair = Field(description="Validation pairs, written like `train`; every choice is made on them.")
    test: Pair | None = Field(None, description="Test pairs, written like `train`; only reported, never used to choose.")
    min_length: Count = Field(1, description="Fewest pieces on either side of a training pair.")
    max_length: Count = Field(100, description="Most pieces on either side of a training pair; longer pairs are counted and left out.")
    max_ratio: float | None = Field(None, gt=1.0, description="Most pieces of one side per piece of the other; null for no limit.")


class Subwords(Section):
    """How a line becomes pieces."""

    kind: _named("nmt.data.subwords", "KINDS") = Field("unigram", description="Subword model, or `pretokenized`: words split on spaces.")  # type: ignore[valid-type]
    size: Count = Field(8000, description="Number of pieces (the most words, for `pretokenized`).")
    joint: bool = Field(True, description="One model for both sides; false trains one per side.")
    character_coverage: Annotated[float, Field(gt=0.9, le=1.0)] = Field(1.0, description="Share of characters that get a piece; the rest become <unk>.")
    min_count: Count = Field(1, description="`pretokenized` only: rarer words become <unk>.")
    sampling: Share = Field(0.0, description="Subword regularisation (Kudo, 2018): smoothing alpha of the sampled segmentation in training; 0 turns it off.")

    @model_validator(mode="after")
    def _sampling_needs_a_model(self) -> "Subwords":
        if self.sampling and self.kind not in ("unigram", "bpe"):
            raise PydanticCustomError("sampling", "subword sampling needs kind unigram or bpe")
        return self


class EncoderDropout(Section):
    """Dropout probabilities in the encoder."""

    embedding: Probability = Field(0.0, description="On the embedded source words.")
    word: Probability = Field(0.0, description="Whole source words replaced by zeros (Gal & Ghahramani, 2016).")
    layers: Probability = Field(0.0, description="Between stacked layers.")
    input: Probability = Field(0.0, description="Variational: one mask per sequence on each layer's input.")
    state: Probability = Field(0.0, description="Variational: one mask per sequence on the state that enters the recurrent products.")
    output: Probability = Field(0.0, description="On the encoder states that attention reads.")


class DecoderDropout(Section):
    """Dropout probabilities in the decoder."""

    embedding: Probability = Field(0.0, description="On the embedded target words.")
    word: Probability = Field(0.0, description="Whole target words replaced by zeros (Gal & Ghahramani, 2016).")
    layers: Probability = Field(0.0, description="Between stacked layers.")
    input: Probability = Field(0.0, description="Variational: one mask per sequence on each layer's input.")
    state: Probability = Field(0.0, description="Variational: one mask per sequence on the state that enters the recurrent products.")
    output: Probability = Field(0.0, description="On the decoder's features before the output layer.")


class Encoder(Section):
    """The stack that reads the source."""

    cell: Cells = Field("lstm", description="Cell of all layers, or a list with one per layer; `my_cells.py:MyCell` is your own.")
    embedding: Count = Field(256, description="Size of a source embedding.")
    hidden: Count = Field(256, description="Size of the hidden state (of each direction).")
    layers: Count = Field(1, description="Depth of the stack.")
    bidirectional: Literal["all", "first", "none"] = Field("all", description="Layers that also read from right to left.")
    residual_from: Count | None = Field(None, description="First layer (counted from 1) whose input is added to its output; null for none.")
    layer_norm: bool = Field(False, description="Normalise each gate's products (Ba et al., 2016).")
    gate_bias: dict[str, float] = Field({}, description="Initial bias by gate name, over the cell's own (`{f: 1.0}` opens a forget gate).")
    dropout: EncoderDropout = EncoderDropout()


class Decoder(Section):
    """The stack that writes the target, and what it looks at."""

    cell: Cells = Field("lstm", description="Cell of all layers, or a list with one per layer; `my_cells.py:MyCell` is your own.")
    embedding: Count = Field(256, description="Size of a target embedding.")
    hidden: Count = Field(512, description="Size of the hidden state.")
    layers: Count = Field(1, description="Depth of the stack.")
    residual_from: Count | None = Field(None, description="First layer (counted from 1) whose input is added to its output; null for none.")
    layer_norm: bool = Field(False, description="Normalise each gate's products (Ba et al., 2016).")
    gate_bias: dict[str, float] = Field({}, description="Initial bias by gate name, over the cell's own.")
    bridge: _named("nmt.model.bridge", "BRIDGES") = Field("linear", description="How the encoder's states become the decoder's first state.")  # type: ignore[valid-type]
    attention: _named("nmt.model.attention", "ATTENTIONS") = Field("general", description="How the decoder looks at the encoder's states.")  # type: ignore[valid-type]
    attention_size: Count | None = Field(None, description="Width of additive and multi-head attention; null: the decoder's hidden size.")
    heads: Count = Field(4, description="`multi-head` only: number of heads.")
    input_feeding: bool = Field(False, description="Feed the attentional vector to the next position (Luong et al., 2015).")
    conditional: bool = Field(False, description="Attention between two cells of the first layer (cGRU, cLSTM; Nematus, 2017).")
    features: Count | None = Field(None, description="Width of the vector before the output layer; null: the embedding size.")
    tie: Literal["none", "target", "all"] = Field(
        "target", description="Share the output layer with the target embedding, or (all; joint subwords) with the source embedding too."
    )
    dropout: DecoderDropout = DecoderDropout()


class Batch(Section):
    """How many pairs make one batch."""

    by: Literal["sentences", "tokens"] = Field("sentences", description="What `size` counts; tokens are counted padded, on the longer side.")
    size: Count = Field(64, description="Sentences, or tokens, in a batch.")


class LearningRate(Section):
    """The learning rate over the updates."""

    peak: float = Field(1e-3, gt=0.0, description="Highest learning rate.")
    schedule: _named("nmt.training.schedules", "SCHEDULES") = Field("constant", description="What happens after the warm-up.")  # type: ignore[valid-type]
    warmup: int = Field(0, ge=0, description="Updates of linear warm-up.")
    span: Span | None = Field(None, description="`cosine` only: where the rate reaches `floor`; null: stop_after.")
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(0.5, description="`plateau` only: the rate is multiplied by this.")
    patience: int = Field(0, ge=0, description="`plateau` only: validations without improvement that are forgiven.")
    floor: float = Field(0.0, ge=0.0, description="The rate never falls below this.")


class TeacherForcing(Section):
    """How often the decoder sees the true previous word in training (Williams & Zipser, 1989; Bengio et al., 2015)."""

    schedule: _named("nmt.training.teacher_forcing", "FORCINGS") = Field("always", description="How the ratio moves from `start` to `end`.")  # type: ignore[valid-type]
    start: Share = Field(1.0, description="Ratio at first: the probability of the true word (`fixed` keeps it).")
    end: Share = Field(0.0, description="Ratio the schedule falls towards and never under.")
    warmup: Span = Field(Duration(0, "u"), description="Stretch before the schedule starts, at ratio `start`.")
    span: Span = Field(Duration(10, "e"), description="linear: where `end` is reached; exponential: where the fall is to 1/e; inverse-sigmoid: where it is half-way.")
    per: Literal["token", "sentence"] = Field("token", description="Draw for each position, or once for each sentence.")
    feedback: Literal["argmax", "sample"] = Field("argmax", description="The model's own word: its best one, or one drawn from its distribution.")


class Validation(Section):
    """What is measured during training, and when it stops."""

    every: Span = Field(Duration(1, "e"), description="Stretch between validations; a checkpoint is written at each.")
    metric: Literal["bleu", "chrf", "loss"] = Field("bleu", description="What decides on the best checkpoint, early stopping and plateaus: a score of free-running greedy decoding, or the loss.")
    patience: Count | None = Field(None, description="Validations without improvement before training stops; null: never.")
    samples: int = Field(3, ge=0, description="Translations printed at each validation.")


class Training(Section):
    """The training run."""

    optimiser: _named("nmt.training.optimisers", "OPTIMISERS") = Field("adam", description="Update rule.")  # type: ignore[valid-type]
    learning_rate: LearningRate = LearningRate()
    betas: tuple[float, float] = Field((0.9, 0.999), strict=False, description="Adam, AdamW: decay of the two moments.")
    momentum: Probability = Field(0.0, description="SGD: momentum.")
    weight_decay: float = Field(0.0, ge=0.0, description="L2 penalty (decoupled for adamw).")
    clip_norm: float | None = Field(1.0, gt=0.0, description="Largest norm of the gradient; null for no clipping.")
    label_smoothing: Probability = Field(0.1, description="Share of the target's probability spread over the vocabulary (Szegedy et al., 2016).")
    batch: Batch = Batch()
    accumulate: Count = Field(1, description="Batches whose gradients make one update.")
    stop_after: Span = Field(Duration(20, "e"), description="Length of the run.")
    checkpoint_every: Span | None = Field(None, description="Stretch between checkpoints besides those at validations; null: none.")
    keep: Count = Field(2, description="Latest checkpoints kept, besides the best.")
    validation: Validation = Validation()
    teacher_forcing: TeacherForcing = TeacherForcing()
    threads: Count | None = Field(None, description="CPU threads; null: torch's choice.")


class Search(Section):
    """How a translation is looked for."""

    beam: Count = Field(5, description="Hypotheses kept at each position; 1 is greedy.")
    length_penalty: float = Field(0.6, ge=0.0, description="GNMT's alpha (Wu et al., 2016, eq. 14); 0 ranks by the sum of log probabilities.")
    max_ratio: float = Field(2.0, gt=0.0, description="Longest output, in pieces per source piece ...")
    max_extra: int = Field(10, ge=0, description="... plus this many.")
    batch: Count = Field(64, description="Sentences translated together; the result does not depend on it.")


class Evaluation(Section):
    """How translations are scored."""

    metrics: list[_named("nmt.evaluation.scores", "METRICS")] = Field(["bleu", "chrf", "ter"], min_length=1, description="Scores reported, each with its signature.")  # type: ignore[misc]
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
    engine: Literal["auto", "fused", "reference"] = Field("auto", description="How cells run over a sequence: the fused scan, or the plain loop of `step` that defines it.")
    seed: int = Field(1, ge=0, description="Seed of every random draw.")
