"""The settings of a recipe for editors (JSON Schema) and for readers (the reference page)."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from nmt.recipe.schema import TASKS
from nmt.recipe.sections import adapter, find_list_sections, find_subsections, read_field_docs, to_plain
from nmt.settings import DURATION_EXAMPLES, Duration, Settings

Schema = dict[str, Any]

INTRODUCTION = """# The recipe

A recipe is a YAML file (1.2: `no` is a word, `1e-3` a number) with the sections below. What it does not set
has the default given here; `data` must name the training and validation text.

- `task` is what is trained: a translator (the sections of the first half) or a language model (the second).
- `extends: NAME` at the top puts the file on top of another: a file next to it (`base.yaml`) or a shipped
  recipe (`multi30k-de-en-lstm`). Sections are merged setting by setting; any other value, lists too, replaces
  the earlier one.
- On the command line `training.learning_rate.peak=5e-4` changes one setting; several recipe files may be
  named, and the later wins.
- Relative paths start at the file that names them, on the command line at the current folder; `~` is the home
  folder.
- A duration of training is written `10e` (epochs) or `5000u` (updates), in some settings also `30m` (minutes
  of training).

This page is the output of `nmt recipes reference`; `nmt recipes schema` gives editors a JSON Schema.
"""
BOUNDS = [("exclusiveMinimum", "> "), ("minimum", "≥ "), ("exclusiveMaximum", "< "), ("maximum", "≤ ")]
PATTERNS = {".py": "`FILE.py:CLASS`", "cuda": "`cuda:N`"}
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


class _Generator(GenerateJsonSchema):
    """A schema generator that adds the fields' docstrings, and writes defaults as in a recipe."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Settings):
            return to_plain(dft)
        return str(dft) if isinstance(dft, Duration) else super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Schema:
        if "default_factory" in schema:
            schema = schema | {"default": schema["default_factory"]()}  # type: ignore[call-arg, assignment]
        return super().default_schema(schema)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> Schema:
        section = super().dataclass_schema(schema)
        for name, text in read_field_docs(schema["cls"]).items():
            section["properties"][name]["description"] = text
        return section


def _generate(task: str) -> Schema:
    return adapter(TASKS[task]).json_schema(schema_generator=_Generator)


def build_json_schema() -> Schema:
    """Return the JSON Schema of a recipe file; no setting is required, since `extends:` may provide it."""
    translation, language_model = (_schema_of(task) for task in TASKS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": translation.pop("$defs") | language_model.pop("$defs"),
        "if": {"required": ["task"], "properties": {"task": {"const": "language-model"}}},
        "then": language_model,
        "else": translation,
    }


def _schema_of(task: str) -> Schema:
    schema = _generate(task)
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
        for field in section["properties"].values():
            field.pop("title", None)
    extends = {
        "type": "string",
        "description": "Recipe that this one changes: a file next to it, or a shipped name.",
    }
    return {**schema, "properties": {"extends": extends, **schema["properties"]}}


def format_reference_page() -> str:
    """Return the reference page: a table per section with setting, type, default and meaning."""
    return "\n".join([INTRODUCTION, *(line for task in TASKS for line in _task(task))])


def _task(task: str) -> Iterator[str]:
    recipe = TASKS[task]
    schema = _generate(task)
    yield f"## `task: {task}`\n"
    yield from _section(recipe, schema, schema["$defs"], "")


def _section(section: type[Settings], schema: Schema, defs: dict[str, Schema], path: str) -> Iterator[str]:
    inner = find_subsections(section)
    own = {name: field for name, field in schema["properties"].items() if name not in inner}
    yield f"{'#' * (3 + path.count('.'))} {path or 'At the top'}\n"
    yield f"{inspect.cleandoc(section.__doc__ or '')}\n"
    yield "| setting | type | default | meaning |\n|---|---|---|---|"
    for name, field in own.items():
        default = "*required*" if name in schema.get("required", []) else _default(field)
        yield f"| `{name}` | {_kind(field)} | {default} | {_meaning(field)} |"
    yield ""
    for name, kind in (inner | find_list_sections(section)).items():
        yield from _section(kind, defs[kind.__name__], defs, f"{path}.{name}" if path else name)


def _kind(field: Schema) -> str:
    """Describe the values of a setting."""
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return _either(options)
    if "$ref" in field:
        return "sections"
    if "enum" in field:
        return ", ".join(f"`{name}`" for name in field["enum"])
    if field["type"] == "array":
        return _list(field)
    if field["type"] == "object":
        return f"name: {_kind(field['additionalProperties'])}"
    if field["type"] == "string" and "pattern" in field:
        units = (example for example in DURATION_EXAMPLES.values() if re.fullmatch(field["pattern"], example))
        shown = (shown for part, shown in PATTERNS.items() if part in field["pattern"])
        return next(shown, ", ".join(f"`{unit}`" for unit in units))
    bounds = " and ".join(f"{sign}{field[key]:.16g}" for key, sign in BOUNDS if key in field)
    return f"{TYPES.get(field['type'], field['type'])}{' ' + bounds if bounds else ''}"


def _either(options: list[Schema]) -> str:
    words: list[str] = []
    for option in options:
        repeated = option.get("type") == "array" and _kind(option["items"]) == " or ".join(words)
        words.append("a list of these" if repeated and "minItems" not in option else _kind(option))
    return " or ".join(words)


def _list(field: Schema) -> str:
    if "prefixItems" in field:
        return "[" + ", ".join(map(_kind, field["prefixItems"])) + "]"
    if field.get("minItems") == field.get("maxItems", 0):
        return "[" + ", ".join([_kind(field["items"])] * field["minItems"]) + "]"
    return f"list of {_kind(field['items'])}"


def _default(field: Schema) -> str:
    value = field["default"]
    if isinstance(value, list):
        return "`[" + ", ".join(map(str, value)) + "]`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _meaning(field: Schema) -> str:
    return str(field["description"]).replace("<", "&lt;").replace("|", "\\|")
