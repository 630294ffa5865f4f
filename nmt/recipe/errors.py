"""Says in plain English, and with its place, what the schema found wrong in a recipe."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nmt.recipe.fields import Section, suggestion
from nmt.recipe.schema import TASKS
from nmt.recipe.yaml import Node, Problem

EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "settings, `name: value`",
}
LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "too_short": ("a list of at least", "min_length"),
    "too_long": ("a list of at most", "max_length"),
}


def problems_of(error: ValidationError, tree: Node, recipe: type[Section]) -> list[Problem]:
    """Every mistake that the schema found in the tree."""
    details = error.errors(include_url=False)
    return [problem for detail in details for problem in _problems(detail, tree, recipe)]


def _problems(detail: ErrorDetails, tree: Node, recipe: type[Section]) -> Iterator[Problem]:
    node, keys = _follow(detail["loc"], tree)
    path = ".".join(keys)
    if detail["type"] == "conflicts":
        for within, what in detail["ctx"]["found"]:
            full = [*keys, *within.split(".")]
            yield Problem(_nearest(node, within.split(".")).start, ".".join(full), what)
    elif detail["type"] == "missing" and isinstance(detail["loc"][-1], str):
        missing = ".".join([*keys, detail["loc"][-1]])
        yield Problem(node.start, missing, f"missing{_meaning(recipe, missing)}")
    elif detail["type"] == "extra_forbidden":
        yield Problem(node.start, path, _unknown(recipe, keys))
    elif detail["type"] in ("model_type", "model_attributes_type"):
        names = ", ".join(_section(recipe, keys).model_fields)
        yield Problem(node.place, path, f"expected a section with {names} (got {shown(node.plain())})")
    elif detail["loc"][-1:] == ("[key]",):  # the name of an entry, not its value
        yield Problem(node.start, path, _value(detail, keys[-1]))
    else:
        yield Problem(node.place, path, _value(detail, node.plain()))


def _follow(location: tuple[int | str, ...], tree: Node) -> tuple[Node, list[str]]:
    """The node that a location names, and its path; steps that are not in the tree are left out."""
    node, keys = tree, []
    for step in location:
        if isinstance(node.value, dict) and step in node.value:
            node = node.value[step]
            keys.append(str(step))
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
    return node, keys


def _nearest(tree: Node, keys: list[str]) -> Node:
    """The node of a setting, or of the innermost section around it that is given."""
    found = (tree.at(*keys[:length]) for length in range(len(keys), 0, -1))
    return next((node for node in found if node), tree)


def _section(recipe: type[Section], keys: list[str]) -> type[Section]:
    for key in keys:
        recipe = (recipe.sections() | recipe.entries())[key]
    return recipe


def _meaning(recipe: type[Section], path: str) -> str:
    *keys, name = path.split(".")
    about = _section(recipe, keys)
    inner = about.sections().get(name)
    if inner:
        needed = [f"{path}.{field}" for field, info in inner.model_fields.items() if info.is_required()]
        return f"; it needs {', '.join(needed)}"
    return f"; {about.model_fields[name].description}"


def _unknown(recipe: type[Section], keys: list[str]) -> str:
    """A setting of another task, or of none."""
    for task, other in TASKS.items():
        if recipe in TASKS.values() and other is not recipe and ".".join(keys) in _paths(other):
            return f"no such setting here, only where task is {task}"
    return f"no such setting, {_nearest_setting(recipe, keys)}"


def _nearest_setting(recipe: type[Section], keys: list[str]) -> str:
    """Where an unknown setting may belong: in another section, near in its own, or near anywhere."""
    *parents, name = keys
    here = list(_section(recipe, parents).model_fields)
    everywhere = list(_paths(recipe))
    same = [path for path in everywhere if path.split(".")[-1] == name]
    if same:
        return f"did you mean {' or '.join(same[:3])}?"
    if get_close_matches(name, here, n=1):
        return suggestion(name, here)
    near = get_close_matches(name, {path.split(".")[-1] for path in everywhere}, n=1, cutoff=0.75)
    far = [path for path in everywhere if path.split(".")[-1] in near]
    return f"did you mean {' or '.join(far[:3])}?" if far else suggestion(name, here)


def _paths(section: type[Section], before: str = "") -> Iterator[str]:
    for name in section.model_fields:
        yield before + name
    for name, inner in (section.sections() | section.entries()).items():
        yield from _paths(inner, f"{before}{name}.")


def _value(detail: ErrorDetails, value: Any) -> str:
    """What is wrong with a value, and the value."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "choice":
        return detail["msg"]
    if kind == "missing":
        return f"the list is too short (got {shown(value)})"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", context["expected"])
        if isinstance(value, str):
            return f"no '{value}', {suggestion(value, names)}"
        return f"expected one of {', '.join(names)} (got {shown(value)})"
    if kind in LIMITS:
        words, bound = LIMITS[kind]
        return f"expected {words} {context[bound]:.16g} (got {shown(value)})"
    if kind in EXPECTED:
        quoted = isinstance(value, str) and re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?|true|false", value)
        return f"expected {EXPECTED[kind]} (got {shown(value)}{'; leave the quotes out' if quoted else ''})"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]} (got {shown(value)})"


def shown(value: Any) -> str:
    """The value as one would write it in a recipe, not too long."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("Infinity", ".inf").replace("NaN", ".nan")
    return text if len(text) <= 60 else f"{text[:57]}..."
