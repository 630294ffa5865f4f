"""Progress of a run on the console: a live line, a table for each validation, and the same in train.log."""

import os
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nmt.evaluation.metrics import METRICS
from nmt.training.validation import GeneratedText, SampleTranslation, ValidationResult

WIDTH = 80


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


class Throughput:
    """Speed and remaining time of this session; only displayed."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, update: int) -> None:
        """Start the session after this update."""
        self.start, self.first = time.perf_counter(), update
        self.words, self.seconds = 0, 0.0

    def add(self, report: StepReport) -> None:
        """Count an update."""
        self.words += report.words
        self.seconds += report.seconds

    def words_per_second(self) -> float:
        """Return target words per second of training, without validations and checkpoints."""
        return self.words / self.seconds if self.seconds else 0.0

    def remaining(self, report: StepReport) -> float:
        """Return the seconds to the last update, everything included."""
        done = max(report.update - self.first, 1)
        return (report.last_update - report.update) * (time.perf_counter() - self.start) / done


class Progress:
    """Show a run on a console (stderr by default) and write the same to a log file.

    A terminal has a live line at the bottom; elsewhere a line is printed for every entry of the log.
    """

    def __init__(self, log: Path, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self.path, self.throughput = log, Throughput()
        self.line = Text()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the live line within the context."""
        if not self.console.is_terminal:
            yield
            return
        with Live(
            console=self.console, get_renderable=lambda: self.line, refresh_per_second=2, transient=True
        ):
            yield

    def begin(self, update: int) -> None:
        """Start measuring the speed after this update."""
        self.throughput.begin(update)

    def show_update(self, report: StepReport) -> None:
        """Update the live line."""
        self.throughput.add(report)
        if self.console.is_terminal:
            self.line = self._format(report)

    def log_update(self, report: StepReport) -> None:
        """Write a line to the log, and print it unless there is a live line."""
        line = self._format(report)
        self._write(line)
        if not self.console.is_terminal:
            self.console.print(line)

    def show_validation(
        self, report: StepReport, result: ValidationResult, *, best: bool, seconds: float
    ) -> None:
        """Print a table of scores, and one of sample translations."""
        self._print(scores_table(report, result, best=best, seconds=seconds))
        if result.samples:
            self._print(samples_table(result.samples))

    def note(self, message: str) -> None:
        """Print a message; long lines are not broken, so that paths can be copied."""
        self._print(Text(message), soft_wrap=True)

    def _format(self, report: StepReport) -> Text:
        parts = [
            f"epoch {report.epochs:.2f}",
            f"{report.update}/{report.last_update}",
            f"loss {report.loss:.2f}",
            f"ppl {format_number(report.perplexity)}",
            f"{self.throughput.words_per_second():.0f} w/s",
            f"lr {report.rate:.1e}",
            *([] if report.forcing_ratio is None else [f"tf {report.forcing_ratio:.2f}"]),
            f"ETA {format_clock(self.throughput.remaining(report))}",
        ]
        return Text(" ".join(parts), no_wrap=True, overflow="ellipsis")

    def _print(self, content: RenderableType, *, soft_wrap: bool = False) -> None:
        self.console.print(content, soft_wrap=soft_wrap)
        self._write(content, soft_wrap=soft_wrap)

    def _write(self, content: RenderableType, *, soft_wrap: bool = False) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            Console(file=file, width=WIDTH, color_system=None).print(content, soft_wrap=soft_wrap)


def silent_progress() -> Progress:
    """Return a Progress that shows and writes nothing, for all processes but the first."""
    return Progress(Path(os.devnull), Console(quiet=True))


def scores_table(report: StepReport, result: ValidationResult, *, best: bool, seconds: float) -> Table:
    """Return a table with the scores of a validation in one row."""
    columns = {
        "update": str(report.update),
        "epoch": f"{report.epochs:.2f}",
        **{metric_heading(name): format_number(score) for name, score in result.scores.items()},
        "best": "yes" if best else "",
        "time": format_clock(seconds),
    }
    table = Table(*columns, width=WIDTH, title="validation", title_justify="left")
    table.add_row(*columns.values())
    return table


def samples_table(samples: Sequence[SampleTranslation | GeneratedText]) -> Table:
    """Return a table of source, reference and translation of a few pairs, or of generated texts."""
    table = Table(show_header=False, width=WIDTH, show_lines=False)
    for sample in samples:
        for name, text in sample._asdict().items():
            table.add_row(name, Text(escape_control(text)), end_section=name == sample._fields[-1])
    return table


def escape_control(text: str) -> str:
    """Replace control characters and line separators by �."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in text)


def metric_heading(metric: str) -> str:
    """Return the column heading of a metric."""
    if metric in METRICS:
        return METRICS[metric].label
    return {"perplexity": "ppl", "accuracy": "acc", "free_loss": "free"}.get(metric, metric)


def format_number(value: float) -> str:
    """Format a number with about four digits."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.3g}"


def format_clock(seconds: float) -> str:
    """Format seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
