"""A sentence trace as one self-contained HTML page (with the files of `browser/`) or as a picture.

The page's data are packed into few characters, which browser/unpacking.js unpacks.
"""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.errors import escape_controls
from nmt.files import check_writable, write_file
from nmt.lab.figure import HeatMap, draw_heat_maps
from nmt.lab.inspect.beam import BeamBranch
from nmt.lab.inspect.sentence import SentenceTrace, find_heat_map_range, truncate
from nmt.recurrence.recording import CellRecord

BROWSER_FILES = files("nmt.lab.inspect") / "browser"
FIGURE_MODULES = (
    *("language.js", "elements.js", "unpacking.js", "heat_map.js", "words.js", "recurrences.js", "beam.js"),
    "figures.js",
)
"""Modules that draw the figures, in the order of their dependencies."""
MODULE_SYNTAX = re.compile(r"^import .*\n|^export ", re.MULTILINE)
MAX_BYTES = 1_000_000  # maximum size of a page; longer sentences are truncated
VALUE_CHARACTERS, MIN_VALUE_CHARACTERS = 500_000, 200_000
"""Maximum number of characters for the values of all units, and minimum if the rest of the page is large."""
UNITS = 256  # of a layer that are drawn at most, one row of pixels each
UNIT_CHARACTERS = 6  # of a unit's number
TEXT_CHARACTERS = 2_000  # of a text that are shown: a single unknown token may be of any length
LEVELS = 255  # steps of a value between the ends of its colour scale
THOUSANDTHS = 1000  # steps of an attention weight between 0 and 1: the page shows three decimals
FATES = ("kept", "ended", "pruned")
FRAME_HEIGHT = 720  # pixels of a notebook's frame
DIGITS = 4  # decimals of log probabilities and scores, of which the page shows two


