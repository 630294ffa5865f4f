"""Messages between the service and its processes, over a pair of connected sockets.

Both ends are processes of one service: a message is any picklable object, after its size.
"""

import asyncio
import select
import socket
import struct
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

SIZE = struct.Struct("!Q")
BLOCK = 1 << 16


class Channel:
    """The end of a process that does one thing at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._buffer = connection, bytearray()
        connection.setblocking(True)

    def send(self, message: object) -> None:
        """Send a message; OSError if the other end is closed."""
        self._socket.sendall(encode_message(message))

    def receive(self, *, wait: bool) -> Iterator[Any]:
        """Yield the messages that are here, at least one with `wait`; EOFError if the other end is closed."""
        while True:
            yielded = False
            while (message := self._take()) is not None:
                yield message
                yielded = True
            timeout = None if wait and not yielded else 0
            if not select.select([self._socket], [], [], timeout)[0]:
                return
            wait = wait and not yielded
            block = self._socket.recv(BLOCK)
            if not block:
                raise EOFError
            self._buffer += block

    def _take(self) -> Any:
        if len(self._buffer) < SIZE.size:
            return None
        end = SIZE.size + SIZE.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        message = ForkingPickler.loads(bytes(self._buffer[SIZE.size : end]))
        del self._buffer[:end]
        return message


def encode_message(message: object) -> bytes:
    """Return the bytes of a message."""
    content = bytes(ForkingPickler.dumps(message))
    return SIZE.pack(len(content)) + content


async def read_message(reader: asyncio.StreamReader) -> Any:
    """Read a message; EOFError or OSError if the other end is closed."""
    (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
    return ForkingPickler.loads(await reader.readexactly(size))
