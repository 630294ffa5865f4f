"""Files of settings: YAML that is validated as a settings class, with a message for every mistake."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nmt.errors import UnknownName, UsageError, suggestion
from nmt.files import expand_home
from nmt.recipe import yaml as yaml12
from nmt.recipe.sections import (
    Location,
    SettingsT,
    find_conflicts,
    find_list_sections,
    find_subsections,
    read_field_docs,
    validate,
)
from nmt.recipe.yaml import Problem, YamlNode, YamlSource
from nmt.settings import Settings
from nmt.untrusted_files import RefusedFile, read_recipe_text

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "settings, `name: value`",
}
LONGEST = 60  # characters of a value that a message quotes
LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("a list of at least", "min_length"),
    "too_long": ("a list of at most", "max_length"),
}
MOST_DESCRIBED = 50
"""Mistakes that are described: finding similar names takes time."""
MOST_SHOWN = 50  # mistakes in a message


def find_settings_file(name: str, what: str, shipped: Sequence[Path]) -> Path:
    """Find a file of settings, `what` in messages; UsageError for an unknown name.

    A path ends in .yaml or .yml; anything else is the name of a shipped file.
    """
    if name.endswith((".yaml", ".yml")):
        return expand_home(name)
    known = {path.stem: path for path in shipped}
    if name not in known:
        raise UsageError(f"no {what} '{name}', {suggestion(name, list(known))}")
    return known[name]


def read_settings(kind: type[SettingsT], file: Path, what: str) -> tuple[SettingsT, YamlNode]:
    """Read a file of settings, `what` in messages; UsageError with every mistake found."""
    problems: list[Problem] = []
    tree = read_tree(file, what, problems)
    settings = validate_node(kind, tree, problems) if tree else None
    if tree is None or settings is None or problems:
        raise build_error(problems, what)
    return settings, tree


def read_tree(file: Path, what: str, problems: list[Problem]) -> YamlNode | None:
    """Read the tree of a file; None, and problems, if it has none. UsageError if it cannot be read."""
    try:
        text = read_recipe_text(file)
    except RefusedFile as error:
        raise UsageError(f"{file}: {error.reason}") from None
    tree = yaml12.read(text, YamlSource(str(file), file.parent), problems)
    if tree is None or isinstance(tree.value, dict):
        return tree
    problems.append(Problem(tree.position, "", f"a {what} consists of settings, `name: value`"))
    return None


def validate_node(kind: type[SettingsT], tree: YamlNode, problems: list[Problem]) -> SettingsT | None:
    """Validate a tree as settings; None, and problems, if they are not valid."""
    try:
        settings = validate(kind, tree.plain())
    except ValidationError as error:
        problems += describe_validation_errors(error, tree, kind)
        return None
    if conflicts := find_conflicts(settings):
        problems += describe_conflicts(conflicts, tree)
        return None
    return settings


def build_error(problems: list[Problem], what: str) -> UsageError:
    """Build one error from all problems, sorted by position; those of the command line come last."""
    order = sorted(dict.fromkeys(problems), key=lambda problem: problem.position.order())
    count = "1 mistake" if len(order) == 1 else f"{len(order):,} mistakes"
    more = [f"... and {len(order) - MOST_SHOWN:,} more"] if len(order) > MOST_SHOWN else []
    return UsageError("\n".join([f"{count} in the {what}", *map(str, order[:MOST_SHOWN]), *more]))


def describe_validation_errors(
    error: ValidationError, tree: YamlNode, recipe: type[Settings]
) -> list[Problem]:
    """Describe every error that validation found in the tree."""
    details = error.errors(include_url=False)
    described = [_problem(detail, tree, recipe) for detail in details[:MOST_DESCRIBED]]
    others = [_follow(detail["loc"], tree)[0].start for detail in details[MOST_DESCRIBED:]]
    return described + [Problem(position, "", "wrong, too") for position in others]


def describe_conflicts(conflicts: Sequence[tuple[Location, str]], tree: YamlNode) -> list[Problem]:
    """Describe conflicts between valid settings."""
    problems = []
    for location, what in conflicts:
        node, _ = _follow(location, tree)
        path = ".".join(key for key in location if isinstance(key, str))
        problems.append(Problem(node.start, path, what))
    return problems


def _problem(detail: ErrorDetails, tree: YamlNode, recipe: type[Settings]) -> Problem:
    node, keys = _follow(detail["loc"], tree)
    path, last = ".".join(keys), detail["loc"][-1] if detail["loc"] else ""
    if detail["type"] == "missing" and isinstance(last, str):
        missing = ".".join([*keys, last])
        return Problem(node.start, missing, f"missing; {_meaning(recipe, keys, last)}")
    if detail["type"] == "unexpected_keyword_argument":
        return Problem(node.start, path, _unknown(recipe, keys))
    if detail["type"] == "dataclass_type":
        names = ", ".join(field.name for field in fields(_section(recipe, keys)))
        return Problem(
            node.position, path, f"expected a section with {names} (got {format_value(node.plain())})"
        )
    if last == "[key]":  # the name of an entry, not its value
        return Problem(node.start, path, describe_value(detail, keys[-1]))
    return Problem(node.position, path, describe_value(detail, node.plain()))


def _follow(location: Location, tree: YamlNode) -> tuple[YamlNode, list[str]]:
    """Return the node of a location, or the innermost given one around it, and its path."""
    node, keys = tree, []
    for step in location:
        if isinstance(node.value, dict) and step in node.value:
            node = node.value[step]
            keys.append(str(step))
        elif isinstance(node.value, dict):
            break
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
    return node, keys


def _section(recipe: type[Settings], keys: list[str]) -> type[Settings]:
    for key in keys:
        recipe = (find_subsections(recipe) | find_list_sections(recipe))[key]
    return recipe


def _meaning(recipe: type[Settings], keys: list[str], name: str) -> str:
    """Return the documentation of a required setting; of a section, the settings that it requires."""
    section = _section(recipe, keys)
    if name not in find_subsections(section):
        return read_field_docs(section)[name]
    inner = fields(find_subsections(section)[name])
    required = [field.name for field in inner if field.default is field.default_factory is MISSING]
    return f"it needs {', '.join('.'.join([*keys, name, field]) for field in required)}"


def _unknown(recipe: type[Settings], keys: list[str]) -> str:
    """Describe a setting of another task, or of none."""
    if any(field.name == "task" for field in fields(recipe)):
        from nmt.recipe.schema import TASKS  # import torch

        for task, other in TASKS.items():
            if other is not recipe and ".".join(keys) in _paths(other):
                return f"no such setting here, only where task is {task}"
    return f"no such setting, {_nearest_setting(recipe, keys)}"


def _nearest_setting(recipe: type[Settings], keys: list[str]) -> str:
    """Suggest for an unknown setting the same name in another section, else a similar name."""
    *parents, name = keys
    here = [field.name for field in fields(_section(recipe, parents))]
    everywhere = list(_paths(recipe))
    same = [path for path in everywhere if path.split(".")[-1] == name]
    if same:
        return f"did you mean {' or '.join(same[:3])}?"
    if get_close_matches(name, here, n=1):
        return suggestion(name, here)
    near = get_close_matches(name, {path.split(".")[-1] for path in everywhere}, n=1, cutoff=0.75)
    far = [path for path in everywhere if path.split(".")[-1] in near]
    return f"did you mean {' or '.join(far[:3])}?" if far else suggestion(name, here)


def _paths(section: type[Settings], before: str = "") -> Iterator[str]:
    """Yield the paths of all settings, sections before their contents."""
    for field in fields(section):
        yield before + field.name
    for name, inner in (find_subsections(section) | find_list_sections(section)).items():
        yield from _paths(inner, f"{before}{name}.")


def describe_value(detail: ErrorDetails, value: Any) -> str:
    """Describe what is wrong with a value of a recipe."""
    kind, context, got = detail["type"], detail.get("ctx", {}), format_value(value)
    if kind == "missing":
        return f"the list is too short (got {got})"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", context["expected"])
        if isinstance(value, str):
            return f"no '{value}', {suggestion(value, names)}"
        return f"expected one of {', '.join(names)} (got {got})"
    quoted = isinstance(value, str) and re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?|true|false", value)
    return _describe(detail, f"{got}; leave the quotes out" if quoted and kind in EXPECTED else got)


def describe_option(error: BaseException | None) -> str | None:
    """Describe what is wrong with the value of an option; None if pydantic did not raise the error."""
    if not isinstance(error, ValidationError):
        return None
    detail = error.errors()[0]
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])  # it contains the value
    return _describe(detail, _shorten(str(detail["input"])))


def _describe(detail: ErrorDetails, got: str) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        error = context["error"]
        return str(error) if isinstance(error, UnknownName) else f"{error} (got {got})"
    if kind in LIMITS:
        words, bound = LIMITS[kind]
        return f"expected {words} {context[bound]:.16g} (got {got})"
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind]} (got {got})"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (got {got})"


def format_value(value: Any) -> str:
    """Return the value as written in a recipe, shortened."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _shorten(text.replace("Infinity", ".inf").replace("NaN", ".nan"))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