class SentencePage:
    """The page of a sentence that the model `name` translated, which a notebook shows inline."""

    def __init__(self, trace: SentenceTrace, name: str) -> None:
        self.trace, self.html = trace, format_sentence_page(trace, name)

    def __repr__(self) -> str:
        return f"{self.trace.text} → {self.trace.translation}"

    def _repr_html_(self) -> str:
        """Return a frame with the page: its styles and its script are its own."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(repr(self))}" '
            f'style="width: 100%; height: {FRAME_HEIGHT}px; border: 0"></iframe>'
        )

    def save(self, path: str | Path) -> None:
        """Write the page to a file."""
        file = Path(path)
        check_writable(file)
        write_file(file, self.html.encode())


def format_sentence_page(trace: SentenceTrace, name: str) -> str:
    """Write the page of a sentence that the model `name` translated.

    A sentence that is too long for MAX_BYTES is cut to its first positions, which the page reports.
    """
    frame = _read_frame()
    return _to_json(pack_trace(trace, name, MAX_BYTES - sum(len(part.encode()) for part in frame))).join(
        frame
    )


def pack_trace(trace: SentenceTrace, name: str, size: int = MAX_BYTES) -> dict[str, Any]:
    """Pack what the figures show, as JSON values of less than `size` bytes in all.

    A trace that is too long is cut to its first positions.
    """
    positions = max(len(trace.source), len(trace.words))
    while True:
        shown = truncate(trace, positions)
        data = _pack_output(trace, shown, name)
        packed = {**data, "recurrences": _pack_cells(shown.recurrences, size - len(_to_json(data).encode()))}
        if len(_to_json(packed).encode()) < size or positions == 1:
            return packed
        positions = positions * 7 // 8


def draw_sentence(path: Path, trace: SentenceTrace, kind: str | None = None) -> None:
    """Draw attention above, then a row of heat maps for each cell, the units that vary most first.

    Raises UsageError as `draw_heat_maps` does.
    """
    output = [word.piece for word in trace.words]
    rows = {
        f"{cell.path.title} ({cell.path.cell})": [
            HeatMap(
                name,
                value[:, _sort_units(cell)].t().tolist(),
                [],
                trace.source if cell.path.side == "encoder" else output,
                *find_heat_map_range(value),
            )
            for name, value in cell.values.items()
        ]
        for cell in trace.recurrences
    }
    if trace.attention is not None:
        attention = HeatMap("", trace.attention.tolist(), output, trace.source, 0.0, 1.0)
        rows = {"attention": [attention], **rows}
    draw_heat_maps(path, rows, title=f"{trace.text} → {trace.translation}", kind=kind)


def _read_frame() -> list[str]:
    """Return the page before and after its data."""
    html, script, css = (
        "\n".join((BROWSER_FILES / name).read_text(encoding="utf-8") for name in names)
        for names in (["page.html"], [*FIGURE_MODULES, "main.js"], ["figures.css", "page.css"])
    )
    script = '"use strict";\n' + MODULE_SYNTAX.sub("", script)  # the modules as one script
    digest = b64encode(sha256(script.encode()).digest()).decode()  # the browser runs this script and no other
    before, after = html.split("/* data */")
    before = before.replace("/* css */", css).replace("/* js hash */", digest)
    return [before, after.replace("/* js */", script)]


def _to_json(data: object) -> str:
    # A sentence may hold "</script>": without the characters that begin markup it cannot end the data.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return text.encode("utf-8", "backslashreplace").decode()  # lone surrogates


def _pack_output(trace: SentenceTrace, shown: SentenceTrace, name: str) -> dict[str, Any]:
    """Return all data but the cells; counts and sums are those of the untruncated sentence."""
    texts = {"name": escape_controls(name), "text": trace.text, "translation": trace.translation}
    return {
        **{
            key: text if len(text) <= TEXT_CHARACTERS else f"{text[: TEXT_CHARACTERS - 1]}…"
            for key, text in texts.items()
        },
        "score": trace.score,
        "log_prob": trace.log_prob,
        "read": len(trace.source),
        "written": len(trace.words),
        "source": shown.source,
        "words": [
            {
                "piece": word.piece,
                "log_prob": round(word.log_prob, DIGITS),
                "likeliest": [(piece, round(value, DIGITS)) for piece, value in word.likeliest],
            }
            for word in shown.words
        ],
        "attention": None if shown.attention is None else _pack_weights(shown.attention),
        "beam": _pack_beam(shown.beam, shown.spelling),
    }


def _pack_cells(cells: Sequence[CellRecord], free: int) -> list[dict[str, Any]]:
    """Return all cells, with as many units of each as there are characters for."""
    minimum = (
        len(_to_json([_pack_cell(cell, 1) for cell in cells]).encode()) + len(cells) * UNITS * UNIT_CHARACTERS
    )
    characters = min(VALUE_CHARACTERS, max(MIN_VALUE_CHARACTERS, free - minimum))
    values = sum(len(value) for cell in cells for value in cell.values.values())
    units = max(1, min(UNITS, characters * 3 // 4 // max(values, 1)))
    return [_pack_cell(cell, units) for cell in cells]


def _pack_cell(cell: CellRecord, units: int) -> dict[str, Any]:
    shown = _sort_units(cell)[:units].sort().values
    return {
        "title": cell.path.title,
        "side": cell.path.side,
        "cell": cell.path.cell,
        "hidden": cell.values["h"].shape[1],
        "units": shown.tolist(),
        "unnamed": cell.unnamed,
        "equations": cell.equations,
        "series": [
            {"name": name, "gate": name in cell.gates, **_pack_values(value[:, shown])}
            for name, value in cell.values.items()
        ],
    }


def _sort_units(cell: CellRecord) -> Tensor:
    """Order the units [H] by how much their h varies over the positions, descending."""
    return cell.values["h"].std(dim=0, correction=0).argsort(descending=True, stable=True)


def _pack_values(values: Tensor) -> dict[str, Any]:
    """Pack values [T, U] as one byte each, unit by unit, with the values that 0 and 255 represent."""
    low, high = find_heat_map_range(values)
    steps = ((values.t().double() - low) / (high - low) * LEVELS).round().byte()
    return {"low": low, "high": high, "data": _to_base64(steps)}


def _pack_weights(weights: Tensor) -> str:
    """Pack weights [T, S] from 0 to 1 as two bytes each, the lower first, row by row."""
    steps = weights.double().mul(THOUSANDTHS).round().long()
    return _to_base64(torch.stack([steps % 256, steps // 256], dim=-1).byte())


def _to_base64(values: Tensor) -> str:
    return b64encode(values.contiguous().numpy().tobytes()).decode()


def _pack_beam(branches: Sequence[BeamBranch], spelling: dict[int, str]) -> dict[str, Any]:
    """Pack branches as rows of numbers: tokens as indices in `pieces`, fates as indices in FATES."""
    indices = {piece: i for i, piece in enumerate(dict.fromkeys(branch.piece for branch in branches))}
    rows = [
        [
            *(branch.position, branch.parent, indices[branch.piece]),
            *(round(branch.log_prob, DIGITS), round(branch.total, DIGITS)),
            *(FATES.index(branch.fate), int(branch.best)),
            *([] if branch.score is None else [round(branch.score, DIGITS)]),
        ]
        for branch in branches
    ]
    return {"pieces": [spelling[piece] for piece in indices], "fates": FATES, "branches": rows}
