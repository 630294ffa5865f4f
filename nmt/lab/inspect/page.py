"""A sentence seen from inside as one page for a browser, which needs nothing else (the folder browser)."""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from nmt.lab.inspect import packing
from nmt.lab.inspect.sentence import Recurrence, Sentence, first

SCRIPTS = ("unpacking.js", "elements.js", "heat_map.js", "words.js", "recurrences.js", "beam.js", "start.js")
"""In the order in which they need each other."""
MOST = 1_000_000
"""Bytes that a page stays under, however long the sentence."""
PACKED = 500_000, 200_000
"""Characters that the values of all units may take, and those that they may take of a long sentence."""
UNITS = 256
"""Units of a layer that are drawn at most; a row of pixels for each is as much as a screen can show."""
NUMBER = 6
"""Characters of the number of a unit."""
LETTERS = 2_000
"""Of a text that are shown: a single unknown piece may have any number of them."""


def page(found: Sentence, name: str) -> str:
    """The page of a sentence; `name` says whose translation it is.

    Of a sentence that is too long for it, it has the first positions, and says so.
    """
    positions = max(len(found.source), len(found.words))
    while True:
        text = _page(found, first(found, positions), name)
        if len(text.encode()) < MOST or positions == 1:
            return text
        positions = positions * 7 // 8


def _page(found: Sentence, shown: Sentence, name: str) -> str:
    html, css = _read("page.html"), _read("page.css")
    before, after = html.split("/* data */")
    frame = before.replace("/* css */", css), after.replace("/* js */", "\n".join(map(_read, SCRIPTS)))
    outside = _outside(found, shown, name)
    room = MOST - sum(len(part.encode()) for part in (*frame, _json(outside)))
    return _json({**outside, "recurrences": _recurrences(shown.recurrences, room)}).join(frame)


def _read(file: str) -> str:
    return (files("nmt.lab.inspect") / "browser" / file).read_text(encoding="utf-8")


def _json(data: object) -> str:
    # A sentence may hold "</script>": without the signs that begin markup it cannot end the data.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _outside(found: Sentence, shown: Sentence, name: str) -> dict[str, Any]:
    """Everything but the recurrences; counts and sums are those of the whole sentence."""
    return {
        "name": _beginning(name),
        "text": _beginning(found.text),
        "translation": _beginning(found.translation),
        "score": found.score,
        "log_prob": found.log_prob,
        "read": len(found.source),
        "written": len(found.words),
        "source": shown.source,
        "words": [packing.word(word) for word in shown.words],
        "attention": None if shown.attention is None else packing.thousandths(shown.attention),
        "beam": packing.beam(shown.beam, shown.spelling),
    }


def _beginning(text: str) -> str:
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"


def _recurrences(recurrences: Sequence[Recurrence], room: int) -> list[dict[str, Any]]:
    """All of them, with as many units of each as there are characters for."""
    alone = len(_json([_packed(one, 1) for one in recurrences]).encode())
    alone += len(recurrences) * UNITS * NUMBER
    most, least = PACKED
    units = _most_units(recurrences, min(most, max(least, room - alone)))
    return [_packed(one, units) for one in recurrences]


def _most_units(recurrences: Sequence[Recurrence], room: int) -> int:
    numbers = sum(len(value) for one in recurrences for value in one.values.values())
    return max(1, min(UNITS, room * 3 // 4 // max(numbers, 1)))


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
            {"name": name, "gate": name in one.gates, **packing.levels(value[:, shown])}
            for name, value in one.values.items()
        ],
    }
