"""The vocabularies of a run that starts from another model, and the vectors of their tokens."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from nmt.data.vocabulary import SIDES, Vocabulary
from nmt.data.vocabulary.extension import count_unknown, extend_vocabulary, find_kind, find_parts
from nmt.data.vocabulary.training import DEFAULTS, FILES, SubwordSettings
from nmt.errors import UsageError
from nmt.recipe.reader import read_model_recipe
from nmt.recipe.schema import Recipe, TranslationRecipe, select_task
from nmt.reservoir import sample_lines

log = logging.getLogger(__name__)

MOST_UNKNOWN, MOST_BYTES = 0.01, 0.1  # of the tokens of a text
SAMPLE = 50_000  # lines of it that are read
OF_NEW_TEXT = ("size", "character_coverage", "min_count")
"""Settings of a vocabulary of the new text alone, which `extend` may change."""
RESOLVED: Mapping[str, Callable[[SubwordSettings], object]] = {
    "byte_fallback": lambda settings: settings.has_bytes,
    "normalisation": lambda settings: settings.rule,
}
"""Settings that depend on others where they are null."""
NOT_OF_VOCABULARY = ("from_start", *FILES)

TrainVocabulary = Callable[[SubwordSettings], Vocabulary]


def adapt_vocabulary(
    recipe: Recipe,
    start: Path,
    vocabulary: Vocabulary,
    side: str,
    lines: Iterable[str],
    train: TrainVocabulary,
) -> Vocabulary:
    """Return the vocabulary of the model in `start` for another text, kept or extended.

    `train` makes a vocabulary of the text from settings.
    """
    _check_case(recipe, start, vocabulary)
    if recipe.subwords.from_start == "keep":
        return _keep_vocabulary(recipe, start, vocabulary, side, lines)
    return _extend_vocabulary(recipe, start, vocabulary, train)


def _check_case(recipe: Recipe, start: Path, vocabulary: Vocabulary) -> None:
    """Raise UsageError if a translator's vocabulary has marks of case and the recipe none, or conversely."""
    translation = select_task(recipe, TranslationRecipe)
    case = "inline" if vocabulary.case_tokens() else "keep"
    if translation is not None and translation.data.case != case:
        raise UsageError(
            f"training.start_from: the vocabulary of {start} belongs to data.case: {case}, which "
            f"subwords.from_start={recipe.subwords.from_start} cannot change: set data.case={case}, "
            "or subwords.from_start=new"
        )


def _keep_vocabulary(
    recipe: Recipe, start: Path, vocabulary: Vocabulary, side: str, lines: Iterable[str]
) -> Vocabulary:
    """Return the vocabulary itself.

    Raises UsageError if the recipe asks for another one, or if too much of the text is unknown to it.
    """
    theirs = read_model_recipe(start).subwords
    _check_settings(recipe.subwords, theirs, start, vocabulary, ())
    found = count_unknown(vocabulary, sample_lines(lines, SAMPLE, recipe.seed))
    advice = (
        "set subwords.from_start=extend to add tokens of this text, or subwords.from_start=new for a "
        "vocabulary of this text alone; both keep the vectors of shared tokens"
    )
    if found.unknown > MOST_UNKNOWN * found.total or found.spelt > MOST_BYTES * found.total:
        raise UsageError(
            f"training.start_from: the vocabulary of {start} does not fit the {side} text: of its "
            f"{found.total:,} tokens {found.describe()}; {advice}"
        )
    if found.spelt > MOST_UNKNOWN * found.total:
        log.warning(f"of the {found.total:,} tokens of the {side} text {found.describe()}; {advice}")
    size = recipe.subwords.size
    if size not in (theirs.size, len(vocabulary)):
        log.warning(f"the {side} vocabulary of {start} is kept: {len(vocabulary):,} tokens, not {size:,}")
    return vocabulary


def _extend_vocabulary(
    recipe: Recipe, start: Path, vocabulary: Vocabulary, train: TrainVocabulary
) -> Vocabulary:
    """Return the vocabulary with the tokens of one of the new text; UsageError if the settings differ."""
    theirs = read_model_recipe(start).subwords
    _check_settings(recipe.subwords, theirs, start, vocabulary, OF_NEW_TEXT)
    has_bytes = len(vocabulary.byte_tokens()) > 0
    try:
        kind = find_kind(vocabulary)
        settings = replace(recipe.subwords, kind=kind, normalisation=vocabulary.rule, byte_fallback=has_bytes)
        return extend_vocabulary(vocabulary, train(settings))
    except ValueError as error:
        raise UsageError(
            f"subwords.from_start: the vocabulary of {start} cannot be extended ({error}): use keep or new"
        ) from None


def _check_settings(
    mine: SubwordSettings, theirs: SubwordSettings, start: Path, vocabulary: Vocabulary, free: Sequence[str]
) -> None:
    """Raise UsageError for settings that are neither those of the model to start from nor the defaults."""
    wrong = []
    for setting in fields(SubwordSettings):
        name = setting.name
        value, kept = getattr(mine, name), getattr(theirs, name)
        fits = value in (kept, getattr(DEFAULTS, name)) or (name == "size" and value == len(vocabulary))
        fits = fits or (name in RESOLVED and RESOLVED[name](mine) == RESOLVED[name](theirs))
        if not fits and name not in (*free, *NOT_OF_VOCABULARY):
            wrong.append(f"subwords.{name} is {value}, in {start} it is {kept}")
    if wrong:
        way = "extends" if free else "keeps"
        raise UsageError(
            "\n  ".join([f"subwords.from_start={mine.from_start} {way} a vocabulary, but:", *wrong])
            + "\nomit these settings, or set subwords.from_start=new"
            + ("" if free else ", or extend (`size` is then that of the new text's tokens)")
        )


TABLES = {
    SIDES[0]: ("encoder.embedding.weight",),
    SIDES[1]: ("decoder.embedding.weight", "decoder.output.weight", "decoder.output.bias"),
}
"""The tensors of a model that have a row per token, by side."""


class TableParts(NamedTuple):
    """The rows with which the rows of a model's tables of tokens start."""

    rows: dict[str, list[list[int]]]  # by table
    description: list[str]


def find_table_parts(old: Sequence[Vocabulary], new: Sequence[Vocabulary]) -> TableParts:
    """Find the rows to start with where vocabularies differ; the last one is that of the target."""
    rows: dict[str, list[list[int]]] = {}
    description = []
    pairs = {SIDES[0]: (old[0], new[0]), SIDES[1]: (old[-1], new[-1])}
    for side in SIDES[-len(new) :]:
        theirs, mine = pairs[side]
        if theirs.fingerprint() != mine.fingerprint():
            parts = find_parts(theirs, mine)
            rows |= dict.fromkeys(TABLES[side], parts.parts)
            description.append(f"{side} vocabulary: {parts.describe()}")
    return TableParts(rows, description)
