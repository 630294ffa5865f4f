"""Texts of requests: the model that translates them, their lines, and the limits on them."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from starlette.requests import Request

from nmt.data.sentences import Span
from nmt.decoding.job import Line, LineConstraints
from nmt.decoding.translation import Translation
from nmt.errors import NmtError, suggestion
from nmt.serve.configuration import Configuration, LimitSettings
from nmt.serve.http.metrics import RequestMetrics
from nmt.serve.http.problems import RequestProblem, describe_service_error
from nmt.serve.requests import LineRequest, QueueFull, ServedModel, TranslatedPart, TranslationSettings
from nmt.serve.service import Service

LINES_AT_ONCE = 64  # of one request, so that it leaves room in the queue for others
LINE_END = re.compile(r"(\r\n|\n|\r)")
ResultT = TypeVar("ResultT")


class TranslatedText(NamedTuple):
    """The translation of a text: of its lines, with the line ends of the text."""

    text: str
    lines: Sequence[Translation]


class TextRequest(NamedTuple):
    """A text to translate, with one model and settings."""

    text: str
    model: str
    settings: TranslationSettings = TranslationSettings()
    constraints: LineConstraints = LineConstraints()

    def line_requests(self) -> tuple[list[LineRequest], list[str]]:
        """Return the request for each line, and the line ends between them."""
        lines, ends = split_lines(self.text)
        return [
            LineRequest(self.model, Line(number, line, (), self.constraints), self.settings)
            for number, line in enumerate(lines, 1)
        ], ends


def split_lines(text: str) -> tuple[list[str], list[str]]:
    """Return the lines of a text, and the line ends between them."""
    pieces = LINE_END.split(text)
    return pieces[::2], pieces[1::2]


def join_lines(lines: Iterable[str], ends: Sequence[str]) -> str:
    """Return the lines with these line ends between them."""
    return "".join(line + end for line, end in zip(lines, [*ends, ""], strict=True))


@dataclass
class Gateway:
    """The service and the configuration under which requests reach it."""

    service: Service
    configuration: Configuration
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    is_stopping: bool = False

    @property
    def limits(self) -> LimitSettings:
        """The limits of requests."""
        return self.configuration.settings.limits

    def check_key(self, request: Request, key: object = None) -> None:
        """Raise RequestProblem unless a request carries a key, where keys are asked for."""
        keys = self.configuration.keys
        if keys is None:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", key)
        if not given:
            headers = {"WWW-Authenticate": "Bearer"}
            advice = "send the header `Authorization: Bearer KEY`, or the field api_key"
            raise RequestProblem(401, "an API key is needed", "", advice, headers)
        if not isinstance(given, str) or not keys.has_key(given):
            raise RequestProblem(403, "Invalid API key", "", "ask the operator of this server for one")

    def choose_model(self, name: str | None, source: str | None, target: str | None) -> ServedModel:
        """Return the model of a name, or the first one of two languages; RequestProblem if there is none."""
        models = self.service.models
        if name is not None:
            if name not in models:
                raise RequestProblem(400, f"no model {name!r}, {suggestion(name, list(models))}", "model")
            chosen = [models[name]]
        else:
            chosen = list(models.values())
        for side, language in enumerate((source, target)):
            known = {model.languages[side]: None for model in chosen}
            chosen = [model for model in chosen if language in (None, model.languages[side])]
            if not chosen:
                where = ("source", "target")[side]
                offered = suggestion(str(language), [code for code in known if code])
                raise RequestProblem(
                    400, f"no model with the {where} language {language!r}, {offered}", where
                )
        return chosen[0]

    def check_texts(self, texts: Sequence[str], where: str) -> None:
        """Raise RequestProblem for too many texts, and for one that is too long."""
        if len(texts) > self.limits.texts:
            what = f"{len(texts):,} texts, and a request may have {self.limits.texts:,}"
            raise RequestProblem(400, what, where, "send them in several requests")
        for index, text in enumerate(texts):
            if len(text) > self.limits.characters:
                what = f"{len(text):,} characters, and a text may have {self.limits.characters:,}"
                place = f"{where}[{index}]" if len(texts) > 1 else where
                raise RequestProblem(400, what, place, "divide the text")

    def count_texts(self, request: Request, texts: Sequence[str]) -> None:
        """Count the texts of a request, for the metrics and the log."""
        self.metrics.characters += sum(map(len, texts))
        request.scope["texts"] = texts

    def check_beam(self, name: str, value: int | None) -> None:
        """Raise RequestProblem for a beam, or n-best translations, beyond the limit."""
        if value is not None and not 1 <= value <= self.limits.beam:
            raise RequestProblem(400, f"expected 1 to {self.limits.beam} (got {value})", name)

    async def translate(self, requests: Sequence[TextRequest]) -> list[TranslatedText]:
        """Translate texts, some lines at a time; RequestProblem if one cannot be."""
        with self.service.hold_models() as version:
            lines = (
                line._replace(seconds=self.limits.seconds, version=version)
                for request in requests
                for line in request.line_requests()[0]
            )
            limit = min(LINES_AT_ONCE, self.service.queue)
            found = iter(await self._within_limit(map_concurrently(self.service.translate, lines, limit)))
        texts = list[TranslatedText]()
        for request in requests:
            ends = split_lines(request.text)[1]
            translated = [next(found) for _ in range(len(ends) + 1)]
            texts.append(TranslatedText(join_lines([one.text for one in translated], ends), translated))
        return texts

    async def stream(
        self, request: TextRequest, version: int, *, is_first: bool = True
    ) -> AsyncGenerator[tuple[int, str, TranslatedPart] | TranslatedText, None]:
        """Yield the parts of a text, each with its line and the line end before it, then the translation.

        `version` is that of the models (`Service.hold_models`). If the queue is full, only the first line of
        the first text of an answer is refused; later ones wait for room.
        """
        lines, ends = request.line_requests()
        translations = list[Translation]()
        deadline = time.monotonic() + self.limits.seconds
        for index, line in enumerate(lines):
            end = ends[index - 1] if index else ""
            held, waits = line._replace(version=version), index > 0 or not is_first
            async with aclosing(self._stream_line(held, deadline, waits=waits)) as parts:
                async for part in parts:
                    if isinstance(part, TranslatedPart):
                        yield index, end, part
                        end = ""
                    else:
                        translations.append(part)
            if end:  # of a blank line
                yield index, end, TranslatedPart(0, 1, "", Span(0, 0), Span(0, 0))
        yield TranslatedText(join_lines([one.text for one in translations], ends), translations)

    async def _stream_line(
        self, line: LineRequest, deadline: float, *, waits: bool
    ) -> AsyncGenerator[TranslatedPart | Translation, None]:
        """Yield the parts of a line, and its translation; if it `waits`, when there is room in the queue."""
        while True:
            limited = line._replace(seconds=max(0.0, deadline - time.monotonic()))
            try:
                async with aclosing(self.service.stream(limited)) as parts:
                    async for part in parts:
                        yield part
                return
            except QueueFull as full:
                if not waits or time.monotonic() + full.retry_after >= deadline:
                    raise
                await asyncio.sleep(full.retry_after)

    async def _within_limit(self, work: Awaitable[ResultT]) -> ResultT:
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await work
        except TimeoutError:
            what = f"not translated within {self.limits.seconds:g} seconds"
            raise RequestProblem(504, what, "", "send fewer or shorter texts, or reduce the beam") from None
        except NmtError as error:
            raise describe_service_error(error) from error


async def map_concurrently(
    function: Callable[[Any], Awaitable[ResultT]], items: Iterable[Any], limit: int
) -> list[ResultT]:
    """Return the result for each item, with at most `limit` calls at a time; an error cancels the others."""
    results = dict[int, ResultT]()
    numbered = iter(enumerate(items))

    async def work() -> None:
        for number, item in numbered:
            results[number] = await function(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(work())
    except* NmtError as errors:
        first = errors.exceptions[0]
    else:
        return [results[number] for number in range(len(results))]
    raise first
