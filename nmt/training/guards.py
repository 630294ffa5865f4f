"""Guards: skip updates that are not finite, roll back after loss spikes, and abort a diverged run."""

import math
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from annotated_types import Gt, Le
from torch import Tensor

from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.operating_system import STOP_SIGNALS
from nmt.settings import Count, CountOrZero, Settings
from nmt.training import checkpoint
from nmt.training.logging import Event
from nmt.training.run_state import GuardState, RunState
from nmt.training.update import BadUpdate, UpdateResult

ADVICE = "A lower learning rate, a longer warm-up or a smaller clip_norm may help."


class DivergenceError(NmtError):
    """Too many updates failed."""


@dataclass(frozen=True, kw_only=True)
class Guards(Settings):
    """Protection against failed updates and spikes of the loss."""

    skip: CountOrZero = 10
    """Consecutive updates that are skipped because their loss or gradient is not finite; one more ends the
    run, and its batch is kept in `RUN/bad-batch`."""
    spike: Annotated[float, Gt(1.0), Le(1e6)] | None = None
    """A loss over this many times its running mean is a spike: the update is skipped, and weights and moments
    are restored from the last checkpoint; null: never."""
    window: Count = 100
    """Updates in the running mean; before so many no loss is a spike."""
    rollbacks: CountOrZero = 3
    """Spikes of a run that are rolled back; one more ends it, as with `skip`."""

    def limit(self, state: GuardState) -> float:
        """Return the highest accepted loss per word; infinite until `window` updates are in the mean.

        A loss that is not positive, such as a risk, cannot detect spikes.
        """
        if self.spike is None or state.counted < self.window or state.mean <= 0:
            return math.inf
        return self.spike * state.mean

    def count(self, state: GuardState, bad_update: BadUpdate) -> bool:
        """Count a failed update, and return True if it was one too many."""
        if bad_update.is_spike:
            state.rolled_back += 1
            return state.rolled_back > self.rollbacks
        state.skipped += 1
        state.in_a_row += 1
        return state.in_a_row > self.skip


def describe_anomaly(result: UpdateResult, run: RunState, epochs: float) -> tuple[Event, str]:
    """Describe an update that was split, skipped or rolled back: for metrics.jsonl, and for the console."""
    state, bad_update, position = run.guarded, result.bad_update, {"update": run.update, "epoch": epochs}
    if bad_update is None:
        parts = f"batches were split into {result.parts} parts ({state.split} updates so far)"
        message = f"update {run.update}: out of memory, {parts}"
        return {"event": "split", **position, "parts": result.parts}, message
    message = f"update {run.update} skipped: {bad_update.reason}"
    if not bad_update.is_spike:
        message += f" ({state.in_a_row} in a row, {state.skipped} so far)"
        return {"event": "skip", **position, "why": bad_update.reason}, message
    if state.good is None:
        message += "; there is no checkpoint to roll back to"
    else:
        message += f"; weights rolled back to update {state.good}"
    message += f" (roll-back {state.rolled_back})"
    return {"event": "roll-back", **position, "why": bad_update.reason}, message


def save_bad_batch(
    directory: Path,
    group: Sequence[Batch],
    corpus_lines: Sequence[Sequence[tuple[str, int]]],
    run: RunState,
    reason: str,
) -> None:
    """Save the batches of an update, as NUMBER/FIELD in batch.safetensors, and their origin in batch.json."""
    tensors = {
        f"{number}/{field}": value.clone()
        for number, batch in enumerate(group)
        for field, value in batch._asdict().items()
        if isinstance(value, Tensor)
    }
    metadata = {
        "why": reason,
        "update": run.update,
        "epoch": run.epoch + 1,
        "first_batch": run.position + 1,
        "corpora": [[corpus for corpus, _ in rows] for rows in corpus_lines],
        "lines": [[line for _, line in rows] for rows in corpus_lines],
        "pairs": [batch.pairs.tolist() for batch in group],
    }
    checkpoint.write_tensor_files(directory, {"batch.safetensors": tensors}, "batch.json", metadata)


NOTICE = b"\nstopping after this update and saving a checkpoint; press Ctrl-C again to stop at once\n"


class SignalCatcher:
    """Recorder of the first of STOP_SIGNALS within the context; a second one has its usual effect.

    Outside the main thread, where Python receives no signals, it does nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "SignalCatcher":
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._record) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _record(self, number: int, _: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()
        os.write(2, NOTICE)  # print is not safe inside a signal handler

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
