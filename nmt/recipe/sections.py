"""Trees of settings: their validation by pydantic, conflicts between settings, documentation of each.

Recipes, studies and the configuration of a server are such trees. Nothing here imports torch.
"""

import ast
import functools
import inspect
import json
import textwrap
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from nmt.settings import Settings

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""For the root of a tree of settings; its sections inherit it."""
SettingsT = TypeVar("SettingsT", bound=Settings)

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
    """Return the fields of a section that may be, or are, a list of sections."""
    members = {name: (hint, *get_args(hint)) for name, hint in get_type_hints(kind).items()}
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
