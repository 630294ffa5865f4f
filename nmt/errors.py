"""Errors with a message for the user (what is wrong, where, and what to do), and warnings, called notes.

Modules warn by `logging.getLogger(__name__).warning`; `show_notes` decides where warnings are shown, and
without it Python prints them to stderr.
"""

import logging
import signal
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from types import FrameType
from typing import Any, NoReturn

CONTROLS = ("Cc", "Zl", "Zp", "Cs")
"""Unicode categories of characters that control a terminal, end a line or stand for an undecodable byte."""
DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Bidirectional classes of characters that change the order in which the text after them is shown."""


class NmtError(Exception):
    """An error whose message is shown to the user without a traceback."""

    exit_code = 1


class UsageError(NmtError):
    """An invalid request (recipe, option, name): exit code 2."""

    exit_code = 2


class DataError(NmtError):
    """An invalid input or file: exit code 1."""


class MissingPackage(DataError):
    """A library that is not installed."""


class TerminationSignal(SystemExit):
    """The end of the program because of a signal, with the exit code that shells give for it."""


def raise_termination(number: int, _: FrameType | None) -> NoReturn:
    """Raise TerminationSignal: a signal handler."""
    raise TerminationSignal(128 + number)


class Interruption(KeyboardInterrupt):
    """Ctrl-C, unlike a KeyboardInterrupt that the code of a cell raises."""


def raise_interruption(*_: object) -> NoReturn:
    """Raise Interruption: a signal handler."""
    raise Interruption


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into exceptions in the block, so that unfinished files are removed.

    A signal that is ignored or handled already stays so. Only the main thread of a program receives signals.
    """
    before = dict[signal.Signals, Any]()
    if threading.current_thread() is threading.main_thread():
        for number, default, handler in (
            (signal.SIGTERM, signal.SIG_DFL, raise_termination),
            (signal.SIGINT, signal.default_int_handler, raise_interruption),
        ):
            if signal.getsignal(number) == default:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, default in before.items():
            signal.signal(number, default)


class UnknownName(ValueError):
    """A name that is not an entry of a table."""


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Escape control characters as Python does (ESC becomes `\x1b`), except those of `keep`.

    Messages quote names and texts from files of strangers, which must not control the terminal that shows
    them, forge a line, or change the order of what is read.
    """
    return "".join(
        char.encode("unicode_escape").decode() if _is_control(char) and char not in keep else char
        for char in text
    )


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in CONTROLS or unicodedata.bidirectional(char) in DIRECTIONS


OUT_OF_MEMORY = (
    "can't allocate memory",  # torch on the CPU
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Failed to allocate memory",  # onnxruntime
    "bad allocation",
    "std::bad_alloc",
    "bad_alloc",
    "Cannot allocate memory",
    "failed to map segment from shared object",  # of a library that is imported
)
"""Messages of memory errors that have no class."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if memory ran out, in Python or in one of the libraries."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the latter: torch's
        return True
    return any(message in str(error) for message in OUT_OF_MEMORY)


def suggestion(name: str, names: Sequence[str]) -> str:
    """Return `did you mean 'lstm'?`, or all the names if none is similar."""
    near = get_close_matches(name, names, n=1)
    return f"did you mean '{near[0]}'?" if near else "choose one of " + ", ".join(names)


EXTRAS = {
    **{"matplotlib": "plot", "onnx": "export", "onnxruntime": "fast", "pyarrow": "parquet"},
    **{"ray": "ray", "tensorboard": "tensorboard", "huggingface_hub": "hub", "doit": "pipeline"},
    **{"starlette": "serve", "uvicorn": "serve", "py3langid": "detect"},
}
LIBRARIES = (
    *("annotated_types", "chardet", "filelock", "numpy", "platformdirs", "pydantic", "rich", "sacrebleu"),
    *("safetensors", "sentencepiece", "sentencex", "trackio", "typer", "wandb", "xopen"),
)
INSTALLATION = {
    **{library: f"pip install 'recurrent-nmt[{extra}]'" for library, extra in EXTRAS.items()},
    **{library: f"pip install {library.replace('_', '-')}" for library in LIBRARIES},
    "torch": "pip install torch (exported models translate and rescore without it)",
    "yaml": "pip install pyyaml",
}
"""Libraries that an installation may lack, and how to install them."""


@contextmanager
def report_missing_packages() -> Iterator[None]:
    """Raise MissingPackage if the block imports a library that is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in INSTALLATION:
            raise
        raise MissingPackage(f"{package} is not installed: {INSTALLATION[package]}") from error


@cache
def warn_once(logger: logging.Logger, message: str) -> None:
    """Log a warning, once per process."""
    logger.warning(message)


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
