"""The HTTP/1.1 protocol of uvicorn with time limits on clients, so that slow ones hold no resources."""

import asyncio
from http import HTTPStatus
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedProtocol(H11Protocol):
    """A connection that is closed if its client takes too long to send a request, or to read the answer."""

    seconds: ClassVar[float] = 30.0
    """Time for a request to arrive, and for the written part of an answer to be read."""
    most: ClassVar[int] = 1_000
    """Open connections."""

    _reading: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive = self.seconds  # type: ignore[assignment] # fractions of seconds are fine
        if len(self.connections) > self.most:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._reading = self.loop.call_later(self.seconds, self._end_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._reading = cancel_timer(self._reading)
        self._writing = cancel_timer(self._writing)

    def data_received(self, data: bytes) -> None:
        if self._reading is None and not self._has_request():
            self._reading = self.loop.call_later(self.seconds, self._end_reading)
        super().data_received(data)
        if self._has_request():
            self._reading = cancel_timer(self._reading)

    def _has_request(self) -> bool:
        """Return True if a complete request has arrived and is not answered yet."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._has_request():
            self._reading = cancel_timer(self._reading)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing = self._writing or self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing = cancel_timer(self._writing)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _end_reading(self) -> None:
        """Answer a request that is not complete in time, if nothing was answered yet, and close."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        self.transport.write(head.encode())
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """End the connection, even if the client does not read what was written."""
        self._writing = self._writing or self.loop.call_later(self.seconds, self.transport.abort)


def cancel_timer(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Cancel a timer, if there is one; the result takes its place."""
    if timer is not None:
        timer.cancel()
    return None
