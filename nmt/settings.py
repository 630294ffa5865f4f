"""The base class of components' settings, and the kinds of value that a setting can have.

A component declares its settings as a frozen dataclass derived from `Settings`, with defaults and a docstring
under each field; the recipe is the tree of these. Nothing here imports pydantic: pydantic calls the
markers below when it validates a recipe.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from annotated_types import Ge, Gt, Le, Lt

from nmt.errors import UnknownName, suggestion

CoreSchema = Any  # pydantic's description of a validator, as a plain dictionary
Conflict = tuple[str, str]
"""The path of a setting within its section (`layers`, `dropout.word`), and the reason for the conflict."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a component: a section of the recipe."""

    def conflicts(self) -> Iterator[Conflict]:
        """Yield the settings that are valid one by one but cannot be combined."""
        return iter(())


Probability = Annotated[float, Ge(0.0), Lt(1.0)]
Share = Annotated[float, Ge(0.0), Le(1.0)]
Fraction = Annotated[float, Gt(0.0), Lt(1.0)]
# Bounds far beyond any use, within which no type and no allocation overflows.
Number = Annotated[float, Ge(-1e38), Le(1e38)]
Weight = Annotated[float, Ge(0.0), Le(1e38)]
Positive = Annotated[float, Gt(0.0), Le(1e38)]
Count = Annotated[int, Ge(1), Le(1_000_000_000)]
CountOrZero = Annotated[int, Ge(0), Le(1_000_000_000)]
Width = Annotated[int, Ge(1), Le(1_000_000)]
"""The size of a vector; whether a model fits into memory is checked before it is built."""
Depth = Annotated[int, Ge(1), Le(128)]
"""A number of layers."""
ProcessCount = Annotated[int, Ge(1), Le(1024)]
"""A number of processes or threads."""


@dataclass(frozen=True)
class Duration:
    """A length of training: `10e` is ten epochs, `5000u` five thousand updates, `30m` half an hour."""

    count: float
    unit: Literal["e", "u", "m"]

    def __str__(self) -> str:
        count = int(self.count) if self.count == int(self.count) else self.count
        return f"{count}{self.unit}"

    def in_updates(self, per_epoch: float) -> float:
        """Return the number of updates; infinity for minutes, whose updates are not known in advance."""
        return self.count * {"u": 1.0, "e": per_epoch, "m": math.inf}[self.unit]


DURATION_EXAMPLES = {"e": "10e", "u": "5000u", "m": "30m"}
"""A duration in each unit."""


@dataclass(frozen=True)
class Units:
    """Marker of a `Duration` setting: the units that it accepts."""

    units: str
    names: str
    zero: bool = False

    def parse(self, value: Any) -> Duration:
        """Read a duration; ValueError for anything else."""
        match = re.fullmatch(self.pattern, str(value)) if isinstance(value, (str, Duration)) else None
        if match is None:
            *others, last = (DURATION_EXAMPLES[unit] for unit in self.units)
            raise ValueError(f"expected {self.names}, such as {', '.join(others)} or {last}")
        if match[3] == "u" and match[2]:
            raise ValueError("expected a whole number of updates")
        duration = Duration(float(match[1]), cast(Literal["e", "u", "m"], match[3]))
        if not duration.count and not self.zero:
            raise ValueError("expected a duration longer than zero")
        return duration

    @property
    def pattern(self) -> str:
        """The regular expression that editors check."""
        return rf"^([0-9]{{1,12}}(\.[0-9]+)?)([{self.units}])$"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": self.parse},
            "json_schema_input_schema": {"type": "str", "pattern": self.pattern},
            "serialization": {"type": "to-string"},
        }


# Settings that affect the weights must end at the same update in every run, so minutes are excluded.
Interval = Annotated[Duration, Units("eu", "epochs or updates")]
IntervalOrZero = Annotated[Duration, Units("eu", "epochs or updates", zero=True)]
TimedInterval = Annotated[Duration, Units("eum", "epochs, updates or minutes")]


@dataclass(frozen=True)
class OneOf:
    """Marker of a setting whose value is a name of a table, or text that matches `pattern`.

    The table is given as a function, since it is defined below the settings of its classes. Names in
    `deprecated` are accepted but not documented.
    """

    table: Callable[[], Collection[str]]
    pattern: str | None = None
    deprecated: tuple[str, ...] = ()

    def check(self, name: str) -> str:
        """Return the name if it is valid; UnknownName with a suggestion otherwise."""
        names = list(self.table())
        if name in names or name in self.deprecated or (self.pattern and re.fullmatch(self.pattern, name)):
            return name
        raise UnknownName(f"no '{name}', {suggestion(name, names)}")

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        checked = {"type": "no-info", "function": self.check}
        return {"type": "function-after", "function": checked, "schema": {"type": "str"}}

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        names = {"type": "string", "enum": list(self.table())}
        if not self.pattern:
            return names
        return {"anyOf": [names, {"type": "string", "pattern": f"^{self.pattern}$"}]}  # editors search


@dataclass(frozen=True)
class ByShape:
    """Marker of a union of one value and lists: it is validated as the one that its shape matches.

    `shapes` names the members in the order of the union: "one", "list", "sections" (a list of sections).
    """

    shapes: tuple[Literal["one", "list", "sections"], ...] = ("one", "list")

    def shape(self, value: Any) -> str:
        """Return the member of the union that a value is validated as."""
        if not isinstance(value, list):
            return "one"
        sections = any(isinstance(entry, dict | Settings) for entry in value)
        return "sections" if sections and "sections" in self.shapes else "list"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        members = dict(zip(self.shapes, handler(source)["choices"], strict=True))
        return {"type": "tagged-union", "choices": members, "discriminator": self.shape}
