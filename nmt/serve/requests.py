"""Requests to the translation service, their results, and the errors that it answers them with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nmt.api.loading import Precision
from nmt.data.sentences import Span
from nmt.decoding.job import Job, Line, Split
from nmt.errors import DataError, NmtError, UsageError
from nmt.evaluation.quality import request_quality

ModelKind = Literal["run", "checkpoint", "model", "export"]


class ModelSource(NamedTuple):
    """A model to serve: the name that requests use, and where it is."""

    name: str
    path: str  # of a run, a checkpoint, a model directory or an export, or hf:user/name
    precision: Precision = "float32"  # of the products; an export has that with which it was written


class ServedModel(NamedTuple):
    """A model that is loaded."""

    name: str
    path: str  # as it was given
    kind: ModelKind
    precision: Precision
    languages: tuple[str, str]  # codes of source and target language; "" if the model does not know them
    digest: str  # of all that its translations depend on
    attends: bool  # whether it has attention, without which there are no alignments
    explains: bool  # whether `Service.explain` works: not for exports
    beam: int  # of its own settings, which requests can override
    estimates: bool = False  # whether it estimates the quality of its translations (`nmt tune`)


class TranslationSettings(NamedTuple):
    """The settings of one request, those of `nmt translate` and `Translator.translate`.

    Constraints and glossary are those of the line (`Line.constraints`).
    """

    beam: int | None = None  # by default that of the model, or n_best if that is more
    n_best: int = 1
    aligned: bool = False  # whether the translation has `alignment`
    attention: bool = False  # whether candidates have `attention`
    split: Split = "auto"
    quality: bool = False  # whether the translation has `quality`

    def configure(self, job: Job) -> Job:
        """Return a job with these settings; UsageError for what its model cannot do."""
        settings = self._asdict()
        asks_quality = settings.pop("quality")
        job = job.configure(**settings)
        return request_quality(job) if asks_quality else job


class LineRequest(NamedTuple):
    """One line to translate."""

    model: str  # name of a served model
    line: Line
    settings: TranslationSettings = TranslationSettings()
    seconds: float | None = None  # limit; None: that of the service
    version: int | None = None  # of the models, one that is held (`Service.hold_models`); None: the present


@dataclass(frozen=True, slots=True)
class TranslatedPart:
    """The translation of a part of a line: a sentence, several short ones, or a clause of a long one.

    The texts of all parts of a line, joined without anything between them, are its translation.
    """

    index: int
    count: int  # of the parts of the line
    text: str  # with the white space before it
    source: Span  # characters of the line
    target: Span  # characters of the translation of the line, without the white space before


class Statistics(NamedTuple):
    """Counts of the service since its start, and its present load."""

    waiting: int = 0  # lines that no worker has yet
    running: int = 0  # lines that workers have
    live_sentences: int = 0  # in the running batches
    positions: int = 0  # advanced so far, summed over all sentences
    translated: int = 0  # lines
    failed: int = 0  # lines: errors and time limits
    cancelled: int = 0  # lines
    restarts: int = 0  # workers that died and were replaced
    reloads: int = 0  # of changed models
    workers: int = 0  # alive


class QueueFull(NmtError):
    """A request that the service has no room for at present."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class TimeLimitExceeded(NmtError):
    """A request that was not translated within its time limit."""


class UnknownModel(UsageError):
    """A request for a model that is not served."""


class ServiceStopping(NmtError):
    """A request to a service that is stopping, or has not started."""


class WorkerFailure(DataError):
    """A request that could not be translated because of an internal error, or because its workers died."""


def check_sources(models: Iterable[ModelSource]) -> list[ModelSource]:
    """Return the models to serve; UsageError without any, and for two of the same name."""
    sources, names = [*models], set[str]()
    for source in sources:
        if source.name in names:
            raise UsageError(f"two models have the name {source.name!r}: give one another, NAME=PATH")
        names.add(source.name)
    if not sources:
        raise UsageError("a service needs a model: give a run, a model directory or an export")
    return sources
