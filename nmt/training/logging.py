"""The log of a run: metrics.jsonl, times.jsonl, and external loggers."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Protocol

from nmt.errors import UsageError
from nmt.files import atomic_file

Value = float | int | str | bool | None
Event = Mapping[str, Value]


class Logger(Protocol):
    """Where events are written a second time."""

    def begin(self, update: int) -> None:
        """Events follow, beginning after this update."""

    def write(self, event: Event) -> None:
        """Take an event."""

    def close(self) -> None:
        """No event follows."""


class MetricsLog:
    """Appends events to a file. A resumed run's file equals that of a run never stopped."""

    def __init__(self, path: Path, build_logger: Logger | None = None) -> None:
        self.path, self.mirror = path, build_logger

    @contextmanager
    def recording(self, update: int) -> Iterator[None]:
        """Open the files, without events after this update or a line torn by a crash: they come again."""
        with (
            _continued(self.path, update) as self.file,
            _continued(times_path(self.path), update) as self.times,
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


class NullMetricsLog(MetricsLog):
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


def times_path(metrics: Path) -> Path:
    """The file of times that stands beside one of metrics."""
    return metrics.with_name("times.jsonl")


@contextmanager
def _continued(path: Path, update: int) -> Iterator[FileIO]:
    """A file of events, open behind the last one of `update`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as aside, aside.open("wb") as file:
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


PROJECT = "nmt"


def build_logger(name: str, run: Path) -> Logger:
    """The mirror of a name for a run; UsageError if there is none, or its library is not installed."""
    if name not in LOGGERS:
        raise UsageError(f"--log-to: no '{name}', choose one of {', '.join(LOGGERS)}")
    return LOGGERS[name](run)


def numeric_values(event: Event) -> dict[str, float]:
    """The numbers of an event, named as `validation/bleu`."""
    return {
        f"{event['event']}/{key}": value
        for key, value in event.items()
        if isinstance(value, (int, float)) and key != "update"
    }


class TensorBoardLogger:
    """Writes every number for tensorboard, into a folder of the run."""

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError("tensorboard is not installed: pip install 'nmt[tensorboard]'") from error
        self.directory, self.make = str(run / "tensorboard"), SummaryWriter

    def begin(self, update: int) -> None:
        """Forget what was written after this update."""
        self.writer = self.make(self.directory, purge_step=update + 1)

    def write(self, event: Event) -> None:
        """Write the numbers of an event."""
        for name, value in numeric_values(event).items():
            self.writer.add_scalar(name, value, event["update"])

    def close(self) -> None:
        """Write out what is left."""
        self.writer.close()


class TrackerLogger:
    """Sends every number to a library with wandb's three functions: init, log, finish.

    A run that goes on is the same run there. Updates that a crash made it learn twice are sent twice, with
    the same numbers.
    """

    def __init__(self, library: str, identity: Callable[[Path], Mapping[str, str]], run: Path) -> None:
        """`identity` is what the library knows the run by besides its name, as keywords of `init`."""
        try:
            self.library = import_module(library)
        except ImportError as error:
            raise UsageError(f"{library} is not installed: pip install {library}") from error
        self.name, self.identity = run.resolve().name, identity(run)

    def begin(self, update: int) -> None:
        """Begin the run, or go on with it."""
        self.library.init(project=PROJECT, name=self.name, resume="allow", **self.identity)

    def write(self, event: Event) -> None:
        """Send the numbers of an event."""
        self.library.log(numeric_values(event), step=event["update"])

    def close(self) -> None:
        """No number follows until the run goes on."""
        self.library.finish()


def _by_place(run: Path) -> Mapping[str, str]:
    """A name of its own for each run directory."""
    return {"id": hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]}


def _by_name(run: Path) -> Mapping[str, str]:
    return {}


LOGGERS: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "trackio": partial(TrackerLogger, "trackio", _by_name),
    "wandb": partial(TrackerLogger, "wandb", _by_place),
}
