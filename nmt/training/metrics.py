"""metrics.jsonl: one JSON object per event, whole lines, nothing in it that depends on the clock.

What does is beside it in times.jsonl: when an event was written, and after how many seconds of learning.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from io import FileIO
from pathlib import Path
from typing import Protocol

from nmt.data.whole import written_whole

Value = float | int | str | bool | None
Event = Mapping[str, Value]


class Mirror(Protocol):
    """Where events are written a second time."""

    def begin(self, update: int) -> None:
        """Events follow, beginning after this update."""

    def write(self, event: Event) -> None:
        """Take an event."""

    def close(self) -> None:
        """No event follows."""


class Metrics:
    """Appends events to a file. A resumed run's file equals that of a run never stopped."""

    def __init__(self, path: Path, mirror: Mirror | None = None) -> None:
        self.path, self.mirror = path, mirror

    @contextmanager
    def recording(self, update: int) -> Iterator[None]:
        """Open the files, without events after this update or a line torn by a crash: they come again."""
        with (
            _continued(self.path, update) as self.file,
            _continued(times_file(self.path), update) as self.times,
        ):
            if self.mirror is None:
                yield
            else:
                self.mirror.begin(update)
                with closing(self.mirror):
                    yield

    def write(self, event: Event, seconds: float | None = None) -> None:
        """Append an event, after so many seconds of learning.

        What is no finite number becomes null, since JSON has no word for it.
        """
        _append(self.file, event)
        if seconds is not None:
            place = {"event": event["event"], "update": event["update"]}
            _append(self.times, {**place, "seconds": round(seconds, 3), "clock": round(time.time(), 3)})
        if self.mirror is not None:
            self.mirror.write(event)

    def sync(self) -> None:
        """Make all events durable: a checkpoint must not know more than the file."""
        os.fsync(self.file.fileno())


class NoMetrics(Metrics):
    """Those of a process that is not the first: it writes nothing."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull))

    @contextmanager
    def recording(self, update: int) -> Iterator[None]:
        """No file is opened."""
        yield

    def write(self, event: Event, seconds: float | None = None) -> None:
        """The first process has the same event."""

    def sync(self) -> None:
        """There is nothing to be lost."""


def times_file(metrics: Path) -> Path:
    """The file of times that stands beside one of metrics."""
    return metrics.with_name("times.jsonl")


@contextmanager
def _continued(path: Path, update: int) -> Iterator[FileIO]:
    """A file of events, open behind the last one of `update`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as aside, aside.open("wb") as file:
        file.writelines(_events_until(path, update))
    with path.open("ab", buffering=0) as stream:
        yield stream


def _append(file: FileIO, event: Event) -> None:
    line = json.dumps({key: _finite(value) for key, value in event.items()}, ensure_ascii=False)
    file.write(line.encode() + b"\n")


def _events_until(path: Path, update: int) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            made = _update_of(line)
            if made is None or made > update:
                return
            yield line


def _update_of(line: bytes) -> int | None:
    """The update of an event; None for a torn line."""
    if not line.endswith(b"\n"):
        return None
    try:
        return int(json.loads(line)["update"])
    except (ValueError, KeyError, TypeError):
        return None


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value
