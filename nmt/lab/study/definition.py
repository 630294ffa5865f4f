"""A study: many runs that differ in what is asked about, and in nothing else.

The file says what they have in common and, axis by axis, what is varied. Each combination of one value of
every axis, with each seed, is a member: a recipe of its own. An error names the line of the study.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Le, MinLen
from pydantic import AfterValidator

from nmt.errors import UsageError
from nmt.recipe import reader
from nmt.recipe import yaml as yaml12
from nmt.recipe.schema import GREATEST_SEED, STRICT, Recipe, TranslationRecipe, to_json
from nmt.recipe.yaml import Node, Problem, Source
from nmt.settings import Conflict, Settings, suggestion
from nmt.shipped import shipped_directory


def _label(name: str) -> str:
    if not re.fullmatch(r"\w[\w.+-]{,39}", name):
        raise ValueError("a name here is of letters, digits and . + - _ inside, 40 at most: it names files")
    return name


Label = Annotated[str, AfterValidator(_label)]
"""The name of an axis or of one of its values; it becomes a part of file names."""
Changes = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Study(Settings):
    """A grid of runs, and how they are compared."""

    __pydantic_config__ = STRICT

    recipe: str
    """The recipe that all members have in common: a file next to the study, or a name."""
    settings: Changes = field(default_factory=dict)
    """Changes to that recipe for all members, written as in one."""
    vary: dict[Label, dict[Label, Changes]]
    """The differences: for each axis its values, for each value its settings."""
    compare: str | None = None
    """The axis whose values are the systems, its first the baseline; null: the first."""
    seeds: Annotated[list[Annotated[int, Ge(0), Le(GREATEST_SEED)]], MinLen(1)] = field(
        default_factory=lambda: [1]
    )
    """Each combination is trained once with each."""
    match: Literal["nothing", "parameters"] = "nothing"
    """`parameters`: the hidden sizes of each system are chosen such that it has as many parameters as the
    baseline, in proportion; `nothing`: they stay as they are."""

    @property
    def systems(self) -> str:
        """The axis whose values are compared."""
        return self.compare or next(iter(self.vary))

    def conflicts(self) -> Iterator[Conflict]:
        if self.compare is not None and self.compare not in self.vary:
            yield "compare", f"no axis '{self.compare}', {suggestion(self.compare, list(self.vary))}"
        if not self.vary:
            yield "vary", "name an axis and its values"
        for axis in (axis for axis, values in self.vary.items() if not values):
            yield f"vary.{axis}", "give the axis a value, `name: settings`"
        for seed, count in Counter(self.seeds).items():
            if count > 1:
                yield "seeds", f"{seed} stands there {count} times"


class Member(NamedTuple):
    """One run of a study."""

    choices: Mapping[str, str]  # axis: the value's name
    seed: int
    recipe: TranslationRecipe

    @property
    def name(self) -> str:
        """What its files are called."""
        return ",".join([*self.choices.values(), f"seed{self.seed}"])

    def others(self, axis: str) -> tuple[str, ...]:
        """What it is besides an axis: members that agree in this are compared."""
        return tuple(value for name, value in self.choices.items() if name != axis)


def shipped_studies() -> list[Path]:
    """The files of the studies that come with the program."""
    return sorted((shipped_directory("recipes") / "studies").glob("*.yaml"))


def study_file(name: str) -> Path:
    """The file of a study: a path ends in .yaml or .yml, anything else is the name of a shipped one."""
    if name.endswith((".yaml", ".yml")):
        return Path(name).expanduser()
    known = {path.stem: path for path in shipped_studies()}
    if name not in known:
        raise UsageError(f"no study '{name}', {suggestion(name, list(known))}")
    return known[name]


def read_study(name: str, overrides: Sequence[str] = ()) -> tuple[Study, list[Member]]:
    """A study and its members, `overrides` (`key=value`) over the settings of each.

    Raises UsageError with every mistake found, as `file:line:column: setting: what is wrong`.
    """
    problems: list[Problem] = []
    file = study_file(name)
    tree = _tree(file, problems)
    study = reader.validated(Study, tree, problems) if tree else None
    if tree is None or study is None:
        raise reader.refused(problems, "study")
    base = [reader.load(study.recipe, file.parent, problems), tree.at("settings")]
    last = [reader.setting(text, problems) for text in overrides]
    if problems:
        raise reader.refused(problems, "study")
    members: list[Member] = []
    for labels in product(*study.vary.values()):
        choices = dict(zip(study.vary, labels, strict=True))
        varied = [tree.at("vary", axis, label) for axis, label in choices.items()]
        layers = [layer for layer in [*base, *varied, *last] if layer is not None]
        members += _members(study, choices, layers, problems)
    problems += _unlike(members, tree)
    if problems:
        raise reader.refused(problems, "study")
    return study, members


def _tree(file: Path, problems: list[Problem]) -> Node | None:
    source = Source(str(file), file.parent)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: not UTF-8 text") from None
    tree = yaml12.read(text, source, problems)
    if tree is not None and not isinstance(tree.value, dict):
        problems.append(Problem(tree.place, "", "a study is made of settings, `name: value`"))
        return None
    return tree


def _members(
    study: Study, choices: Mapping[str, str], layers: Sequence[Node], problems: list[Problem]
) -> Iterator[Member]:
    """The members of a combination, one for each seed."""
    recipe = reader.checked(layers, problems)
    if recipe is None:
        return
    problems += _unfit(recipe, layers)
    if isinstance(recipe, TranslationRecipe):
        for seed in study.seeds:
            yield Member(choices, seed, replace(recipe, seed=seed))


def _unlike(members: Sequence[Member], tree: Node) -> Iterator[Problem]:
    """What all members have to have in common, to be compared."""
    if len({to_json(member.recipe.evaluation) for member in members}) > 1:
        yield Problem(tree.place, "evaluation", "differs between members: set it for all, under `settings`")


def _unfit(recipe: Recipe, layers: Sequence[Node]) -> Iterator[Problem]:
    """What is right in a recipe and wrong in a study."""
    base, *others = layers
    if not isinstance(recipe, TranslationRecipe):
        yield Problem(base.place, "task", f"a study compares translators, not a {recipe.task}")
    if recipe.data.test is None:
        yield Problem(base.place, "data.test", "missing; the test pairs decide in a study")
    for seed in (layer.at("seed") for layer in others):
        if seed is not None:
            yield Problem(seed.start, "seed", "the seeds of a study stand in its own list, `seeds`")
