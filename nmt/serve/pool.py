"""The worker processes of one version of the models, and the requests that they have."""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

from nmt.errors import NmtError
from nmt.operating_system import START_METHOD, send_socket
from nmt.serve.batching import Event, Result
from nmt.serve.channel import encode_message, read_message
from nmt.serve.inspection import Inspection
from nmt.serve.model_files import LoadedFiles
from nmt.serve.requests import LineRequest, ModelSource, TranslatedPart, WorkerFailure
from nmt.serve.worker import (
    Cancellation,
    Start,
    WorkerReport,
    run_separate_worker,
    run_template,
)

log = logging.getLogger("nmt.serve")

LINES_AHEAD = 96  # estimated sentences that a worker has at most: a batch, and what refills it
SENTENCE = 200  # characters
SUSPECT, LOST = 2, 4
"""Deaths of its workers after which a request shares a worker with no other such request, and then fails."""
LONGEST_PAUSE = 5.0  # seconds between the deaths of a worker that answers nothing and its replacement


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class PendingRequest:
    """A request that is not answered yet."""

    def __init__(self, ticket: int, request: LineRequest | Inspection, *, is_streamed: bool) -> None:
        self.ticket, self.request, self.is_streamed = ticket, request, is_streamed
        text = request.line.text if isinstance(request, LineRequest) else request.text
        self.weight = 1 + len(text) // SENTENCE
        self.results = asyncio.Queue[Result]()
        self.is_done = False
        self.deaths = 0  # of workers that had it
        self.parts = 0  # that are results already

    def put(self, result: Result) -> None:
        """Add a result, unless an earlier worker has sent the same."""
        if isinstance(result, TranslatedPart):
            if result.index < self.parts:
                return
            self.parts += 1
        else:
            self.is_done = True
        self.results.put_nowait(result)


class Worker:
    """The service's end of a worker process."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self.requests = dict[int, PendingRequest]()  # by ticket
        self.load = 0  # estimated number of its sentences
        self.report: WorkerReport | None = None  # the last

    @property
    def has_suspect(self) -> bool:
        """Whether it has a request whose workers died repeatedly."""
        return any(pending.deaths >= SUSPECT for pending in self.requests.values())

    def start(self, pending: PendingRequest) -> None:
        """Send a request."""
        self.requests[pending.ticket] = pending
        self.load += pending.weight
        self._send(Start(pending.ticket, pending.request, pending.is_streamed))

    def cancel(self, pending: PendingRequest) -> None:
        """End a request."""
        self._remove(pending)
        self._send(Cancellation(pending.ticket))

    def answer(self, event: Event) -> None:
        """Pass on a result, unless its request was cancelled."""
        pending = self.requests.get(event.ticket)
        if pending is not None:
            pending.put(event.result)
            if pending.is_done:
                self._remove(pending)

    async def close(self) -> None:
        """Close the channel, which ends the process."""
        await close_stream(self._writer)

    def _remove(self, pending: PendingRequest) -> None:
        del self.requests[pending.ticket]
        self.load -= pending.weight

    def _send(self, message: object) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode_message(message))

    async def reports(self) -> AsyncIterator[WorkerReport]:
        """Yield reports until the process ends."""
        with suppress(EOFError, OSError):
            while True:
                self.report = await read_message(self._reader)
                yield self.report


class WorkerPool:
    """Worker processes with the same models; one that dies is replaced, and its requests are done again."""

    def __init__(
        self, sources: Sequence[ModelSource], count: int, has_broken: asyncio.Event, *, trust_code: bool
    ) -> None:
        self._count, self._has_broken = count, has_broken
        self.models: Mapping[str, LoadedFiles] = {}
        self.workers = list[Worker]()
        self.waiting, self.suspects = deque[PendingRequest](), deque[PendingRequest]()
        self.restarts = self.ended_positions = 0
        self.is_broken = False  # no worker can be started any more; then `has_broken` is set
        self._processes = WorkerProcesses(sources, trust_code=trust_code)
        self._tasks = list[asyncio.Task[None]]()

    async def start(self) -> None:
        """Load the models and start the workers; raise what loading raises."""
        try:
            loaded = await self._processes.load()
        except BaseException:
            await self._processes.close()
            raise
        self.models = {one.model.name: one for one in loaded}
        self._tasks = [asyncio.create_task(self._keep_worker()) for _ in range(self._count)]

    async def close(self) -> None:
        """End all processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._processes.close()

    @property
    def pending(self) -> list[PendingRequest]:
        """The requests that are not answered."""
        running = [pending for worker in self.workers for pending in worker.requests.values()]
        return [pending for pending in (*running, *self.suspects, *self.waiting) if not pending.is_done]

    @property
    def positions(self) -> int:
        """Positions that were searched, summed over all sentences."""
        reports = [worker.report.positions for worker in self.workers if worker.report]
        return self.ended_positions + sum(reports)

    def submit(self, pending: PendingRequest) -> None:
        """Accept a request."""
        self.waiting.append(pending)
        self._dispatch()

    def cancel(self, pending: PendingRequest) -> None:
        """Forget a request, wherever it is."""
        pending.is_done = True
        for worker in self.workers:
            if pending.ticket in worker.requests:
                worker.cancel(pending)
        for queue in (self.waiting, self.suspects):
            if pending in queue:
                queue.remove(pending)
        self._dispatch()

    def _dispatch(self) -> None:
        """Send requests to the workers with the fewest sentences, as long as these have room."""
        for queue in (self.suspects, self.waiting):
            while queue:
                able = [
                    worker
                    for worker in self.workers
                    if worker.load < LINES_AHEAD and not (queue is self.suspects and worker.has_suspect)
                ]
                if not able:
                    break
                min(able, key=lambda worker: worker.load).start(queue.popleft())

    async def _keep_worker(self) -> None:
        """Run a worker process, and another one whenever it has died."""
        failures = 0
        while True:
            try:
                worker = Worker(await self._processes.start_worker())
            except (NmtError, OSError) as error:
                log.error("no worker process can be started: %s", error or type(error).__name__)
                self.is_broken = True
                self._has_broken.set()
                return
            try:
                has_answered = await self._follow(worker)
            finally:
                await worker.close()
            self.restarts += 1
            self._recover(worker)
            failures = 0 if has_answered else failures + 1
            pid = worker.report.pid if worker.report else "that was starting"
            log.warning("the worker process %s ended; another one replaces it", pid)
            await asyncio.sleep(min(LONGEST_PAUSE, 0.05 * 2**failures) if failures else 0)

    async def _follow(self, worker: Worker) -> bool:
        """Pass on the results of a worker until it dies; return whether there were any."""
        has_answered = False
        async for report in worker.reports():
            if worker not in self.workers:  # its first report
                self.workers.append(worker)
            for event in report.events:
                worker.answer(event)
                has_answered = True
            self._dispatch()
        return has_answered

    def _recover(self, worker: Worker) -> None:
        """Do the requests of a worker that died again, before those that wait."""
        if worker in self.workers:
            self.workers.remove(worker)
            self.ended_positions += worker.report.positions if worker.report else 0
        for pending in reversed(worker.requests.values()):
            pending.deaths += 1
            if pending.deaths >= LOST:
                message = f"{pending.deaths} worker processes died while they translated this request"
                pending.put(WorkerFailure(message))
            elif pending.deaths >= SUSPECT:
                self.suspects.append(pending)
            else:
                self.waiting.appendleft(pending)
        self.suspects = deque(sorted(self.suspects, key=lambda one: one.ticket))  # none waits for ever
        self._dispatch()


