"""The recipe of each task: the tree of the components' settings, validated by pydantic.

Every setting, its default and its documentation is declared once, in the settings class of its component.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from annotated_types import Ge, Le

from nmt.data.protection.spans import DEFAULT_KINDS
from nmt.data.sources import PairSettings, TextSettings
from nmt.data.vocabulary import SIDES
from nmt.data.vocabulary.training import (
    BYTES_FROM,
    FILES,
    LanguageModelSubwordSettings,
    TranslationSubwordSettings,
)
from nmt.decoding.options import SearchSettings
from nmt.evaluation.metrics import EvaluationSettings
from nmt.model.decoder import DecoderSettings, LanguageModelDecoderSettings
from nmt.model.encoder import EncoderSettings
from nmt.recipe.sections import STRICT
from nmt.recurrence.engine import ENGINES, Engine
from nmt.recurrence.layer import StackSettings
from nmt.settings import Conflict, OneOf, Settings
from nmt.training.settings import LanguageModelTrainingSettings, TranslationTrainingSettings

GREATEST_SEED = 2**53
"""The largest integer that every JSON reader represents exactly."""


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings(Settings):
    """The settings at the top of every recipe."""

    __pydantic_config__ = STRICT

    task: Annotated[str, OneOf(lambda: TASKS)] = "translation"
    """What is trained; it decides which settings there are: below, task by task."""
    engine: Annotated[Engine, OneOf(lambda: ENGINES, deprecated=("inductor",))] = "auto"
    """Execution of the cells in training: split into matrix products and kernels, which the machine's C
    compiler compiles (`compiled`) or torch runs one by one (`torch`); as the plain loop of `step` that
    defines them (`reference`); `auto`: the fastest that the machine supports."""
    seed: Annotated[int, Ge(0), Le(GREATEST_SEED)] = 1
    """Seed of every random draw."""


@dataclass(frozen=True, kw_only=True)
class TranslationRecipe(ExperimentSettings):
    """A translator."""

    kind: ClassVar[str] = "translator"
    usage: ClassVar[str] = "printf 'a line\\n' | nmt translate {}"
    vocabulary_sides: ClassVar[tuple[str, ...]] = SIDES

    data: PairSettings
    subwords: TranslationSubwordSettings = TranslationSubwordSettings()
    encoder: EncoderSettings = EncoderSettings()
    decoder: DecoderSettings = DecoderSettings()
    training: TranslationTrainingSettings = TranslationTrainingSettings()
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @property
    def protected_kinds(self) -> tuple[str, ...]:
        """The kinds of text that is copied."""
        if self.data.protect is None:
            subwords = self.subwords
            return DEFAULT_KINDS if subwords.has_subwords and subwords.size >= BYTES_FROM else ()
        return tuple(self.data.protect)

    def _find_case_problem(self) -> str | None:
        """Return the reason why marks of case cannot be used, if the recipe asks for them."""
        subwords = self.subwords
        if self.data.case == "keep":
            return None
        if subwords.has_words or any(getattr(subwords, name) for name in FILES):
            return "needs subwords that are trained on marked text: unigram, bpe or char, without a file"
        if subwords.rule == "none":
            return "needs subwords.normalisation nmt_nfkc or nfc, which remove marks from the text itself"
        return None

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        encoder, decoder, training = self.encoder, self.decoder, self.training
        if decoder.attention in ("dot", "scaled-dot") and encoder.widths()[-1] != decoder.hidden:
            yield (
                "decoder.attention",
                f"{decoder.attention} needs encoder and decoder states of the same size, "
                f"not {encoder.widths()[-1]} and {decoder.hidden}; general does not",
            )
        yield from _vocabulary_conflicts(self)
        if problem := self._find_case_problem():
            yield "data.case", f"inline {problem}"
        for name in ("guided_alignment", "coverage"):
            if decoder.attention == "none" and getattr(training, name):
                yield f"training.{name}", "needs an attention, and decoder.attention is none"
        if training.r_drop and not (encoder.dropout.is_on or decoder.dropout.is_on):
            yield "training.r_drop", WITHOUT_DROPOUT
        aligned = any(corpus.alignments for corpus in self.data.corpora)
        if training.guided_alignment and decoder.attention != "none" and not aligned:
            yield (
                "training.guided_alignment",
                "needs word alignments: give a corpus of data.train its `alignments`, in Pharaoh's format",
            )
        if decoder.tie == "all" and not self.subwords.joint:
            yield (
                "decoder.tie",
                "'all' shares one vocabulary between both sides: it needs subwords.joint: true",
            )
        if decoder.tie == "all" and encoder.embedding != decoder.embedding:
            yield (
                "decoder.tie",
                f"'all' needs encoder.embedding ({encoder.embedding}) and decoder.embedding "
                f"({decoder.embedding}) to be equal",
            )


@dataclass(frozen=True, kw_only=True)
class LanguageModelRecipe(ExperimentSettings):
    """A language model: one stack of the same cells that writes text and reads no source."""

    kind: ClassVar[str] = "language model"
    usage: ClassVar[str] = "nmt sample {}"
    vocabulary_sides: ClassVar[tuple[str, ...]] = SIDES[1:]

    data: TextSettings
    subwords: LanguageModelSubwordSettings = LanguageModelSubwordSettings()
    decoder: LanguageModelDecoderSettings = LanguageModelDecoderSettings()
    training: LanguageModelTrainingSettings = LanguageModelTrainingSettings()

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        if self.training.chunk is not None and self.data.max_length is not None:
            yield "data.max_length", "with training.chunk, every line is read: remove it"
        yield from _vocabulary_conflicts(self)
        if self.training.r_drop and not self.decoder.dropout.is_on:
            yield "training.r_drop", WITHOUT_DROPOUT


FILE_SETTINGS = (
    ("subwords", "same_as"),
    ("training", "start_from"),
    *(("subwords", name) for name in FILES),
    ("encoder", "embedding_file"),
    ("decoder", "embedding_file"),
)
"""The settings that are paths of files or models, found like `data.root`, apart from those of the data."""

WITHOUT_DROPOUT = "compares two passes with different dropout, but there is no dropout"

Recipe = TranslationRecipe | LanguageModelRecipe
TASKS: dict[str, type[Recipe]] = {"translation": TranslationRecipe, "language-model": LanguageModelRecipe}


def _vocabulary_conflicts(recipe: Recipe) -> Iterator[Conflict]:
    """Yield two settings that both give the vocabulary, and a choice for a model that there is not."""
    subwords, start = recipe.subwords, recipe.training.start_from
    if subwords.from_start != "keep" and start is None:
        yield "subwords.from_start", "is for a run that starts from a model: set training.start_from"
    for side in (getattr(recipe, "encoder", None), recipe.decoder):
        if start is not None and side is not None and side.embedding_file is not None:
            yield (
                "training.start_from",
                "sets the embeddings, and so does embedding_file: omit one",
            )
    for name in ("same_as", *(FILES if subwords.from_start != "new" else ())):
        if start is not None and getattr(subwords, name, None) is not None:
            way = "" if name == "same_as" else " (with subwords.from_start=new it is used)"
            yield "training.start_from", f"sets the vocabulary, and so does subwords.{name}{way}"


RecipeT = TypeVar("RecipeT", bound=Recipe)


def select_task(recipe: Recipe, kind: type[RecipeT]) -> RecipeT | None:
    """Return a recipe as one of a task; None if it is of another task."""
    return recipe if isinstance(recipe, kind) else None


def find_stack_settings(recipe: Recipe) -> dict[str, StackSettings]:
    """Return the sections that describe stacks of cells, by name."""
    return {name: side for name, side in vars(recipe).items() if isinstance(side, StackSettings)}
