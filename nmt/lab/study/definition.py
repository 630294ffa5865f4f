"""The definition of a study: a grid of runs that differ only in the settings that are compared.

A study file contains common settings and varied ones, axis by axis. Each combination of one value of every
axis with each seed is a member, which is a recipe. Errors name the line of the study file.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import gcd
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le, MinLen
from pydantic import AfterValidator

from nmt.errors import UsageError, suggestion
from nmt.files import find_shipped_files
from nmt.recipe import reader
from nmt.recipe.model_memory import outline_model
from nmt.recipe.schema import GREATEST_SEED, TranslationRecipe, select_task
from nmt.recipe.sections import STRICT, to_json
from nmt.recipe.settings_file import build_error, find_settings_file, read_settings
from nmt.recipe.tasks.translation import build_translator
from nmt.recipe.yaml import Problem, YamlNode
from nmt.settings import Conflict, Settings


def _check_label(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]{,39}", name):
        raise ValueError(
            "a name must have at most 40 letters, digits and . + - _ (inside): it is part of file names"
        )
    return name


Label = Annotated[str, AfterValidator(_check_label)]
"""The name of an axis or of one of its values, which is part of file names."""
Changes = dict[str, Any]
MATCH_TOLERANCE, MATCH_LIMIT = 0.005, 0.02
"""Relative differences of parameters: above the first the proportion is relaxed, the second is an error."""


@dataclass(frozen=True, kw_only=True)
class StudyDefinition(Settings):
    """A grid of runs and their comparison."""

    __pydantic_config__ = STRICT

    recipe: str
    """The common recipe: a file next to the study, or a name."""
    settings: Changes = field(default_factory=dict)
    """Changes to that recipe for all members."""
    vary: dict[Label, dict[Label, Changes]]
    """The axes of the grid: their values, and the settings of each value."""
    compare: str | None = None
    """The axis whose values are compared, the first being the baseline; null: the first axis."""
    seeds: Annotated[list[Annotated[int, Ge(0), Le(GREATEST_SEED)]], MinLen(1)] = field(
        default_factory=lambda: [1]
    )
    """Each combination is trained with each seed."""
    match: Literal["nothing", "parameters"] = "nothing"
    """`parameters`: set the hidden sizes of each system, in proportion, to match the baseline's number of
    parameters; `nothing`: keep them."""

    @property
    def systems(self) -> str:
        """The axis whose values are compared."""
        return self.compare or next(iter(self.vary))

    def conflicts(self) -> Iterator[Conflict]:
        if self.compare is not None and self.compare not in self.vary:
            yield "compare", f"no axis '{self.compare}', {suggestion(self.compare, list(self.vary))}"
        if not self.vary:
            yield "vary", "add an axis and its values"
        for axis in (axis for axis, values in self.vary.items() if not values):
            yield f"vary.{axis}", "give the axis a value, `name: settings`"
        for seed, count in Counter(self.seeds).items():
            if count > 1:
                yield "seeds", f"{seed} is listed {count} times"


class StudyMember(NamedTuple):
    """One run of a study."""

    choices: Mapping[str, str]  # value by axis
    seed: int
    recipe: TranslationRecipe

    @property
    def name(self) -> str:
        """The stem of the member's files."""
        return ",".join([*self.choices.values(), f"seed{self.seed}"])

    def other_values(self, axis: str) -> tuple[str, ...]:
        """Return the values of all axes but one: members that agree in them are compared."""
        return tuple(value for name, value in self.choices.items() if name != axis)


def find_study_file(name: str) -> Path:
    """Find the file of a study, by its path or the name of a built-in one."""
    return find_settings_file(name, "study", find_shipped_files("studies"))


