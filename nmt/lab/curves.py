"""What a run's metrics.jsonl and times.jsonl say, as lines over updates, epochs or seconds."""

import json
import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nmt.errors import DataError, UsageError
from nmt.lab.figure import Line
from nmt.training.logging import times_path

Event = Mapping[str, Any]

AXES = ("update", "epoch", "seconds")
USUAL = ("loss", "bleu", "learning_rate")
"""What is drawn unless something else is asked for, of what there is."""
KINDS = {"update": "training", "validation": "validation", "gates": "gates"}


def read_events(run: Path) -> list[Event]:
    """All events of a run, in order; UsageError if there are none, DataError for a damaged file.

    A last line that is torn is of a run that is being written, or was killed: it is passed over.
    """
    path = run / "metrics.jsonl"
    if not path.is_file():
        raise UsageError(f"{run} holds no metrics.jsonl: is it the directory of a run that has begun?")
    return _read(path)


def _read(path: Path) -> list[Event]:
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        return [_event(line) for line in lines]
    except ValueError:
        number = next(i for i, line in enumerate(lines, 1) if not _whole(line))
        raise DataError(f"{path}, line {number}: not an event, so the file is damaged") from None


def _event(line: bytes) -> Event:
    event = json.loads(line)
    if not (isinstance(event, dict) and isinstance(event.get("event"), str) and "update" in event):
        raise ValueError("not an event")
    return event


def _whole(line: bytes) -> bool:
    try:
        return bool(_event(line))
    except ValueError:
        return False


def with_seconds(run: Path, events: Sequence[Event]) -> list[Event]:
    """The events, each with its seconds of learning (NaN where none are known)."""
    path = times_path(run / "metrics.jsonl")
    if not path.is_file():
        raise UsageError(f"{run} holds no times.jsonl; draw it over update or epoch")
    known = {(time["event"], time["update"]): time.get("seconds") for time in _read(path)}
    return [{"seconds": known.get((e["event"], e["update"]), math.nan), **e} for e in events]


def series(
    events: Sequence[Event], kind: str, metric: str, x: str = "update"
) -> tuple[list[float], list[float]]:
    """The places on x and the values of a metric in the events of a kind; what was no number is NaN."""
    chosen = [event for event in events if event["event"] == kind and metric in event]
    numbers = [(event.get(x), event[metric]) for event in chosen]
    return [_number(place) for place, _ in numbers], [_number(value) for _, value in numbers]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def curves(runs: Sequence[Path], metrics: Sequence[str], x: str) -> dict[str, list[Line]]:
    """The lines of several runs by metric (the usual ones, if none are named), ready to be drawn.

    Raises UsageError for a metric that no run has, or another x than update, epoch and seconds.
    """
    if x not in AXES:
        raise UsageError(f"--against: no '{x}', choose one of {', '.join(AXES)}")
    events = {str(run): read_events(run) for run in runs}
    if x == "seconds":
        events = {name: with_seconds(Path(name), of_run) for name, of_run in events.items()}
    there = _metrics([event for of_run in events.values() for event in of_run])
    if not there:
        raise DataError(f"nothing is measured yet in {', '.join(events)}")
    for metric in metrics:
        if metric not in there:
            near = get_close_matches(metric, there, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "there are " + ", ".join(there)
            raise UsageError(f"--metric: no '{metric}' in these runs; {hint}")
    chosen = metrics or [metric for metric in USUAL if metric in there]
    return {metric: _lines(events, metric, x) for metric in chosen}


def _metrics(events: Sequence[Event]) -> list[str]:
    """What the events have numbers of."""
    found = {key for event in events for key, value in event.items() if type(value) in (int, float)}
    return sorted(found - {*AXES})


def _lines(events: Mapping[str, Sequence[Event]], metric: str, x: str) -> list[Line]:
    """A line for training and one for validation, of every run that has it."""
    found = []
    for run, of_run in events.items():
        for kind, name in KINDS.items():
            places, values = series(of_run, kind, metric, x)
            if values:
                found.append(Line(f"{run}, {name}" if len(events) > 1 else name, places, values))
    return found
