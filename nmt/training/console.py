"""What a person sees of a run: a live line, a table per validation, and the same in train.log."""

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
    """How training goes after an update."""

    update: int
    last: int  # the run's last update, as far as can be told
    epochs: float
    loss: float
    perplexity: float
    rate: float
    ratio: float | None  # of teacher forcing, where it is scheduled
    words: int  # target words learnt in this update
    seconds: float  # that it took


class Throughput:
    """Speed, and time left, of this session; only ever shown."""

    def __init__(self) -> None:
        self.start, self.first = time.perf_counter(), 0
        self.words, self.seconds = 0, 0.0

    def begin(self, update: int) -> None:
        """The session starts after this update."""
        self.start, self.first = time.perf_counter(), update

    def add(self, tick: StepReport) -> None:
        """Count an update."""
        self.words += tick.words
        self.seconds += tick.seconds

    def words_per_second(self) -> float:
        """Target words a second of learning, validation and checkpoints aside."""
        return self.words / self.seconds if self.seconds else 0.0

    def left(self, tick: StepReport) -> float:
        """Seconds to the last update, everything counted."""
        made = max(tick.update - self.first, 1)
        return (tick.last - tick.update) * (time.perf_counter() - self.start) / made


class Progress:
    """Shows a run on a console (standard error by default) and keeps its lines in a log file.

    On a terminal one line lives at the bottom; elsewhere a line is printed for every entry of the log.
    """

    def __init__(self, log: Path, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self.log, self.pace = log, Throughput()
        self.line = Text()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The live line, while a run lasts."""
        if not self.console.is_terminal:
            yield
            return
        with Live(
            console=self.console, get_renderable=lambda: self.line, refresh_per_second=2, transient=True
        ):
            yield

    def begin(self, update: int) -> None:
        """The run goes on from this update."""
        self.pace.begin(update)

    def tick(self, tick: StepReport) -> None:
        """After every update: the live line."""
        self.pace.add(tick)
        if self.console.is_terminal:
            self.line = self._line(tick)

    def entry(self, tick: StepReport) -> None:
        """Now and then: a line that stays."""
        line = self._line(tick)
        self._keep(line)
        if not self.console.is_terminal:
            self.console.print(line)

    def validation(self, tick: StepReport, found: ValidationResult, *, best: bool, seconds: float) -> None:
        """A table of what a validation found, with sample translations."""
        self._everywhere(scores_table(tick, found, best=best, seconds=seconds))
        if found.samples:
            self._everywhere(samples_table(found.samples))

    def note(self, message: str) -> None:
        """A line of text, however long: a path that is broken in two cannot be copied."""
        self._everywhere(Text(message), soft_wrap=True)

    def _line(self, tick: StepReport) -> Text:
        parts = [
            f"epoch {tick.epochs:.2f}",
            f"{tick.update}/{tick.last}",
            f"loss {tick.loss:.2f}",
            f"ppl {format_number(tick.perplexity)}",
            f"{self.pace.words_per_second():.0f} w/s",
            f"lr {tick.rate:.1e}",
            *([] if tick.ratio is None else [f"gold {tick.ratio:.2f}"]),
            f"ETA {format_clock(self.pace.left(tick))}",
        ]
        return Text(" ".join(parts), no_wrap=True, overflow="ellipsis")

    def _everywhere(self, what: RenderableType, *, soft_wrap: bool = False) -> None:
        self.console.print(what, soft_wrap=soft_wrap)
        self._keep(what, soft_wrap=soft_wrap)

    def _keep(self, what: RenderableType, *, soft_wrap: bool = False) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as file:
            Console(file=file, width=WIDTH, color_system=None).print(what, soft_wrap=soft_wrap)


def silent_progress() -> Progress:
    """For a process that is not the first: nothing is shown or kept."""
    return Progress(Path(os.devnull), Console(quiet=True))


def scores_table(tick: StepReport, found: ValidationResult, *, best: bool, seconds: float) -> Table:
    """The scores of a validation, in one row."""
    columns = {
        "update": str(tick.update),
        "epoch": f"{tick.epochs:.2f}",
        **{metric_heading(name): format_number(score) for name, score in found.scores.items()},
        "best": "yes" if best else "",
        "time": format_clock(seconds),
    }
    table = Table(*columns, width=WIDTH, title="validation", title_justify="left")
    table.add_row(*columns.values())
    return table


def samples_table(samples: Sequence[SampleTranslation | GeneratedText]) -> Table:
    """Source, reference and translation of a few pairs, or what was written without a source."""
    table = Table(show_header=False, width=WIDTH, show_lines=False)
    for sample in samples:
        for name, text in sample._asdict().items():
            table.add_row(name, Text(escape_control(text)), end_section=name == sample._fields[-1])
    return table


def escape_control(text: str) -> str:
    """Text that cannot steer a terminal: control characters and line ends show as �."""
    return "".join("�" if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in text)


def metric_heading(metric: str) -> str:
    """How a metric is headed in a table."""
    if metric in METRICS:
        return METRICS[metric].label
    return {"perplexity": "ppl", "accuracy": "acc", "free_loss": "free"}.get(metric, metric)


def format_number(value: float) -> str:
    """A number in about four figures."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.3g}"


def format_clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
