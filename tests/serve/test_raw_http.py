"""Clients that are slow, wrong, or gone: the server answers or closes the connection, and keeps serving."""

import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from nmt.serve.configuration import LimitSettings, ServerSettings
from nmt.serve.http.server import LONGEST_HEAD
from tests.serve.stand_in import HELD, HUGE, RunningServer, run_server

POST = b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\n"


def build_request(body: Any) -> bytes:
    content = json.dumps(body).encode()
    return POST + b"Content-Length: %d\r\n\r\n%s" % (len(content), content)


REQUEST = build_request({"text": "a b"})
SECONDS = 0.2
"""The time that a client has: the tests wait for what the server does, never for the clock."""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningServer]:
    with run_server(ServerSettings(limits=LimitSettings(client_seconds=SECONDS, connections=20))) as server:
        yield server


@pytest.fixture
def server(running: RunningServer) -> Iterator[RunningServer]:
    running.service.arrived.clear()
    running.service.cancelled.clear()
    yield running
    assert running.ask("/v1/translate", {"text": "a b"}).json["translations"] == [{"text": "b a"}]
    assert not running.service.held.is_set()


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def exchange(server: RunningServer, *parts: bytes) -> bytes:
    """Send bytes and return all that the server sends before it closes the connection."""
    with connect(server) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65_536):
                received += chunk
        except OSError:
            pass  # it closed the connection while something was sent
        return received


def statuses(received: bytes) -> list[int]:
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def test_a_client_that_goes_away_cancels_its_request(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(build_request({"text": HELD}))
        assert server.service.arrived.wait(60)
    assert server.service.cancelled.wait(60)


def test_a_client_that_goes_away_ends_its_stream(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(build_request({"text": ["a | b", HELD], "stream": True}))
        assert server.service.arrived.wait(60)
    assert server.service.cancelled.wait(60)


WRONG = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
    "text": b"hello\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length of letters": POST + b"Content-Length: ten\r\n\r\n",
    "a huge length": POST + b"Content-Length: %s\r\n\r\n" % (b"9" * 20),
    "a length of many digits": POST + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000),
    "a wrong chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
    "an unknown encoding": POST + b"Transfer-Encoding: gzip\r\n\r\nab",
    "huge headers": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2 * LONGEST_HEAD + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * LONGEST_HEAD + b"\r\n",
    "a long path": b"GET /" + b"a" * 2 * LONGEST_HEAD + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bytes in a path": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a lone line feed in a header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\n b\r\n\r\n",
    "a websocket": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ),
    "a proxy request": b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an absolute target": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "the end of a body missing": REQUEST[:-5],
    "half a head": REQUEST[:20],
    "nothing": b"",
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_bytes_are_answered_or_the_connection_is_closed(server: RunningServer, name: str) -> None:
    received = exchange(server, WRONG[name])
    assert all(status < 500 for status in statuses(received)), received


def test_a_body_that_is_longer_than_the_limit_is_answered_before_it_arrives(server: RunningServer) -> None:
    head = POST + b"Content-Length: 100000000\r\n"
    assert statuses(exchange(server, head + b"\r\n"))[:1] == [413]
    assert statuses(exchange(server, head + b"Expect: 100-continue\r\n\r\n"))[:1] == [413]


def test_chunks_beyond_the_limit_are_answered(server: RunningServer) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    received = exchange(server, POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 20)
    assert statuses(received)[:1] == [413]


