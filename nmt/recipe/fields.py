"""The kinds of value a setting can have, each with its check and its place in the JSON Schema."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeVar, cast, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue as Json
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Conflict = tuple[str, str]
"""A path within a section (`layers`, `dropout.word`), and why its value does not fit the others."""


class Section(BaseModel):
    """A part of the recipe: unknown keys and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def conflicts(self) -> Iterator[Conflict]:
        """Settings that are right one by one and do not fit together (looked for once each is right)."""
        return iter(())

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = list(self.conflicts())
        if found:
            text = "; ".join(f"{path}: {what}" for path, what in found)
            raise PydanticCustomError("conflicts", "{text}", {"text": text, "found": found})
        return self

    @classmethod
    def sections(cls) -> "dict[str, type[Section]]":
        """The fields that are sections themselves."""
        return {
            name: kind for name, field in cls.model_fields.items() if (kind := _section(field.annotation))
        }

    @classmethod
    def entries(cls) -> "dict[str, type[Section]]":
        """The fields that may be a list of sections."""
        return {name: kind for name, field in cls.model_fields.items() if (kind := _entry(field.annotation))}


def _entry(kind: Any) -> "type[Section] | None":
    """The section that a type holds a list of, as it is or as one of several choices."""
    for inner in get_args(kind):
        found = _section(inner) if get_origin(kind) is list else _entry(inner)
        if found:
            return found
    return None


def _section(kind: Any) -> type[Section] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


@dataclass(frozen=True)
class Duration:
    """A stretch of training: `10e` is ten epochs, `5000u` five thousand updates, `30m` half an hour."""

    count: float
    unit: Literal["e", "u", "m"]

    def __str__(self) -> str:
        count = int(self.count) if self.count == int(self.count) else self.count
        return f"{count}{self.unit}"


EXAMPLES = {"e": "10e", "u": "5000u", "m": "30m"}
"""How durations are written, by unit."""


@dataclass(frozen=True)
class Units:
    """Marks a duration, and says in which units it is given."""

    units: str
    names: str

    def read(self, value: Any) -> Duration:
        if isinstance(value, Duration) and value.unit in self.units:
            return value
        match = re.fullmatch(self.pattern, str(value)) if isinstance(value, (str, Duration)) else None
        if match is None:
            *some, last = (EXAMPLES[unit] for unit in self.units)
            text = f"expected {self.names}, like {', '.join(some)} or {last}"
            raise PydanticCustomError("expected", "{text}", {"text": text})
        if match[3] == "u" and match[2]:
            raise PydanticCustomError("expected", "expected a whole number of updates")
        return Duration(float(match[1]), cast(Literal["e", "u", "m"], match[3]))

    @property
    def pattern(self) -> str:
        return rf"^([0-9]{{1,12}}(\.[0-9]+)?)([{self.units}])$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read,
            json_schema_input_schema=core_schema.str_schema(pattern=self.pattern),
            serialization=core_schema.to_string_ser_schema(),
        )


def _lasting(duration: Duration) -> Duration:
    if not duration.count:
        raise PydanticCustomError("expected", "expected a stretch longer than nothing")
    return duration


Steady = Annotated[Duration, Units("eu", "epochs or updates")]
"""What decides on what is learnt must end at the same update in every run: no minutes."""
Stretch = Annotated[Steady, AfterValidator(_lasting)]
TimedStretch = Annotated[Duration, Units("eum", "epochs, updates or minutes"), AfterValidator(_lasting)]


def known_names(module: str, table: str) -> list[str]:
    """The names a choice offers, read from the table that stands beside its classes."""
    return list(getattr(importlib.import_module(module), table))


def suggestion(name: str, names: list[str]) -> str:
    """`did you mean 'lstm'?`, or all the names when none of them is near."""
    near = get_close_matches(name, names, n=1)
    return f"did you mean '{near[0]}'?" if near else "choose one of " + ", ".join(names)


@dataclass(frozen=True)
class Choice:
    """Marks a field whose value names an entry of a table in a module, or is one of `others`."""

    module: str
    table: str
    others: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names that the field accepts."""
        return [*known_names(self.module, self.table), *self.others]

    def check(self, name: str) -> str:
        names = self.names
        if name in names:
            return name
        raise PydanticCustomError("choice", "{text}", {"text": f"no '{name}', {suggestion(name, names)}"})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        return {"type": "string", "enum": self.names}


CELL_FILE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")
"""A cell of the user's own: the file and the class in it."""


class CellChoice(Choice):
    """Names a cell of the table, or a class in a file: `my_cells.py:MyCell`."""

    def check(self, name: str) -> str:
        return name if CELL_FILE.fullmatch(name) else super().check(name)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        named = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [named, {"type": "string", "pattern": r"^.+\.py:\w+$"}]}


def _shape(value: Any) -> Literal["one", "list"]:
    return "list" if isinstance(value, list) else "one"


def _shape_or_entries(value: Any) -> Literal["one", "list", "entries"]:
    if isinstance(value, list) and any(isinstance(entry, dict | Section) for entry in value):
        return "entries"
    return _shape(value)


def _named_or_numbered(value: Any) -> Literal["name", "number"]:
    return "number" if isinstance(value, str) and ":" in value else "name"


Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
DeviceName = Annotated[
    Annotated[Literal["auto", "cpu", "cuda"], Tag("name")]
    | Annotated[str, Field(pattern=r"^cuda:[0-9]{1,3}$"), Tag("number")],
    Discriminator(_named_or_numbered),
]
CellName = Annotated[str, CellChoice("nmt.cells", "CELLS")]
Cells = Annotated[
    Annotated[CellName, Tag("one")] | Annotated[list[CellName], Tag("list")],
    Discriminator(_shape),
]
TwoFiles = Annotated[list[str], Field(min_length=2, max_length=2)]
Pair = Annotated[Annotated[str, Tag("one")] | Annotated[TwoFiles, Tag("list")], Discriminator(_shape)]

EntryT = TypeVar("EntryT", bound=Section)
PairOr = Annotated[
    Annotated[str, Tag("one")] | Annotated[TwoFiles, Tag("list")] | Annotated[list[EntryT], Tag("entries")],
    Discriminator(_shape_or_entries),
]
