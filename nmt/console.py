"""Consoles that write text to a file or a terminal, and the line of a notebook that is replaced in place."""

import time
from typing import IO, Any

from rich.console import Console


def open_console(file: IO[str], **looks: Any) -> Console:
    """Return a console that writes to `file`, in a notebook too, where rich would display everything.

    The file decides whether it is a terminal: notebooks set $FORCE_COLOR for the commands that they run.
    """
    return Console(file=file, force_jupyter=False, force_terminal=file.isatty(), **looks)


def is_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook."""
    return Console(quiet=True).is_jupyter


class NotebookLine:
    """A line of a notebook's output that is replaced by the next one; it needs no widgets."""

    interval = 0.5  # seconds between updates

    def __init__(self) -> None:
        self.handle: Any = None
        self.shown = 0.0

    def is_due(self) -> bool:
        """Return whether the line is older than the interval."""
        return time.monotonic() - self.shown >= self.interval

    def show(self, text: str) -> None:
        """Display the line, or replace it."""
        from IPython.display import display

        self.shown, data = time.monotonic(), {"text/plain": text}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self.handle.update(data, raw=True)
