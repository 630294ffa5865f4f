"""The log of a run: metrics.jsonl, times.jsonl, and external loggers."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import FileIO
from pathlib import Path
from typing import Protocol

from nmt.errors import UsageError, report_missing_packages
from nmt.files import atomic_file
from nmt.untrusted_files import LOG_BYTES, open_regular

PROJECT = "nmt"

Value = float | int | str | bool | None
Event = Mapping[str, Value]


class Logger(Protocol):
    """An external logger that receives a copy of every event."""

    def begin(self, update: int) -> None:
        """Start logging after this update."""

    def write(self, event: Event) -> None:
        """Log an event."""

    def close(self) -> None:
        """Flush and close."""


@dataclass
class MetricsLog:
    """A log to which events are appended. After a resume the file equals that of an uninterrupted run.

    Without a path (in all processes but the first) nothing is written.
    """

    path: Path | None
    logger: Logger | None = None

    @contextmanager
    def open(self, update: int) -> Iterator[None]:
        """Open the files without events after this update and truncated lines: these are repeated."""
        with ExitStack() as stack:
            if self.path is not None:
                self.file = stack.enter_context(_open_after(self.path, update))
                self.times = stack.enter_context(_open_after(times_path(self.path), update))
            if self.logger is not None:
                self.logger.begin(update)
                stack.enter_context(closing(self.logger))
            yield

    def write(self, event: Event, seconds: float | None = None) -> None:
        """Append an event; with the seconds of training so far, also to times.jsonl.

        NaN and infinity become null, since JSON cannot express them.
        """
        if self.path is None:
            return
        _append(self.file, event)
        if seconds is not None:
            position = {"event": event["event"], "update": event["update"]}
            _append(self.times, {**position, "seconds": round(seconds, 3), "clock": round(time.time(), 3)})
        if self.logger is not None:
            self.logger.write(event)

    def sync(self) -> None:
        """Flush to disk: a checkpoint must not be newer than the log."""
        if self.path is not None:
            os.fsync(self.file.fileno())


def times_path(metrics: Path) -> Path:
    """Return the path of the times that belong to a file of metrics."""
    return metrics.with_name("times.jsonl")


@contextmanager
def _open_after(path: Path, update: int) -> Iterator[FileIO]:
    """Open a file of events for appending, without the events after `update`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        open_regular(path, LOG_BYTES).close()  # refuse a pipe or a directory
    with atomic_file(path) as side, side.open("wb") as file:
        file.writelines(_lines_until(path, update))
    with path.open("ab", buffering=0) as stream:
        yield stream


def _append(file: FileIO, event: Event) -> None:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in event.items()
    }
    file.write(json.dumps(finite, ensure_ascii=False).encode() + b"\n")


def _lines_until(path: Path, update: int) -> Iterator[bytes]:
    """Yield the events up to an update, or to a truncated line."""
    if not os.path.lexists(path):
        return
    with open_regular(path, LOG_BYTES) as file:
        for line in file:
            try:
                if not line.endswith(b"\n") or int(json.loads(line)["update"]) > update:
                    return
            except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
                return
            yield line


def build_logger(name: str, run: Path) -> Logger:
    """Return the logger of that name for a run; UsageError or MissingPackage if there is none."""
    if name not in LOGGERS:
        raise UsageError(f"--log-to: no '{name}', choose one of {', '.join(LOGGERS)}")
    return LOGGERS[name](run)


def numeric_values(event: Event) -> dict[str, float]:
    """Return the numbers of an event by names such as `validation/bleu`."""
    return {
        f"{event['event']}/{key}": value
        for key, value in event.items()
        if isinstance(value, (int, float)) and key != "update"
    }


class TensorBoardLogger:
    """A logger of every number for TensorBoard, into a directory of the run."""

    def __init__(self, run: Path) -> None:
        with report_missing_packages():
            from torch.utils.tensorboard import SummaryWriter
        self.directory, self.make_writer = str(run / "tensorboard"), SummaryWriter

    def begin(self, update: int) -> None:
        """Purge the events after this update."""
        self.writer = self.make_writer(self.directory, purge_step=update + 1)

    def write(self, event: Event) -> None:
        for name, value in numeric_values(event).items():
            self.writer.add_scalar(name, value, event["update"])

    def close(self) -> None:
        self.writer.close()


class TrackerLogger:
    """A logger of every number to a library with the interface of wandb: init, log, finish.

    A resumed run keeps its identity. Updates repeated after a crash are sent twice, with the same numbers.
    """

    def __init__(self, library: str, identity: Callable[[Path], Mapping[str, str]], run: Path) -> None:
        """Take a function `identity` from a run to further keywords of `init` that identify it."""
        with report_missing_packages():
            self.library = import_module(library)
        self.name, self.identity = run.resolve().name, identity(run)

    def begin(self, update: int) -> None:
        """Start or resume the run."""
        self.library.init(project=PROJECT, name=self.name, resume="allow", **self.identity)

    def write(self, event: Event) -> None:
        self.library.log(numeric_values(event), step=event["update"])

    def close(self) -> None:
        self.library.finish()


LOGGERS: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "trackio": partial(TrackerLogger, "trackio", lambda _: {}),
    "wandb": partial(
        TrackerLogger,
        "wandb",
        lambda run: {"id": hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]},
    ),
}