def read_study(name: str, overrides: Sequence[str] = ()) -> tuple[StudyDefinition, list[StudyMember]]:
    """Read a study and its members, with `overrides` (`key=value`) over the settings of each.

    Raises UsageError with every mistake, as `file:line:column: setting: what is wrong`.
    """
    problems: list[Problem] = []
    file = find_study_file(name)
    study, tree = read_settings(StudyDefinition, file, "study")
    base = [reader.load_node(study.recipe, file.parent, problems), tree.find("settings")]
    last = [reader.parse_setting(text, problems) for text in overrides]
    if problems:
        raise build_error(problems, "study")
    recipes: dict[tuple[str, ...], TranslationRecipe] = {}  # by the values of the axes
    for labels in product(*study.vary.values()):
        varied = [tree.find("vary", axis, label) for axis, label in zip(study.vary, labels, strict=True)]
        layers = [layer for layer in (*base, *varied, *last) if layer is not None]
        recipe = reader.build_recipe(layers, problems)
        if recipe is not None and (translation := select_task(recipe, TranslationRecipe)):
            recipes[labels] = translation
            problems += _check_member(translation, layers)
        elif recipe is not None:
            where = layers[0].position
            problems.append(Problem(where, "task", f"a study compares translators, not a {recipe.task}"))
    if len({to_json(recipe.evaluation) for recipe in recipes.values()}) > 1:
        message = "differs between members: set it for all, under `settings`"
        problems.append(Problem(tree.position, "evaluation", message))
    if problems:
        raise build_error(problems, "study")
    if study.match == "parameters":
        recipes = _match_recipes(study, recipes)
    return study, [
        StudyMember(dict(zip(study.vary, labels, strict=True)), seed, replace(recipe, seed=seed))
        for labels, recipe in recipes.items()
        for seed in study.seeds
    ]


def _check_member(recipe: TranslationRecipe, layers: Sequence[YamlNode]) -> Iterator[Problem]:
    """Check what a study requires of a recipe."""
    base, *others = layers
    if recipe.data.test is None:
        yield Problem(base.position, "data.test", "missing; a study is evaluated on test pairs")
    for seed in (layer.find("seed") for layer in others):
        if seed is not None:
            yield Problem(seed.start, "seed", "set the seeds of a study in its list `seeds`")


def _match_recipes(
    study: StudyDefinition, recipes: Mapping[tuple[str, ...], TranslationRecipe]
) -> dict[tuple[str, ...], TranslationRecipe]:
    """Match the parameters of each recipe to those of the baseline with the same values of the other axes."""
    axis, baseline = list(study.vary).index(study.systems), next(iter(study.vary[study.systems]))
    matched = {}
    for labels, recipe in recipes.items():
        target = count_parameters(recipes[(*labels[:axis], baseline, *labels[axis + 1 :])])
        matched[labels] = recipe if labels[axis] == baseline else match_parameters(recipe, target)
    return matched


def count_parameters(recipe: TranslationRecipe) -> int:
    """Count a translator's parameters, with vocabularies of the maximum size.

    The model is built without memory for its weights. Smaller vocabularies reduce all models with the same
    embeddings equally.
    """
    size = recipe.subwords.size
    model = outline_model(lambda: build_translator(recipe, size, size))
    return sum(parameter.numel() for parameter in model.parameters())


def match_parameters(recipe: TranslationRecipe, target: int) -> TranslationRecipe:
    """Set the hidden sizes for which the number of parameters is nearest to `target`.

    The sizes keep their proportion, or approximately if exact ones are far apart. Raises UsageError if no
    sizes are within MATCH_LIMIT.
    """
    encoder, decoder = recipe.encoder.hidden, recipe.decoder.hidden
    heads = recipe.decoder.heads if recipe.decoder.attention == "multi-head" else 1
    unit = gcd(encoder, decoder // heads)

    def difference(candidate: TranslationRecipe) -> float:
        return abs(count_parameters(candidate) - target) / target

    best = _find_nearest(lambda n: _set_hidden(recipe, encoder // unit * n, decoder // unit * n), target)
    if difference(best) > MATCH_TOLERANCE:
        step = heads / decoder
        rounded = _find_nearest(
            lambda n: _set_hidden(recipe, max(1, round(encoder * step * n)), heads * n), target
        )
        best = min(best, rounded, key=difference)
    if difference(best) > MATCH_LIMIT:
        raise UsageError(
            f"match: no hidden sizes give a model near {target:,} parameters: with {best.encoder.hidden} "
            f"and {best.decoder.hidden} it has {count_parameters(best):,}; change its layers or "
            "embeddings"
        )
    return best


def _find_nearest(make: Callable[[int], TranslationRecipe], target: int) -> TranslationRecipe:
    """Return the recipe `make(n)`, n = 1, 2, ..., whose number of parameters is nearest to `target`."""
    low, high = 1, 2
    while count_parameters(make(high)) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count_parameters(make(middle)) < target else (low, middle)
    return min(make(low), make(high), key=lambda recipe: abs(count_parameters(recipe) - target))


def _set_hidden(recipe: TranslationRecipe, encoder: int, decoder: int) -> TranslationRecipe:
    return replace(
        recipe,
        encoder=replace(recipe.encoder, hidden=encoder),
        decoder=replace(recipe.decoder, hidden=decoder),
    )
