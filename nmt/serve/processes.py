"""The processes of a pool of workers, and the channels to them."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from nmt.operating_system import START_METHOD, send_socket
from nmt.serve.channel import read_message
from nmt.serve.model_files import LoadedFiles
from nmt.serve.requests import ModelSource, WorkerFailure
from nmt.serve.worker import run_separate_worker, run_template
from nmt.workers import start_spawned

log = logging.getLogger("nmt.serve")

LONGEST_WAIT = 5.0  # seconds for a process to end by itself
LOAD_ATTEMPTS = 3  # processes that may be killed while they load the models

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class WorkerProcesses:
    """Starts the processes of a pool: forked from a template that has the models, or with their own."""

    def __init__(self, sources: Sequence[ModelSource], *, trust_code: bool) -> None:
        self._settings = (sources, trust_code)
        self._processes = list[BaseProcess]()
        self._template: tuple[socket.socket, Streams] | None = None  # the channel to it
        self._first: Streams | None = None  # of the worker that `load` started

    async def load(self) -> list[LoadedFiles]:
        """Start a process that loads the models, and return its facts about them; raise its error.

        One that is killed meanwhile is replaced, unless it is the last of `LOAD_ATTEMPTS`.
        """
        for attempt in range(1, LOAD_ATTEMPTS + 1):
            answer = await self._load()
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                return answer
            if attempt < LOAD_ATTEMPTS:
                log.warning("the process that loads the models was killed; another one replaces it")
        raise WorkerFailure("the processes that load the models were killed: is there memory enough?")

    async def _load(self) -> list[LoadedFiles] | Exception | None:
        """Return the answer of a new process that loads the models; None if it is killed."""
        ours, theirs = socket.socketpair()
        with theirs:
            run = run_template if START_METHOD == "fork" else run_separate_worker
            # A new interpreter: a program with threads cannot be forked safely.
            process = get_context("spawn").Process(target=run, args=(theirs, *self._settings), daemon=True)
            start_spawned(process)
        self._processes = [*filter(BaseProcess.is_alive, self._processes), process]
        reader, writer = await open_stream(ours)
        answer: list[LoadedFiles] | Exception | None = None
        try:
            with suppress(EOFError, OSError):
                answer = await read_message(reader)
        except asyncio.CancelledError:
            writer.close()
            raise
        if not isinstance(answer, list):
            await close_stream(writer)
        elif START_METHOD == "fork":
            self._template = ours, (reader, writer)
        else:
            self._first = reader, writer
        return answer

    async def start_worker(self) -> Streams:
        """Start a worker; raise OSError if the template has ended, or an error of `load`."""
        if self._template is None:
            if self._first is None:
                await self.load()
            first, self._first = self._first, None
            assert first is not None
            return first
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                send_socket(self._template[0], theirs)
            except OSError:
                ours.close()
                raise
        return await open_stream(ours)

    def kill_template(self) -> None:
        """Kill the template, if there is one: no worker can be started then."""
        if self._template is not None:
            self._processes[-1].kill()

    async def wait_for_template_end(self) -> bool:
        """Return True when the template has ended; False, at once, if there is none."""
        if self._template is None:
            return False
        with suppress(OSError):
            await self._template[1][0].read()
        return True

    async def close(self) -> None:
        """End the template and wait for it, and for workers without one, whose channels are closed."""
        for stream in (self._template and self._template[1], self._first):
            if stream is not None:
                await close_stream(stream[1])
        for process in self._processes:
            await asyncio.to_thread(process.join, LONGEST_WAIT)
            process.kill()
            process.join()
            process.close()


async def open_stream(connection: socket.socket) -> Streams:
    """Open a channel; close the socket if the task is cancelled meanwhile."""
    try:
        return await asyncio.open_connection(sock=connection)
    except asyncio.CancelledError:
        connection.close()
        raise


async def close_stream(writer: asyncio.StreamWriter) -> None:
    """Close a channel."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
