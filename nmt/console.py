"""Consoles that write text to a file or a terminal, the line of a notebook that is replaced in place, and
times as they are shown."""

import time
from contextlib import AbstractContextManager
from typing import IO, Any

from rich.console import Console


def format_clock(seconds: float) -> str:
    """Format seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def open_console(file: IO[str], **looks: Any) -> Console:
    """Return a console that writes to `file`, in a notebook too, where rich would display everything.

    The file decides whether it is a terminal: notebooks set $FORCE_COLOR for the commands that they run.
    """
    return Console(file=file, force_jupyter=False, force_terminal=file.isatty(), **looks)


def is_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook."""
    return Console(quiet=True).is_jupyter


class NotebookLine(AbstractContextManager["NotebookLine"]):
    """A line of a notebook's output that is replaced by the next one; it needs no widgets.

    It is displayed at intervals; leaving the context displays the last text.
    """

    interval = 0.5  # seconds

    def __init__(self) -> None:
        self.handle: Any = None
        self.text, self.displayed, self.time = "", "", 0.0

    def __exit__(self, *_: object) -> None:
        self._display()

    def show(self, text: str) -> None:
        """Replace the line."""
        self.text = text
        if time.monotonic() - self.time >= self.interval:
            self._display()

    def _display(self) -> None:
        from IPython.display import display

        if self.text == self.displayed:
            return
        self.displayed, self.time, data = self.text, time.monotonic(), {"text/plain": self.text}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self.handle.update(data, raw=True)
