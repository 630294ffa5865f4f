"""What the user of a long job sees on standard error: notes, progress, a summary."""

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from nmt.decoding.job import JobProgress
    from nmt.decoding.translation import Translation


class Report:
    """Notes with the numbers of their lines; lines per second and the time left; a last line."""

    def __init__(self, quiet: bool, total: int | None, before: "JobProgress") -> None:
        console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self.quiet, self.before, self.begun = quiet, before.lines, time.perf_counter()
        self.lines, self.notes = 0, before.notes
        self.progress = Progress(
            MofNCompleteColumn(),
            TextColumn("lines"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self.progress.add_task("", total=total, completed=before.lines, rate="")

    def line(self, translation: "Translation") -> None:
        """One line more is written."""
        for note in translation.notes:
            self.progress.console.print(f"line {translation.number}: {note}")
        self.lines += 1
        self.notes += len(translation.notes)
        self.progress.update(self._task, advance=1, rate=self._rate())

    def say(self, text: str) -> None:
        """Something that is no note on a line."""
        if not self.quiet:
            self.progress.console.print(text)

    def _rate(self) -> str:
        return f"{self.lines / (time.perf_counter() - self.begun):.1f} lines/s"

    def summary(self) -> None:
        """What was done in all."""
        seconds = time.perf_counter() - self.begun
        before = f" and {self.before:,} before" if self.before else ""
        notes = f"; notes above: {self.notes:,}" if self.notes else ""
        self.say(f"{self.lines:,} lines in {seconds:.1f} s ({self._rate()}){before}{notes}")