def test_requests_in_a_row_are_answered_in_order(server: RunningServer) -> None:
    requests = [build_request({"text": f"{number} x"}) for number in range(20)]
    received = exchange(server, b"".join(requests))
    answers = [json.loads(part.split(b"\r\n\r\n", 1)[1]) for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert [one["translations"][0]["text"] for one in answers] == [f"x {number}" for number in range(20)]


def test_a_request_byte_by_byte_is_answered(server: RunningServer) -> None:
    assert b'"text":"b a"' in exchange(server, *(bytes([byte]) for byte in REQUEST))


def test_a_client_that_sends_nothing_more_is_told_so(server: RunningServer) -> None:
    assert statuses(exchange(server, b"GET / HTTP/1.1\r\n")) == [408]
    assert statuses(exchange(server, REQUEST + b"POST")) == [200]  # what follows an answer is closed silently


def test_a_client_that_reads_nothing_is_left(server: RunningServer) -> None:
    with connect(server) as connection:
        connection.sendall(build_request({"text": HUGE}))
        connection.recv(1)
        while any(one.client == connection.getsockname() for one in [*server.connections]):
            threading.Event().wait(0.01)


def test_a_stream_that_is_read_byte_by_byte_is_left_before_all_lines_are_translated(
    server: RunningServer,
) -> None:
    server.service.requests.clear()
    with connect(server) as connection, suppress(OSError):
        connection.sendall(build_request({"text": [HUGE] * 10, "stream": True}))
        while connection.recv(1):
            threading.Event().wait(0.01)
            if not any(one.client == connection.getsockname() for one in [*server.connections]):
                break
    assert len(server.service.requests) <= 2


def test_more_connections_than_the_limit_are_refused(server: RunningServer) -> None:
    held = [connect(server) for _ in range(20)]
    received = [exchange(server) for _ in range(3)]
    assert {*map(tuple, map(statuses, received))} <= {(503,), (408,)}
    for connection in held:
        connection.close()


def mutate(draw: random.Random, request: bytes) -> list[bytes]:
    """Change a request at random, and divide it into pieces."""
    data = bytearray(request)
    for _ in range(draw.randrange(4)):
        where = draw.randrange(len(data))
        match draw.randrange(5):
            case 0:
                data[where] = draw.randrange(256)
            case 1:
                del data[where : where + draw.randrange(40)]
            case 2:
                data[where:where] = draw.randbytes(draw.randrange(40))
            case 3:
                data[where:where] = data[where : where + draw.randrange(100)] * draw.randrange(30)
            case 4:
                data += draw.choice([b"\r\n\r\n", request, b"\0" * 1000])
        data = data or bytearray(b"\n")
    cuts = sorted(draw.randrange(len(data) + 1) for _ in range(draw.randrange(4)))
    return [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


LAST = b"\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
REQUESTS = (
    REQUEST,
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    build_request({"q": "a b", "source": "de", "target": "en"}).replace(b"/v1/translate", b"/translate"),
    POST.replace(b"/v1/translate", b"/translate") + b"Transfer-Encoding: chunked\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\n17\r\nq=a&source=de&target=en\r\n0\r\n\r\n",
    build_request({"text": "a | b", "stream": True}),
)


@pytest.mark.parametrize("count", [60, pytest.param(5_000, marks=pytest.mark.slow)])
def test_mutated_requests_are_answered_or_closed(server: RunningServer, count: int) -> None:
    draw = random.Random(1)
    for number in range(count):
        parts = mutate(draw, draw.choice(REQUESTS))
        if draw.random() < 0.3:  # a client that goes away
            with connect(server) as connection, suppress(OSError):  # the server may close it first
                for part in parts:
                    connection.sendall(part)
            continue
        received = exchange(
            server, *parts, b"\r\nGET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        assert all(status < 500 for status in statuses(received)), (number, parts, received)


@pytest.mark.slow
def test_a_hundred_megabytes_are_refused(server: RunningServer) -> None:
    head = b"POST /v1/translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
    received = exchange(server, head, *[b"a" * 1_000_000] * 100)
    assert statuses(received)[:1] in ([], [413])  # it may be lost when the connection is closed


def test_the_openapi_document_describes_the_server(server: RunningServer) -> None:
    document: Any = server.ask("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answer = server.ask(path, {} if method == "post" else None, method.upper())
            assert answer.status == (400 if method == "post" else 200), path
            assert operation["summary"].endswith(".")
    names = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert names <= {*document["components"]["schemas"]}


@pytest.mark.slow
@pytest.mark.parametrize("count", [100])
def test_requests_by_the_openapi_document_have_no_server_error(count: int) -> None:
    """With answers of the documented types, by schemathesis."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi import checks

    conformance = [
        schemathesis.checks.not_a_server_error,
        *(
            checks.content_type_conformance,
            checks.response_schema_conformance,
            checks.status_code_conformance,
        ),
    ]

    def check(case: Any) -> None:
        case.call_and_validate(checks=conformance)

    with run_server() as server:
        for result in schemathesis.openapi.from_url(f"{server.url}/openapi.json").get_all_operations():
            few = settings(
                max_examples=count,
                **{"deadline": None, "database": None, "derandomize": True},
                suppress_health_check=[*HealthCheck],
            )
            few(given(case=result.ok().as_strategy())(check))()
