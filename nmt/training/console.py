"""Progress of a run on the console: a live line, one for each validation, and the same in train.log."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from nmt.console import NotebookLine, format_clock, is_notebook, open_console
from nmt.errors import escape_controls
from nmt.evaluation.metrics import METRICS
from nmt.training.validation import ValidationResult

WIDTH = 80
LONGEST_SILENCE = 60.0
"""Seconds after which the next update is printed, where no line is redrawn."""


class StepReport(NamedTuple):
    """Figures of one update, for the console."""

    update: int
    last_update: int  # of the run, estimated
    epochs: float
    loss: float
    perplexity: float
    rate: float
    forcing_ratio: float | None  # None if it is always 1
    words: int  # target words of this update
    seconds: float


class Progress:
    """Display of a run on a console (stderr by default), with a copy in a log file.

    A terminal shows a live line at the bottom, and a notebook one above all others; else a line is printed
    for every entry of the log, and at least every minute. Without a log (in all processes but the first)
    nothing is shown or written.
    """

    def __init__(
        self,
        log: Path | None,
        console: Console | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.notebook = NotebookLine() if console is None and log is not None and is_notebook() else None
        self.console = console or open_console(sys.stdout if self.notebook else sys.stderr, quiet=log is None)
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self.path, self.line, self.clock, self.printed = log, Text(), clock, clock()
        self.begin(0)

    def live(self) -> AbstractContextManager[object]:
        """Return a context in which the live line is shown."""
        if self.notebook:
            return self.notebook
        if not self.console.is_terminal:
            return nullcontext()
        return Live(
            console=self.console, get_renderable=lambda: self.line, refresh_per_second=2, transient=True
        )

    def begin(self, update: int) -> None:
        """Start measuring the speed and the remaining time after this update."""
        self.start, self.first = self.clock(), update
        self.words, self.seconds = 0, 0.0  # of training, without validations and checkpoints

    def show_update(self, report: StepReport) -> None:
        """Count an update and show it in the live line."""
        self.words += report.words
        self.seconds += report.seconds
        if self.console.is_terminal:
            self.line = self._format(report)
        elif self.notebook:
            self.notebook.show(self._format(report).plain)
        elif self.clock() - self.printed >= LONGEST_SILENCE:
            self._print_line(self._format(report))

    def log_update(self, report: StepReport) -> None:
        """Write a line to the log, and print it unless there is a live line."""
        line = self._format(report)
        self._write(line)
        if self.notebook:
            self.notebook.show(line.plain)
        elif not self.console.is_terminal:
            self._print_line(line)

    def show_validation(
        self, report: StepReport, result: ValidationResult, *, best: bool, seconds: float
    ) -> None:
        """Print the scores in one line, and sample outputs with control characters escaped, if requested."""
        scores = {name: score for name, score in result.scores.items() if name != "loss"}  # log of `ppl`
        parts = [
            f"epoch {report.epochs:.2f} {report.update} valid",
            *(f"{metric_heading(name)} {format_number(score)}" for name, score in scores.items()),
            format_clock(seconds),
            *(["best"] if best else []),
        ]
        samples = [f"  {name:<4} {text}" for sample in result.samples for name, text in sample.items()]
        self.note("\n".join([" ".join(parts), *(escape_controls(line) for line in samples)]))

    def note(self, message: str) -> None:
        """Print a message; long lines are not wrapped, so paths can be copied."""
        self._print(Text(escape_controls(message, keep="\n")), soft_wrap=True)

    def _format(self, report: StepReport) -> Text:
        speed = self.words / self.seconds if self.seconds else 0.0
        elapsed, done = self.clock() - self.start, max(report.update - self.first, 1)
        remaining = (report.last_update - report.update) * elapsed / done  # including validations
        parts = [
            f"epoch {report.epochs:.2f}",
            f"{report.update}/{report.last_update}",
            f"loss {report.loss:.2f}",
            f"ppl {format_number(report.perplexity)}",
            f"{speed:.0f} w/s",
            f"lr {report.rate:.1e}",
            *([] if report.forcing_ratio is None else [f"tf {report.forcing_ratio:.2f}"]),
            f"ETA {format_clock(remaining)}",
        ]
        return Text(" ".join(parts), no_wrap=True, overflow="ellipsis")

    def _print_line(self, line: Text) -> None:
        self.printed = self.clock()
        self.console.print(line)

    def _print(self, content: RenderableType, *, soft_wrap: bool = False) -> None:
        self.console.print(content, soft_wrap=soft_wrap)
        self._write(content, soft_wrap=soft_wrap)

    def _write(self, content: RenderableType, *, soft_wrap: bool = False) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", newline="\n") as file:
            open_console(file, width=WIDTH, color_system=None).print(content, soft_wrap=soft_wrap)


def metric_heading(metric: str) -> str:
    """Return the column heading of a metric."""
    if metric in METRICS:
        return METRICS[metric].label
    return {"perplexity": "ppl", "accuracy": "acc", "free_loss": "free"}.get(metric, metric)


def format_number(value: float) -> str:
    """Format a number as 12.34, 2,340 or 1.2e+09."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.1e}"
