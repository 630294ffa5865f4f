"""metrics.jsonl: one JSON object per event, whole lines, nothing in it that depends on the clock."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import UsageError

Value = float | int | str | bool | None
Event = Mapping[str, Value]
Mirror = Callable[[Event], None]


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
            yield

    def write(self, event: Event) -> None:
        """Append an event; what is no finite number becomes null, since JSON has no word for it."""
        line = json.dumps({key: _finite(value) for key, value in event.items()}, ensure_ascii=False)
        self.file.write(line.encode() + b"\n")
        if self.mirror is not None:
            self.mirror(event)

    def sync(self) -> None:
        """Make all events durable: a checkpoint must not know more than the file."""
        os.fsync(self.file.fileno())


def _events_until(path: Path, update: int) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n") or json.loads(line)["update"] > update:
                return
            yield line


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tensorboard(directory: Path, update: int) -> Mirror:
    """A mirror that writes every number of an event to tensorboard, beginning after an update."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("tensorboard is not installed: pip install 'nmt[tensorboard]'") from error
    writer = SummaryWriter(str(directory), purge_step=update + 1)

    def mirror(event: Event) -> None:
        for key, value in event.items():
            if isinstance(value, (int, float)) and key != "update":
                writer.add_scalar(f"{event['event']}/{key}", value, event["update"])

    return mirror