class WorkerProcesses:
    """Starts the processes of a pool: forked from a template that has the models, or with their own."""

    def __init__(self, sources: Sequence[ModelSource], *, trust_code: bool) -> None:
        self._settings = (sources, trust_code)
        self._processes = list[BaseProcess]()
        self._control: tuple[socket.socket, asyncio.StreamWriter] | None = None  # of the template
        self._first: Streams | None = None  # of the worker that `load` started

    async def load(self) -> list[LoadedFiles]:
        """Start a process that loads the models, and return its facts about them; raise its error."""
        ours, theirs = socket.socketpair()
        with theirs:
            run = run_template if START_METHOD == "fork" else run_separate_worker
            # A new interpreter: a program with threads cannot be forked safely.
            process = get_context("spawn").Process(target=run, args=(theirs, *self._settings), daemon=True)
            process.start()
        self._processes.append(process)
        reader, writer = await open_stream(ours)
        try:
            answer: list[LoadedFiles] | Exception = await read_message(reader)
        except (EOFError, OSError):
            answer = WorkerFailure("the process that loads the models was killed: is there memory enough?")
        except asyncio.CancelledError:
            writer.close()
            raise
        if isinstance(answer, Exception):
            await close_stream(writer)
            raise answer
        if START_METHOD == "fork":
            self._control = ours, writer
        else:
            self._first = reader, writer
        return answer

    async def start_worker(self) -> Streams:
        """Start a worker; raise OSError if the template has ended, or an error of `load`."""
        if self._control is None:
            if self._first is None:
                await self.load()
            first, self._first = self._first, None
            assert first is not None
            return first
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                send_socket(self._control[0], theirs)
            except OSError:
                ours.close()
                raise
        return await open_stream(ours)

    async def close(self) -> None:
        """End the template and wait for it, and for workers without one, whose channels are closed."""
        for stream in (self._control, self._first):
            if stream is not None:
                await close_stream(stream[1])
        for process in self._processes:
            await asyncio.to_thread(process.join, LONGEST_PAUSE)
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
