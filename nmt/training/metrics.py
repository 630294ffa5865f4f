"""metrics.jsonl: one JSON object per event, whole lines, nothing in it that depends on the clock."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from nmt.errors import UsageError

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
        """Open the file, without events after this update or a line torn by a crash: they come again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        side = self.path.with_name(f".{self.path.name}.partial")
        with side.open("wb") as file:
            file.writelines(_events_until(self.path, update))
        os.replace(side, self.path)
        with self.path.open("ab", buffering=0) as self.file:
            if self.mirror is None:
                yield
            else:
                self.mirror.begin(update)
                with closing(self.mirror):
                    yield

    def write(self, event: Event) -> None:
        """Append an event; what is no finite number becomes null, since JSON has no word for it."""
        line = json.dumps({key: _finite(value) for key, value in event.items()}, ensure_ascii=False)
        self.file.write(line.encode() + b"\n")
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

    def write(self, event: Event) -> None:
        """The first process has the same event."""

    def sync(self) -> None:
        """There is nothing to be lost."""


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


class Tensorboard:
    """A mirror that writes every number of an event to tensorboard, which is an extra."""

    def __init__(self, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError("tensorboard is not installed: pip install 'nmt[tensorboard]'") from error
        self.directory, self.make = str(directory), SummaryWriter

    def begin(self, update: int) -> None:
        """Forget what was written after this update."""
        self.writer = self.make(self.directory, purge_step=update + 1)

    def write(self, event: Event) -> None:
        """Write the numbers of an event."""
        for key, value in event.items():
            if isinstance(value, (int, float)) and key != "update":
                self.writer.add_scalar(f"{event['event']}/{key}", value, event["update"])

    def close(self) -> None:
        """Write out what is left."""
        self.writer.close()
