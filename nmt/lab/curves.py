"""Learning curves of runs, from metrics.jsonl and times.jsonl, over updates, epochs or seconds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.errors import DataError, UsageError, suggestion
from nmt.lab.figure import Curve
from nmt.training.logging import times_path
from nmt.untrusted_files import read_json_lines

Event = Mapping[str, Any]

AXES = ("update", "epoch", "seconds")
DEFAULT_METRICS = ("loss", "bleu", "learning_rate")
KINDS = {"validation": "validation", "update": "training"}
GATE_STATISTICS = ("mean", "open", "closed")
GATES = "gates"  # the event whose numbers are named `decoder.1.forward.f.mean`


def read_events(run: Path) -> list[Event]:
    """Read all events of a run; UsageError if there is no file, DataError for a damaged one.

    An incomplete last line, of a run that is in progress or was killed, is ignored.
    """
    path = run / "metrics.jsonl"
    if not path.is_file():
        raise UsageError(f"{run} has no metrics.jsonl: it is not a run directory, or the run has not started")
    return _read(path)


def _read(path: Path) -> list[Event]:
    events: list[Event] = []
    for number, event in read_json_lines(path):
        if not _is_event(event):
            raise DataError(f"{path}, line {number}: not an event; the file is damaged")
        events.append(event)
    return events


def _is_event(event: Any) -> bool:
    """Return True for what a run logs: the name of an event, its update, and plain values."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return False
    update = event.get("update")
    is_number = isinstance(update, int) and not isinstance(update, bool) and 0 <= update < 1 << 53
    return is_number and not any(isinstance(value, (dict, list)) for value in event.values())


def add_seconds(run: Path, events: Sequence[Event]) -> list[Event]:
    """Add the seconds of training to each event (NaN where unknown)."""
    path = times_path(run / "metrics.jsonl")
    if not path.is_file():
        raise UsageError(f"{run} has no times.jsonl; draw its curves against update or epoch")
    known = {(time["event"], time["update"]): time.get("seconds") for time in _read(path)}
    return [{"seconds": known.get((e["event"], e["update"]), math.nan), **e} for e in events]


def read_series(
    events: Sequence[Event], kind: str, metric: str, x: str = "update"
) -> tuple[list[float], list[float]]:
    """Return the x coordinates and the values of a metric in the events of a kind; NaN where not a number."""
    chosen = [event for event in events if event["event"] == kind and metric in event]
    return [_to_float(event.get(x)) for event in chosen], [_to_float(event[metric]) for event in chosen]


def _to_float(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def read_curves(runs: Sequence[Path], metrics: Sequence[str], x: str) -> dict[str, list[Curve]]:
    """Return the curves of several runs by metric (DEFAULT_METRICS if none are given).

    A run has one colour; of gates, those of a statistic share a panel.
    Raises UsageError for a metric that no run has, or another x than update, epoch and seconds.
    """
    if x not in AXES:
        raise UsageError(f"curves against: expected one of {', '.join(AXES)} (got '{x}')")
    events = {str(run): read_events(run) for run in runs}
    if x == "seconds":
        events = {name: add_seconds(Path(name), of_run) for name, of_run in events.items()}
    all_events = [event for of_run in events.values() for event in of_run]
    names = {key for event in all_events for key, value in event.items() if type(value) in (int, float)}
    available = sorted(names - {*AXES})
    if not available:
        raise DataError(f"no metrics have been logged yet in {', '.join(events)}")
    for metric in metrics:
        if metric not in available:
            raise UsageError(f"no metric '{metric}' in these runs, {suggestion(metric, available)}")
    panels: dict[str, list[Curve]] = {}
    for metric in metrics or [metric for metric in DEFAULT_METRICS if metric in available]:
        variable, _, statistic = metric.rpartition(".")
        for run, of_run in events.items():
            for kind, variant in KINDS.items():
                x_values, values = read_series(of_run, kind, metric, x)
                if values:
                    panels.setdefault(metric, []).append(Curve(run, x_values, values, None, variant))
            x_values, values = read_series(of_run, GATES, metric, x)
            if values:  # one axis for all that have this statistic
                curve = Curve(run, x_values, values, None, variable)
                curve = curve if len(events) > 1 else curve._replace(name=variable, variant="")
                subject = "gates" if statistic in GATE_STATISTICS else "states"
                panels.setdefault(f"{statistic} of {subject}", []).append(curve)
    return panels
