"""Guards: which updates are left out, when weights go back, and when a run gives up."""

import math
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any

from annotated_types import Gt
from torch import Tensor

from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.settings import Count, CountOrZero, Settings
from nmt.training import checkpoint
from nmt.training.run_state import GuardState, RunState, TrainingPosition
from nmt.training.update import BadUpdate, UpdateResult

ADVICE = "A lower learning rate, a longer warm-up or a smaller clip_norm may help."


class DivergenceError(NmtError):
    """Too many updates could not be made."""


@dataclass(frozen=True, kw_only=True)
class Guards(Settings):
    """Protection against failed updates and spikes of the loss."""

    skip: CountOrZero = 10
    """Consecutive updates that are skipped because their loss or gradient is not finite; one more ends the
    run, and its batch is kept in `RUN/bad-batch`."""
    spike: Annotated[float, Gt(1.0)] | None = None
    """A loss over this many times its running mean is a spike: the update is skipped, and weights and moments
    are restored from the last checkpoint; null: never."""
    window: Count = 100
    """Updates in the running mean; before so many no loss is a spike."""
    rollbacks: CountOrZero = 3
    """Spikes of a run that are rolled back; one more ends it, as with `skip`."""

    def limit(self, so_far: GuardState) -> float:
        """The highest loss of a word that is learnt from; known once `window` updates are in the mean.

        A loss that is not positive, a risk say, is no measure of a spike.
        """
        if self.spike is None or so_far.counted < self.window or so_far.mean <= 0:
            return math.inf
        return self.spike * so_far.mean

    def count(self, so_far: GuardState, fault: BadUpdate) -> bool:
        """Count an update that was not made; is it one too many?"""
        if fault.spike:
            so_far.rolled_back += 1
            return so_far.rolled_back > self.rollbacks
        so_far.skipped += 1
        so_far.in_a_row += 1
        return so_far.in_a_row > self.skip


def anomaly_event(outcome: UpdateResult, now: TrainingPosition) -> dict[str, float | str]:
    """What an unusual update is to metrics.jsonl: in parts for want of memory, skipped, or a roll-back."""
    place = {"update": now.updates, "epoch": now.epochs}
    if outcome.fault is None:
        return {"event": "split", **place, "parts": outcome.parts}
    return {"event": "roll-back" if outcome.fault.spike else "skip", **place, "why": outcome.fault.why}


def anomaly_message(outcome: UpdateResult, run: RunState) -> str:
    """The same for people."""
    so_far = run.guarded
    if outcome.fault is None:
        return f"update {run.update}: out of memory, learnt in {outcome.parts} parts ({so_far.split} so far)"
    if not outcome.fault.spike:
        counts = f"{so_far.in_a_row} in a row, {so_far.skipped} so far"
        return f"update {run.update}: {outcome.fault}: skipped ({counts})"
    went = "there is no checkpoint to go back to" if so_far.good is None else f"back to that of {so_far.good}"
    return f"update {run.update}: {outcome.fault}: left out, weights {went} (roll-back {so_far.rolled_back})"


def divergence_message(fault: BadUpdate, run: RunState) -> str:
    """Why a run gives up."""
    so_far = run.guarded
    if fault.spike:
        return f"update {run.update}: {fault}, after {so_far.rolled_back - 1} roll-backs"
    return f"update {run.update}: {fault}, in {so_far.in_a_row} updates in a row"


def save_bad_batch(
    directory: Path,
    group: Sequence[Batch],
    places: Sequence[Sequence[tuple[str, int]]],
    run: RunState,
    why: str,
) -> None:
    """The batches of an update, as NUMBER/FIELD in batch.safetensors, and in batch.json whence they are."""
    tensors = {
        f"{number}/{field}": value.clone()
        for number, batch in enumerate(group)
        for field, value in batch._asdict().items()
        if isinstance(value, Tensor)
    }
    facts = {
        "why": why,
        "update": run.update,
        "epoch": run.epoch + 1,
        "first_batch": run.position + 1,
        "corpora": [[corpus for corpus, _ in rows] for rows in places],
        "lines": [[line for _, line in rows] for rows in places],
        "pairs": [batch.pairs.tolist() for batch in group],
    }
    checkpoint.write_folder(directory, {"batch.safetensors": tensors}, "batch.json", facts)


SIGNALS = (signal.SIGINT, signal.SIGTERM)
NOTICE = b"\nstopping: this update is finished and saved first; once more stops at once\n"


class SignalCatcher:
    """Within the block, the first SIGINT or SIGTERM is only noted; the second acts as it always does.

    Outside the main thread, where Python hears no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "SignalCatcher":
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
