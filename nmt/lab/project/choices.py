"""Choice of a recipe's settings by the size and the scripts of a corpus, with the evidence for each."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import MinLen

from nmt.data.script import WITHOUT_SPACES
from nmt.files import shipped_directory, write_file
from nmt.recipe import yaml as yaml12
from nmt.recipe.sections import STRICT
from nmt.recipe.settings_file import read_settings
from nmt.settings import Count, Settings

FILE = "choices/settings.yaml"
"""The data file, in the directory of the shipped recipes."""
WIDTH = 100
SIZE, JOINT, COVERAGE = "subwords.size", "subwords.joint", "subwords.character_coverage"
MANY_CHARACTERS = {*WITHOUT_SPACES, "Hangul"}
"""Scripts with thousands of characters."""
TOKENS_PER_CHARACTER = 1.25
"""Minimum size of a vocabulary for each character that must have a token."""


@dataclass(frozen=True, kw_only=True)
class ChoiceValue(Settings):
    """A value, and the corpora that it is for."""

    value: str | bool | int | float
    """The setting's value."""
    up_to: Count | None = None
    """Largest number of training pairs; null: any."""
    scripts: Literal["same", "different", "characters"] | None = None
    """Relation of the scripts of the sides; null: any."""


@dataclass(frozen=True, kw_only=True)
class Evidence(Settings):
    """A measurement."""

    study: str
    """The study, recipe or benchmark that measured it."""
    figures: str
    """What it measured."""


@dataclass(frozen=True, kw_only=True)
class SettingChoice(Settings):
    """A setting, its values, and why."""

    setting: str
    """Name in a recipe, with its sections."""
    values: Annotated[list[ChoiceValue], MinLen(1)]
    """The first whose conditions are met applies, if any."""
    reason: str
    """Why, in a few words."""
    evidence: list[Evidence] = field(default_factory=list)
    """Measurements; none: it has not been measured."""


@dataclass(frozen=True, kw_only=True)
class ChoiceTable(Settings):
    """The settings that are chosen."""

    __pydantic_config__ = STRICT

    choices: list[SettingChoice]
    """One entry per setting."""


class CorpusFacts(NamedTuple):
    """The properties of a corpus by which settings are chosen."""

    pairs: int  # for training
    scripts: tuple[str | None, str | None]
    characters: tuple[Counter[str], Counter[str]] = (Counter(), Counter())  # of a sample of each side

    @property
    def has_many_characters(self) -> bool:
        """True if a side's script has thousands of characters."""
        return not MANY_CHARACTERS.isdisjoint(self.scripts)

    def meets(self, value: ChoiceValue) -> bool:
        """Return True if the corpus meets the conditions of a value."""
        kinds = {"same" if self.scripts[0] == self.scripts[1] else "different"}
        if self.has_many_characters:
            kinds.add("characters")
        return (value.up_to is None or self.pairs <= value.up_to) and value.scripts in (None, *kinds)

    def find_smallest_size(self, coverage: float, joint: bool) -> int:
        """Return the smallest vocabulary size that covers the characters of the side that has most."""
        sides = [self.characters[0] + self.characters[1]] if joint else self.characters
        most = max(count_frequent(side, coverage) for side in sides)
        return 100 * math.ceil(TOKENS_PER_CHARACTER * most / 100)


class ChosenSetting(NamedTuple):
    """A setting of the new recipe, and the comment on it."""

    setting: str
    value: Any
    comment: str = ""


def choose_settings(facts: CorpusFacts) -> list[ChosenSetting]:
    """Choose the settings that fit a corpus; the others keep their defaults."""
    table, _ = read_settings(ChoiceTable, shipped_directory("recipes") / FILE, "table of choices")
    chosen = []
    for choice in table.choices:
        value = next((value.value for value in choice.values if facts.meets(value)), None)
        if value is None:
            continue
        measured = "; ".join(f"{one.figures} ({one.study})" for one in choice.evidence)
        comment = f"{choice.reason}; {measured}" if measured else f"{choice.reason} (not measured yet)"
        chosen.append(ChosenSetting(choice.setting, value, comment))
    return _enlarge_vocabulary(chosen, facts)


def _enlarge_vocabulary(settings: list[ChosenSetting], facts: CorpusFacts) -> list[ChosenSetting]:
    """Raise the size of the vocabulary to what the characters of the corpus need."""
    values = {one.setting: one.value for one in settings}
    needed = facts.find_smallest_size(values.get(COVERAGE, 1.0), values[JOINT])
    if needed <= values[SIZE]:
        return settings
    comment = f"one token for each character and some for words; by the number of pairs, {values[SIZE]}"
    return replace_setting(settings, SIZE, needed, comment)


def count_frequent(characters: Counter[str], coverage: float) -> int:
    """Count the most frequent characters that together cover a share of a text."""
    missing = coverage * characters.total()
    for number, (_, count) in enumerate(characters.most_common()):
        if missing <= 0:
            return number
        missing -= count
    return len(characters)


def replace_setting(
    settings: Sequence[ChosenSetting], name: str, value: object, comment: str
) -> list[ChosenSetting]:
    """Return the settings with another value of one of them."""
    return [ChosenSetting(name, value, comment) if one.setting == name else one for one in settings]


def write_recipe(file: Path, header: Sequence[str], settings: Sequence[ChosenSetting]) -> None:
    """Write a recipe: a comment at the top, and the settings in their sections, each below its comment."""
    top = [f"# {line}".rstrip() for line in header]
    write_file(file, "\n".join([*top, "", *_format_section(settings, 0)]).encode())


def _format_section(settings: Sequence[ChosenSetting], depth: int) -> Iterator[str]:
    """Yield the lines of the settings of a section, whose names are relative to it."""
    indent = "  " * depth
    sections: dict[str, list[ChosenSetting]] = {}
    for one in settings:
        name, _, rest = one.setting.partition(".")
        sections.setdefault(name, []).append(one._replace(setting=rest))
    for name, inner in sections.items():
        if inner[0].setting:
            yield f"{indent}{name}:"
            yield from _format_section(inner, depth + 1)
        else:
            yield from (
                f"{indent}# {line}"
                for line in wrap(inner[0].comment, WIDTH - len(indent), break_on_hyphens=False)
            )
            yield indent + yaml12.write({name: inner[0].value}).strip()
        if not depth:
            yield ""
