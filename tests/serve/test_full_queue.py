"""Clients of a server whose queue is full: they are refused with Retry-After, and served later."""

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nmt.serve import pool
from nmt.serve.configuration import Configuration, LimitSettings, ServerSettings
from nmt.serve.http.gateway import Gateway, TextRequest
from nmt.serve.requests import QueueFull
from nmt.serve.service import Service
from tests.serve.stand_in import RunningServer, StandInService, run_server
from tests.serve.test_pool import SOURCES, Processes
from tests.serve.test_raw_http import (
    REQUEST,
    SECONDS,
    build_request,
    connect,
    exchange,
    mutate,
    statuses,
)

QUEUE = 2
HELD = build_request({"text": "wait"})  # which the workers of these tests keep
CLOSE = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    monkeypatch.setattr(Processes, "everything", [])
    monkeypatch.setattr(pool, "WorkerProcesses", Processes)
    limits = LimitSettings(client_seconds=SECONDS, connections=400, queue=QUEUE)
    with run_server(ServerSettings(limits=limits), service=Service(SOURCES, poll=0, queue=QUEUE)) as running:
        yield running
        ask_until(running, 200)


@pytest.fixture
def full(server: RunningServer) -> Iterator[RunningServer]:
    """A server whose queue is full until the block ends."""
    with ExitStack() as stack:
        for _ in range(QUEUE):
            stack.enter_context(connect(server)).sendall(HELD)
        ask_until(server, 429)
        yield server


def ask_until(server: RunningServer, status: int) -> None:
    """Ask until the status is this one, which another connection causes."""
    while (answer := server.ask("/v1/translate", {"text": "a"})).status != status:
        assert answer.status in (200, 429), answer


REFUSED: dict[str, tuple[str, Any]] = {
    "text": ("/v1/translate", {"text": "a"}),
    "texts": ("/v1/translate", {"text": ["a", "b", ""]}),
    "stream": ("/v1/translate", {"text": ["a", "b"], "stream": True}),
    "alternatives": ("/v1/alternatives", {"model": "m", "text": "a", "before": "", "word": "b"}),
    "LibreTranslate": ("/translate", {"q": "a", "source": "de", "target": "en"}),
    "OpenNMT": ("/translator/translate", [{"src": "a", "id": 0}]),
}


def test_every_interface_refuses_with_the_time_to_retry(full: RunningServer) -> None:
    for name, (path, body) in REFUSED.items():
        answer = full.ask(path, body)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1"), name
        assert "2 lines are waiting already" in answer.body.decode(), name
    for path in ("/health", "/v1/models", "/metrics", "/"):
        assert full.ask(path).status == 200, path


def test_mutated_requests_are_answered_or_closed(full: RunningServer) -> None:
    draw, refused = random.Random(2), 0
    requests = [
        build_request(body).replace(b"/v1/translate", path.encode()) for path, body in REFUSED.values()
    ]
    for number in range(60):
        parts = mutate(draw, draw.choice(requests))
        received = exchange(full, *parts, b"\r\n", CLOSE)
        assert all(status < 500 for status in statuses(received)), (number, parts, received)
        assert received.count(b"HTTP/1.1 429") == received.count(b"retry-after: 1")
        refused += received.count(b"HTTP/1.1 429")
    assert refused > 10


def test_many_requests_in_a_row_are_refused_one_by_one(full: RunningServer) -> None:
    received = exchange(full, REQUEST * 50, CLOSE)
    assert statuses(received) == [429] * 50 + [200]


def test_idle_and_slow_clients_delay_no_refusal(full: RunningServer) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(full)) for _ in range(300)]
        for number, one in enumerate(idle):
            one.sendall([b"", REQUEST[:20], REQUEST[:-1]][number % 3])
        slow = statuses(exchange(full, *(bytes([byte]) for byte in REQUEST), CLOSE))
        assert slow[0] in (429, 408)  # as far as it was in time
        unread = stack.enter_context(connect(full))  # refused, and never read
        unread.sendall(REQUEST * 200)
        assert full.ask("/v1/translate", {"text": "a"}).status == 429
        assert {tuple(statuses(read_all(one))) for one in idle} == {(408,)}


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def test_a_text_of_more_lines_than_the_queue_has_room_for_is_translated(server: RunningServer) -> None:
    text = "\n".join(map(str, range(10 * QUEUE)))
    assert server.ask("/v1/translate", {"text": text}).json["translations"] == [{"text": text}]
    texts = text.split("\n")
    found = server.ask("/v1/translate", {"text": texts}).json["translations"]
    assert [one["text"] for one in found] == texts


def test_a_stream_that_has_begun_waits_for_room_in_the_queue() -> None:
    async def test() -> None:
        service: Any = StandInService()
        gateway = Gateway(service, Configuration(ServerSettings(), None))
        request = TextRequest("a\nb", "de-en")
        results = gateway.stream(request, 1)
        found = [await anext(results)]
        service.error = QueueFull("full", retry_after=0.0)

        async def read() -> None:
            found.extend([one async for one in results])

        reading = asyncio.create_task(read())
        while len(service.requests) < 5:
            await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await anext(gateway.stream(request, 1))
        service.error = None
        await reading
        *_, last = found
        assert getattr(last, "text", "") == "a\nb"
        assert len(found) == 3

    asyncio.run(asyncio.wait_for(test(), 60))
