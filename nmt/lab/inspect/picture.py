"""A sentence seen from inside as a picture that stands still."""

from pathlib import Path

from torch import Tensor

from nmt.lab.figure import Map, draw_maps
from nmt.lab.inspect.sentence import Recurrence, Sentence, ends


def draw_sentence(path: Path, found: Sentence, kind: str | None = None) -> None:
    """Attention above, then a row for each recurrence: its gates and states, the units that vary most first.

    Raises UsageError as `figure.draw` does.
    """
    written = [word.piece for word in found.words]
    rows = {
        f"{one.title} ({one.cell})": _maps(one, found.source if one.side == "encoder" else written)
        for one in found.recurrences
    }
    if found.attention is not None:
        rows = {"attention": [Map("", found.attention.tolist(), written, found.source, 0.0, 1.0)], **rows}
    draw_maps(path, rows, title=f"{found.text} → {found.translation}", kind=kind)


def _maps(one: Recurrence, columns: list[str]) -> list[Map]:
    order = one.varying
    return [_map(name, value[:, order], columns) for name, value in one.values.items()]


def _map(name: str, values: Tensor, columns: list[str]) -> Map:
    return Map(name, values.t().tolist(), [], columns, *ends(values))
