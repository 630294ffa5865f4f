"""The recipe of each task: the tree of the components' settings, validated by pydantic.

Every setting, its default and its documentation is declared once, in the settings class of its component.
"""

import ast
import functools
import inspect
import json
import textwrap
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le
from pydantic import ConfigDict, TypeAdapter

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
from nmt.recurrence.engine import ENGINES, Engine
from nmt.settings import Conflict, OneOf, Settings
from nmt.training.settings import LanguageModelTrainingSettings, TranslationTrainingSettings

GREATEST_SEED = 2**53
"""The largest integer that every JSON reader represents exactly."""

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""For the root of a tree of settings; its sections inherit it."""


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


SettingsT = TypeVar("SettingsT", bound=Settings)
RecipeT = TypeVar("RecipeT", bound=Recipe)


def select_task(recipe: Recipe, kind: type[RecipeT]) -> RecipeT | None:
    """Return a recipe as one of a task; None if it is of another task."""
    return recipe if isinstance(recipe, kind) else None


adapter: Callable[[Any], TypeAdapter[Any]] = functools.cache(TypeAdapter)
"""Build pydantic's validator of a settings class, once."""


def validate(kind: type[SettingsT], tree: dict[str, Any]) -> SettingsT:
    """Build settings from a tree of plain values; pydantic.ValidationError if a value is wrong.

    Conflicts between settings are not checked: see `find_conflicts`.
    """
    settings: SettingsT = adapter(kind).validate_json(json.dumps(tree))
    return settings


def to_plain(settings: Settings) -> dict[str, Any]:
    """Return the settings as a tree of plain values, which `validate` reads back."""
    tree: dict[str, Any] = adapter(type(settings)).dump_python(settings, mode="json")
    return tree


def to_json(settings: Settings, without: Collection[str] = ()) -> str:
    """Return the settings as JSON text, without some of them."""
    return adapter(type(settings)).dump_json(settings, exclude={*without}).decode()


Location = tuple[str | int, ...]
"""The names of sections, indices of list entries, and at last the name of a setting."""


def find_conflicts(settings: Settings, path: Location = ()) -> list[tuple[Location, str]]:
    """Return all conflicts with their paths; a section is checked only if its subsections have none."""
    found = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Settings):
            found += find_conflicts(value, (*path, field.name))
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            if isinstance(entry, Settings):
                found += find_conflicts(entry, (*path, field.name, index))
    return found or [((*path, *name.split(".")), what) for name, what in settings.conflicts()]


def find_subsections(kind: type[Settings]) -> dict[str, type[Settings]]:
    """Return the fields of a section that are sections themselves."""
    return {name: hint for name, hint in get_type_hints(kind).items() if _is_section(hint)}


def find_list_sections(kind: type[Settings]) -> dict[str, type[Settings]]:
    """Return the fields of a section that may be a list of sections."""
    members = {name: get_args(hint) for name, hint in get_type_hints(kind).items()}
    return {
        name: get_args(member)[0]
        for name, union in members.items()
        for member in union
        if get_origin(member) is list and _is_section(get_args(member)[0])
    }


def _is_section(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Settings)


def read_field_docs(kind: type[Settings]) -> dict[str, str]:
    """Return the docstrings under the fields of a section and of its base classes."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not is_dataclass(base):
            continue
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in pairwise(definition.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs
