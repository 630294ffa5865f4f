"""Ctrl-C and SIGTERM as a wish to stop, granted between two updates."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTICE = b"\nstopping: this update is finished and saved first; once more stops at once\n"


class Interrupts:
    """Within the block, the first SIGINT or SIGTERM is only noted; the second acts as it always does.

    Outside the main thread, where Python hears no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()
        os.write(2, NOTICE)  # the one way of writing that is safe inside a handler

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
