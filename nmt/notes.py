"""Notes to the user: warnings that the package logs, where a command or a run shows them, and spans of time.

Modules warn by `logging.getLogger(__name__).warning`. Without a handler Python prints warnings to stderr.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache


@cache
def warn_once(logger: logging.Logger, message: str) -> None:
    """Log a warning, once per process."""
    logger.warning(message)


def format_clock(seconds: float) -> str:
    """Format seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def show_notes(show: Callable[[str], object]) -> Iterator[None]:
    """Pass the notes of a block to `show`, and not to the handlers of an enclosing block."""
    package = logging.getLogger(__name__.partition(".")[0])
    before, package.handlers = package.handlers, [_NoteHandler(show)]
    try:
        yield
    finally:
        package.handlers = before


class _NoteHandler(logging.Handler):
    """A handler that passes the text of warnings to a function."""

    def __init__(self, show: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        self.show(record.getMessage())
