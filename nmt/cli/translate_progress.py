"""Progress of `nmt translate` on stderr: warnings about lines, a progress bar, a summary."""

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from nmt.decoding.job import JobProgress
    from nmt.decoding.translation import Translation


class TranslationProgress:
    """A progress bar on a terminal; counts of lines and warnings for the summary."""

    def __init__(self, quiet: bool, total: int | None, before: "JobProgress") -> None:
        console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self.quiet, self.before, self.start = quiet, before.lines, time.perf_counter()
        self.lines, self.notes = 0, before.notes
        self.bar = Progress(
            MofNCompleteColumn(),
            TextColumn("lines"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self.bar.add_task("", total=total, completed=before.lines, rate="")

    def advance(self, translation: "Translation") -> None:
        """Count a translated line, and print its warnings."""
        for note in translation.notes:
            self.bar.console.print(f"line {translation.number}: {note}")
        self.lines += 1
        self.notes += len(translation.notes)
        self.bar.update(self._task, advance=1, rate=self._rate())

    def note(self, text: str) -> None:
        """Print a message about the job, unless quiet."""
        if not self.quiet:
            self.bar.console.print(text)

    def _rate(self) -> str:
        return f"{self.lines / (time.perf_counter() - self.start):.1f} lines/s"

    def summarise(self) -> None:
        """Print lines, time and warnings of the job."""
        seconds = time.perf_counter() - self.start
        before = f", {self.before:,} before" if self.before else ""
        notes = f"; warnings above: {self.notes:,}" if self.notes else ""
        self.note(f"{self.lines:,} lines in {seconds:.1f} s ({self._rate()}){before}{notes}")
