"""A service that reverses words, at once or when a test allows it, behind the real HTTP server."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from typing import Any, NamedTuple

from nmt.data.sentences import Span
from nmt.decoding.translation import Candidate, Translation
from nmt.errors import NmtError, UsageError
from nmt.serve.alternatives import Alternative, WordAlternatives
from nmt.serve.configuration import ApiKeys, Configuration, LimitSettings, ServerSettings
from nmt.serve.http.gateway import Gateway
from nmt.serve.http.server import bind, build_server
from nmt.serve.requests import LineRequest, ServedModel, Statistics, TranslatedPart, UnknownModel
from nmt.serve.service import Service

HUGE = "huge"
"""The text of a line whose translation is larger than what the system keeps for a client."""
HELD = "wait for the test"
"""The text of a line whose translation waits until the test releases it."""


def model(name: str, source: str, target: str, *, attends: bool = True) -> ServedModel:
    return ServedModel(
        name, f"runs/{name}", "run", "float32", (source, target), "0", attends, True, 5, attends
    )


@dataclass
class StandInService:
    """Models that reverse the words of a line."""

    models: dict[str, ServedModel] = field(
        default_factory=lambda: {
            "de-en": model("de-en", "de", "en"),
            "ko-en": model("ko-en", "ko", "en"),
            "en-ko": model("en-ko", "en", "ko", attends=False),
        }
    )
    error: NmtError | None = None
    version: int = 1  # of the models
    queue: int = 1000
    requests: list[LineRequest] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def statistics(self) -> Statistics:
        return Statistics(translated=len(self.requests), workers=1)

    @contextmanager
    def hold_models(self) -> Iterator[int]:
        yield self.version

    async def translate(self, request: LineRequest) -> Translation:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        if request.model not in self.models:
            raise UnknownModel(request.model)
        if request.line.text == HELD:
            self.arrived.set()
            try:
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        words = ["a" * 30_000_000] if request.line.text == HUGE else request.line.text.split(" ")[::-1]
        candidates = [
            Candidate(" ".join(words) + "'" * rank, -float(rank), -2.0 * rank, [*words, "</s>"], [-0.5])
            for rank in range(request.settings.n_best)
        ]
        quality = 0.75 if request.settings.quality else None
        return Translation(request.line, candidates, [], words[::-1], [(0, 0)], [], quality)

    async def stream(self, request: LineRequest) -> AsyncGenerator[TranslatedPart | Translation, None]:
        found = await self.translate(request)
        sentences = found.text.split(" | ")
        for index, text in enumerate(sentences if request.line.text else ()):
            part = f" | {text}" if index else text
            yield TranslatedPart(index, len(sentences), part, Span(0, 1), Span(0, 1))
        yield found

    async def find_alternatives(
        self, model: str, text: str, before: str, word: str, seconds: float
    ) -> WordAlternatives:
        return WordAlternatives([(text, 1.0)], [Alternative(word, 0.5)])

    async def explain(self, model: str, text: str, seconds: float) -> dict[str, Any]:
        raise UsageError("an export has no gates: serve the run")


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningServer:
    """A server in a thread of this process."""

    port: int
    gateway: Gateway
    service: Any  # a `StandInService` or a `Service`
    loop: asyncio.AbstractEventLoop
    connections: Any = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: Any = None, method: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request, a body that is no bytes as JSON, and return the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if content is not None else {}
        connection.request(
            method or ("GET" if content is None else "POST"), path, content, kind | (headers or {})
        )
        response = connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        connection.close()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result()  # the request is in the log
        return answer

    def configure(self, **changes: Any) -> None:
        """Change settings, those of limits too."""
        old = self.gateway.configuration
        names = {"keys"} & set(changes)
        limits = {name: value for name, value in changes.items() if hasattr(LimitSettings(), name)}
        others = {name: value for name, value in changes.items() if name not in names and name not in limits}
        settings = replace(old.settings, limits=replace(old.settings.limits, **limits), **others)
        self.gateway.configuration = Configuration(settings, changes.get("keys", old.keys))

    def release(self) -> None:
        """Let the lines that wait be translated."""
        if isinstance(self.service, StandInService):
            self.loop.call_soon_threadsafe(self.service.held.set)


@contextmanager
def run_server(
    settings: ServerSettings | None = None, keys: ApiKeys | None = None, service: Any = None
) -> Iterator[RunningServer]:
    """Run a server until the block ends."""
    settings = settings or ServerSettings()
    started, failed = threading.Event(), list[BaseException]()
    made = list[Any]()

    async def main() -> None:
        stand_in = service or StandInService()
        if isinstance(stand_in, Service):
            await stand_in.start()
        gateway = Gateway(stand_in, Configuration(settings, keys))
        server = build_server(gateway)
        listener = bind("127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        made.extend((RunningServer(listener.getsockname()[1], gateway, stand_in, loop), server))
        made[0].connections = server.server_state.connections
        serving = loop.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0)
        started.set()
        await serving
        if isinstance(stand_in, Service):
            await stand_in.drain()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(60)
    running, server = made
    try:
        yield running
    finally:
        running.release()
        server.should_exit = True
        thread.join(60)
    assert failed == []
