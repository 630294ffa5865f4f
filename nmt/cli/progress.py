"""Progress of long work: a line that is updated on a terminal, elsewhere a line every minute."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.status import Status

from nmt.console import format_clock, open_console
from nmt.errors import escape_controls

INTERVAL = 60.0
"""Seconds between two lines of progress."""
Clock = Callable[[], float]


def _open_stderr() -> Console:
    return open_console(sys.stderr, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _call_regularly(report: Callable[[], object]) -> Iterator[None]:
    """Call a function in a thread at every INTERVAL while a block runs."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(INTERVAL):
            report()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def spinner(text: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Show on stderr that a block is running: a spinner on a terminal, elsewhere a line for every minute.

    The block is given a function that replaces the text.
    """
    console = console or _open_stderr()
    if console.is_terminal:
        with Status(escape_controls(text), console=console) as status:
            yield lambda other: status.update(escape_controls(other))
        return
    start, texts = time.perf_counter(), deque([text], maxlen=1)

    def report() -> None:
        console.print(
            f"nmt: {escape_controls(texts[-1])}, {format_clock(time.perf_counter() - start)} so far"
        )

    with _call_regularly(report):
        yield texts.append


class LineProgress:
    """The number of finished lines, their rate, and the remaining time at this rate.

    `total` is None if it is not known; `before` lines were done by an earlier process.
    """

    def __init__(
        self,
        total: int | None,
        before: int = 0,
        *,
        quiet: bool = False,
        clock: Clock = time.perf_counter,
        console: Console | None = None,
    ) -> None:
        self.console = console or _open_stderr()
        self.total, self.before, self.quiet, self.clock = total, before, quiet, clock
        self.lines, self.start = 0, clock()
        self._reported, self._lock = self.start, threading.Lock()
        columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=self.console, transient=True, disable=quiet)
        self._task = self.bar.add_task("", total=total, completed=before)

    @contextmanager
    def show(self) -> Iterator[None]:
        """Show the progress while a block runs."""
        if self.quiet:
            yield
        elif self.console.is_terminal:
            with self.bar:
                yield
        else:
            with _call_regularly(self.report_if_due):
                yield

    def advance(self) -> None:
        """Count a line."""
        self.lines += 1
        if self.console.is_terminal:
            self.bar.update(self._task, advance=1, description=self.describe())
        else:
            self.report_if_due()

    def report_if_due(self) -> None:
        """Print a line if an interval has passed since the last one."""
        with self._lock:
            now = self.clock()
            if self.quiet or now - self._reported < INTERVAL:
                return
            self._reported = now
        self.console.print(f"nmt: {self.describe()}")

    def describe(self) -> str:
        """Describe the progress, as in `12,300 of 200,000 lines (6%), 410.0 lines/s, ETA 7:38`."""
        done, seconds = self.before + self.lines, self.clock() - self.start
        if self.total is None:
            return f"{done:,} lines, {self.rate()}, {format_clock(seconds)} so far"
        text = f"{done:,} of {self.total:,} lines ({done / max(self.total, 1):.0%}), {self.rate()}"
        left = max(self.total - done, 0)
        return f"{text}, ETA {format_clock(left * seconds / self.lines)}" if self.lines else text

    def rate(self) -> str:
        """Return the mean number of lines per second since the start."""
        return f"{self.lines / max(self.clock() - self.start, 1e-9):.1f} lines/s"
