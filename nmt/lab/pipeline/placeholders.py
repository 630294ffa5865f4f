"""The placeholders of a pipeline: names in braces, which are replaced by values.

`{metric}` is replaced by the value of a parameter, `{seeds[0]}` and `{seeds[1:]}` by items of a list, and
`{round-1}` by a number. A word with a list is repeated for each of its items. So is a step whose name has
one, and in its command the list is the item.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from nmt.errors import suggestion

PLACEHOLDER = re.compile(
    r"\{(?P<name>[A-Za-z_]\w*)(?P<add>[+-]\d+)?(\[(?P<first>\d*)(?P<colon>:?)(?P<last>\d*)\])?\}"
)
PREDEFINED = ("here", "src", "tgt", "train", "valid", "test")
"""Names whose values are the pipeline's directory, and the languages and files of its first recipe."""
Values = Mapping[str, Any]
"""The value of each name: a scalar or a list of scalars."""


def expand_name(name: str, values: Values) -> Iterator[tuple[str, Values]]:
    """Yield the name of a step for each item of the lists in it, with the values for its command."""
    lists = [
        match["name"] for match in PLACEHOLDER.finditer(name) if isinstance(values.get(match["name"]), list)
    ]
    lists = list(dict.fromkeys(lists))
    for items in product(*(values[one] for one in lists)):
        bound = {**values, **dict(zip(lists, items, strict=True))}
        [expanded] = expand_word(name, bound)
        yield expanded, bound


def expand_word(word: str, values: Values) -> list[str]:
    """Replace the placeholders; a word with a list is repeated for each item. ValueError if one is wrong."""
    found = {match[0]: _find_value(match, values) for match in PLACEHOLDER.finditer(word)}
    lists = [value for value in found.values() if isinstance(value, list)]
    if len({len(value) for value in lists}) > 1:
        raise ValueError(f"'{word}' has lists of different lengths")
    count = len(lists[0]) if lists else 1

    return [
        PLACEHOLDER.sub(lambda match: _format_item(found[match[0]], index), word)  # noqa: B023
        for index in range(count)
    ]


def _format_item(value: Any, index: int) -> str:
    """Format a scalar, or an item of a list."""
    item = value[index] if isinstance(value, list) else value
    return str(item).lower() if isinstance(item, bool) else str(item)


def _find_value(match: re.Match[str], values: Values) -> Any:
    name = match["name"]
    if name not in values:
        if name in PREDEFINED:
            raise ValueError(
                f"{match[0]} needs a recipe whose data.{name} is one corpus that exists: set data.{name}"
            )
        raise ValueError(f"no recipe, file or parameter '{name}', {suggestion(name, list(values))}")
    value = values[name]
    if match["first"] is not None:
        if not isinstance(value, list):
            raise ValueError(f"{match[0]}: {name} is not a list here")
        first, last = (int(text) if text else None for text in (match["first"], match["last"]))
        if match["colon"]:
            value = value[first:last]
        elif first is None or first >= len(value):
            raise ValueError(f"{match[0]}: {name} has {len(value)} items")
        else:
            value = value[first]
    if match["add"]:
        if isinstance(value, list) or not isinstance(value, int):
            raise ValueError(f"{match[0]}: {name} is not a whole number here")
        value += int(match["add"])
    return value
