"""`Service`: translations of several models for concurrent requests, in an asyncio program.

`async with Service([ModelSource("de-en", "runs/de-en")]) as service: await service.translate(request)`.
A translation is that of `nmt translate` with the same model and settings, whatever else is being translated.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nmt.decoding.translation import Translation
from nmt.serve.requests import (
    LineRequest,
    ModelSource,
    ServedModel,
    ServiceStopping,
    Statistics,
    TimeLimitExceeded,
    TranslatedPart,
    UnknownModel,
)


class Service:
    """Served models, and the worker processes that translate with them.

    All methods are called in one event loop. With `trust_code` the cell files of the models are run, and
    trusted from then on; without it only those that the user trusts.
    """

    def __init__(
        self,
        models: Iterable[ModelSource],
        *,
        workers: int = 1,
        queue: int = 1000,  # lines that are accepted and not yet translated
        seconds: float = 60.0,  # limit of a request
        trust_code: bool = False,
    ) -> None:
        self._sources, self._workers, self._queue, self._seconds = [*models], workers, queue, seconds
        self._trust_code = trust_code
        self._translators: dict[str, Any] = {}
        self.models: Mapping[str, ServedModel] = {}
        self._statistics = Statistics()

    async def start(self) -> None:
        """Load the models and start the workers; raise DataError or UsageError for a model that cannot be."""
        from nmt.api.translator import Translator

        for one in self._sources:
            translator = await asyncio.to_thread(
                Translator, Path(one.path), trust_code=self._trust_code, precision=one.precision
            )
            self._translators[one.name] = translator
            job = translator._job
            self.models = {
                **self.models,
                one.name: ServedModel(
                    one.name, one.path, "run", one.precision, job.languages, "", job.attends, True, 5
                ),
            }

    async def drain(self) -> None:
        """Refuse new requests, finish those that are accepted, and stop the workers."""
        self._translators = {}

    async def reload(self, models: Iterable[ModelSource]) -> None:
        """Serve these models from now on, without dropping a request.

        Raises DataError or UsageError if one cannot be loaded; the models then stay as they were.
        """

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    @property
    def statistics(self) -> Statistics:
        """The present counts."""
        return self._statistics

    async def translate(self, request: LineRequest) -> Translation:
        """Translate a line; when the calling task is cancelled, its search ends.

        Raises QueueFull, TimeLimitExceeded, UnknownModel, ServiceStopping, UsageError for settings that the
        model cannot do, and WorkerFailure. A line that cannot be translated has `line.error` and `notes`,
        as in `nmt translate`.
        """
        if not self._translators:
            raise ServiceStopping("the service is stopping: send the request again later")
        if request.model not in self.models:
            raise UnknownModel(f"no model {request.model!r}, one of: {', '.join(self.models)}")
        translator = self._translators[request.model]
        settings = request.settings._asdict()
        try:
            found: Translation = await asyncio.wait_for(
                asyncio.to_thread(translator.translate, request.line, **settings),
                request.seconds or self._seconds,
            )
        except TimeoutError:
            raise TimeLimitExceeded("not translated within the time limit") from None
        self._statistics = self._statistics._replace(translated=self._statistics.translated + 1)
        return found

    async def stream(self, request: LineRequest) -> AsyncIterator[TranslatedPart | Translation]:
        """Yield the parts of a line in order, each when it is translated, then the translation.

        Closing the iterator, or cancelling the task that reads it, ends the search.
        """
        found = await self.translate(request)
        for index, spans in enumerate(found.parts):
            start = found.parts[index - 1].target.end if index else 0
            text = found.text[start : spans.target.end]
            yield TranslatedPart(index, len(found.parts), text, spans.source, spans.target)
        yield found

    async def explain(self, model: str, text: str, seconds: float | None = None) -> str:
        """Return the sentence page of a line (`nmt inspect sentence`) as HTML.

        Raises what `translate` raises, and UsageError for an export and for a line of several parts.
        """
        if model not in self._translators:
            raise UnknownModel(f"no model {model!r}, one of: {', '.join(self.models)}")
        page = await asyncio.to_thread(self._translators[model].explain, text)
        return str(page.html)
