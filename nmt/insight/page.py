"""A sentence seen from inside as one page for a browser, which needs nothing else (the folder browser)."""

import json
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from torch import Tensor

from nmt.insight.sentence import Recurrence, Sentence, ends, outside

SCRIPTS = ("elements.js", "heat_map.js", "words.js", "recurrences.js", "beam.js", "start.js")
"""In the order in which they need each other."""
PACKED = 500_000
"""Characters that the values of all units may take, so that a page stays well under a megabyte."""
UNITS = 256
"""Units of a layer that are drawn at most; a row of pixels for each is as much as a screen can show."""
LEVELS = 255
"""Steps of a value between the least and the greatest that its picture has."""


def page(found: Sentence, name: str) -> str:
    """The page of a sentence; `name` says whose translation it is."""
    html, css = _read("page.html"), _read("page.css")
    # A sentence may hold "</script>": without the signs that begin markup it cannot end the data.
    data = json.dumps(_data(found, name), ensure_ascii=False).replace("<", "\\u003c")
    before, after = html.split("/* data */")
    return before.replace("/* css */", css) + data + after.replace("/* js */", "\n".join(map(_read, SCRIPTS)))


def _read(file: str) -> str:
    return (files("nmt.insight") / "browser" / file).read_text(encoding="utf-8")


def _data(found: Sentence, name: str) -> dict[str, Any]:
    units = _most_units(found.recurrences)
    packed = [_packed(one, units) for one in found.recurrences]
    return {"name": name, **outside(found), "recurrences": packed}


def _most_units(recurrences: Sequence[Recurrence]) -> int:
    """How many units of each recurrence the page has room for."""
    numbers = sum(len(value) for one in recurrences for value in one.values.values())
    return max(1, min(UNITS, PACKED * 3 // 4 // max(numbers, 1)))


def _packed(one: Recurrence, most: int) -> dict[str, Any]:
    shown = one.varying[:most].sort().values
    return {
        "title": one.title,
        "side": one.side,
        "cell": one.cell,
        "hidden": one.values["h"].shape[1],
        "units": shown.tolist(),
        "unnamed": one.unnamed,
        "equations": one.equations,
        "series": [
            {"name": name, "gate": name in one.gates, **pack(value[:, shown])}
            for name, value in one.values.items()
        ],
    }


def pack(values: Tensor) -> dict[str, Any]:
    """values [T, U] as a byte each, unit by unit, with what 0 and 255 stand for."""
    low, high = ends(values)
    levels = ((values.t().double() - low) / (high - low) * LEVELS).round().byte().contiguous()
    return {"low": low, "high": high, "data": b64encode(levels.numpy().tobytes()).decode()}
