"""What a run is given besides its parts, and what it gives back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from nmt.data.batches import Batch
from nmt.model.translator import Translator
from nmt.training.guards import Guards
from nmt.training.run_state import BestScore, Interval
from nmt.training.validation import ValidationResult

ValidateFunction = Callable[
    [Translator, str], ValidationResult
]  # the model, and a name for what is kept of this validation


class EpochBatches(Protocol):
    """The training batches; both are functions of the epoch alone, so that a run can be entered anywhere."""

    def count(self, epoch: int) -> int:
        """How many batches an epoch has."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from the one at `start`."""

    def places(self, batch: Batch) -> list[tuple[str, int]]:
        """Where the rows of a batch begin: corpus (of several: its name) and line, counted from 1."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The numbers of a run, named as in the recipe (`every` to `stop_when`: of validation)."""

    accumulate: int
    stop_after: Interval
    checkpoint_every: Interval | None
    keep: int
    every: Interval
    metric: str
    patience: Mapping[str, int]  # by metric
    stop_when: str
    rollback: str
    ema: float | None
    log_every: int  # updates between lines of the log
    guards: Guards

    @property
    def by_the_clock(self) -> bool:
        """Whether checkpoints hang on how fast the machine is, and so differ from run to run."""
        return self.checkpoint_every is not None and self.checkpoint_every.unit == "m"


class StopReason(NamedTuple):
    """Why a run stops, and what its process should exit with: 0, or 128 and the signal."""

    reason: str
    exit_code: int


class TrainingResult(NamedTuple):
    """How a run ended."""

    stop: StopReason
    update: int
    best: BestScore
    seconds: float  # spent learning since the run first began
