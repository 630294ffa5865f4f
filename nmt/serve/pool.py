"""The worker processes of one version of the models, and the requests that they have."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter

from nmt.errors import NmtError
from nmt.operating_system import START_METHOD, kill_process, lower_priority
from nmt.serve.batching import Event, Result
from nmt.serve.channel import encode_message, read_message
from nmt.serve.inspection import Inspection, TraceRequest
from nmt.serve.model_files import LoadedFiles
from nmt.serve.processes import Streams, WorkerProcesses, close_stream
from nmt.serve.requests import LineRequest, ModelSource, TranslatedPart, WorkerFailure
from nmt.serve.worker import Cancellation, Start, WorkerReport

log = logging.getLogger("nmt.serve")

MAX_LOAD = 96  # estimated sentences that a worker has at most: a batch, and what refills it
CHARACTERS_PER_SENTENCE = 200  # estimated
SUSPECT, MAX_DEATHS = 2, 6
"""Deaths of its workers after which a request gets a worker of its own (it is a suspect), and then fails.

The last four are thus of workers that did nothing else: that others killed each is improbable.
"""
CHECKS = 4  # of the progress of a worker until it is killed
LONGEST_PAUSE = 5.0  # seconds between the deaths of a worker that did not start and its replacement


class PendingRequest:
    """A request that is not answered yet."""

    def __init__(self, ticket: int, request: LineRequest | Inspection, *, is_streamed: bool) -> None:
        self.ticket, self.request, self.is_streamed = ticket, request, is_streamed
        text = request.line.text if isinstance(request, LineRequest) else request.text
        self.weight = 1 + len(text) // CHARACTERS_PER_SENTENCE
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
    """The service's end of a worker process, which translates or, `is_tracer`, answers `TraceRequest`."""

    def __init__(self, streams: Streams, *, is_tracer: bool = False) -> None:
        self._reader, self._writer = streams
        self.is_tracer = is_tracer
        self.requests = dict[int, PendingRequest]()  # by ticket
        self.load = 0  # estimated number of its sentences
        self.report: WorkerReport | None = None  # the last
        self.silent_checks = 0  # since then, while it was busy
        self._sent = 0  # messages

    @property
    def is_busy(self) -> bool:
        """Whether it has requests, or messages that it has not received."""
        return bool(self.requests) or self.report is None or self.report.received < self._sent

    @property
    def has_suspect(self) -> bool:
        """Whether it has a request whose workers died repeatedly, and so no other."""
        return any(pending.deaths >= SUSPECT for pending in self.requests.values())

    @property
    def has_stalled(self) -> bool:
        """Whether it was killed because it did not advance."""
        return self.silent_checks >= CHECKS

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
        self._sent += 1
        if not self._writer.is_closing():
            self._writer.write(encode_message(message))

    async def reports(self) -> AsyncIterator[WorkerReport]:
        """Yield reports until the process ends."""
        with suppress(EOFError, OSError):
            while True:
                self.report = await read_message(self._reader)
                self.silent_checks = 0
                yield self.report


class WorkerPool:
    """Worker processes with the same models.

    One that dies, or does not advance for `patience` seconds, is replaced, and its requests are done again.
    If no worker can be started any more, `pool_broken` is set, even while all of them run.
    """

    def __init__(
        self,
        sources: Sequence[ModelSource],
        count: int,
        pool_broken: asyncio.Event,
        *,
        patience: float,
        trust_code: bool,
    ) -> None:
        self._count, self._pool_broken, self._patience = count, pool_broken, patience
        self.models: Mapping[str, LoadedFiles] = {}
        self.workers, self._starting = list[Worker](), set[Worker]()  # these have not reported yet
        self.waiting, self.suspects = deque[PendingRequest](), deque[PendingRequest]()
        self.traces = deque[PendingRequest]()  # that wait for the process that has no other requests
        self._has_tracer = False
        self.restarts = self.ended_positions = 0
        self.version = self.holders = 0  # of the service's models; requests that keep the pool alive
        self.must_be_replaced = False  # no worker can be started any more
        self.is_broken = False  # and one was missing already
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
        # A trace takes longer than a position. Where processes share the models, one more costs little.
        self._has_tracer = START_METHOD == "fork" and any(one.model.explains for one in loaded)
        kinds = [False] * self._count + [True] * self._has_tracer
        keepers = [self._keep_worker(is_tracer=kind) for kind in kinds]
        work = [*keepers, self._end_stalled_workers(), self._watch_template()]
        self._tasks = [asyncio.create_task(one) for one in work]

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
        waiting = [pending for queue in self._queues for pending in queue]
        return [pending for pending in (*running, *waiting) if not pending.is_done]

    @property
    def _queues(self) -> tuple[deque[PendingRequest], ...]:
        return self.suspects, self.waiting, self.traces

    @property
    def positions(self) -> int:
        """Positions that were searched, summed over all sentences."""
        reports = [worker.report.positions for worker in self.workers if worker.report]
        return self.ended_positions + sum(reports)

    def submit(self, pending: PendingRequest) -> None:
        """Accept a request."""
        is_trace = self._has_tracer and isinstance(pending.request, TraceRequest)
        (self.traces if is_trace else self.waiting).append(pending)
        self._dispatch()

    def cancel(self, pending: PendingRequest) -> None:
        """Forget a request, wherever it is."""
        pending.is_done = True
        for worker in self.workers:
            if pending.ticket in worker.requests:
                worker.cancel(pending)
        for queue in self._queues:
            if pending in queue:
                queue.remove(pending)
        self._dispatch()

    def _dispatch(self) -> None:
        """Send requests to the workers with the fewest sentences, as long as these have room.

        Suspects come first, and each gets an idle worker; if there is none, one gets no more requests.
        """
        for tracer in (worker for worker in self.workers if worker.is_tracer and not worker.is_busy):
            if self.traces:
                tracer.start(self.traces.popleft())
        translators = [worker for worker in self.workers if not worker.is_tracer]
        idle = deque(worker for worker in translators if not worker.is_busy)
        while idle and self.suspects:
            idle.popleft().start(self.suspects.popleft())
        shared = [worker for worker in translators if not worker.has_suspect]
        if self.suspects and shared and len(shared) == len(translators):
            shared.remove(min(shared, key=attrgetter("load")))
        while self.waiting and shared:
            worker = min(shared, key=attrgetter("load"))
            if worker.load >= MAX_LOAD:
                break
            worker.start(self.waiting.popleft())

    async def _keep_worker(self, *, is_tracer: bool) -> None:
        """Run a worker process, and another one whenever it has died."""
        failures = 0  # to start
        while True:
            try:
                worker = Worker(await self._processes.start_worker(), is_tracer=is_tracer)
            except (NmtError, OSError) as error:
                log.error("no worker process can be started: %s", error or type(error).__name__)
                self.must_be_replaced = self.is_broken = True
                self._pool_broken.set()
                return
            self._starting.add(worker)
            try:
                await self._follow(worker)
            finally:
                self._starting.discard(worker)
                await worker.close()
            self.restarts += 1
            self._recover(worker)
            failures = 0 if worker.report else failures + 1
            pid = worker.report.pid if worker.report else "that was starting"
            reason = f"did not advance for {self._patience:g} s" if worker.has_stalled else "ended"
            log.warning("the worker process %s %s; another one replaces it", pid, reason)
            await asyncio.sleep(min(LONGEST_PAUSE, 0.05 * 2**failures) if failures else 0)

    async def _watch_template(self) -> None:
        """Have the pool replaced when its template has ended, before a worker is missing."""
        if await self._processes.wait_for_template_end():
            log.warning("the process that holds the models ended; the models are loaded again")
            self.must_be_replaced = True
            self._pool_broken.set()

    async def _follow(self, worker: Worker) -> None:
        """Pass on the results of a worker until it dies."""
        async for report in worker.reports():
            if worker not in self.workers:  # its first report
                self._starting.discard(worker)
                self.workers.append(worker)
                if worker.is_tracer:
                    lower_priority(report.pid)
            for event in report.events:
                worker.answer(event)
            self._dispatch()

    async def _end_stalled_workers(self) -> None:
        """Kill workers that do not advance; for one that does not start, kill the template, which may be why.

        Time is counted in checks, so that the service does not blame workers for a pause of its own.
        """
        while True:
            await asyncio.sleep(self._patience / CHECKS)
            for worker in (*self.workers, *self._starting):
                worker.silent_checks += worker.is_busy
                if worker.has_stalled and worker.report:
                    kill_process(worker.report.pid)
                elif worker.has_stalled:
                    self._processes.kill_template()
                    await worker.close()

    def _recover(self, worker: Worker) -> None:
        """Do the requests of a worker that died again, before those that wait."""
        if worker in self.workers:
            self.workers.remove(worker)
            self.ended_positions += worker.report.positions if worker.report else 0
        for pending in reversed(worker.requests.values()):
            pending.deaths += SUSPECT if worker.has_stalled else 1  # sooner, since each time takes long
            if pending.deaths >= MAX_DEATHS:
                what = "did not advance" if worker.has_stalled else "died repeatedly"
                pending.put(WorkerFailure(f"worker processes {what} while they translated this request"))
            elif worker.is_tracer:
                self.traces.appendleft(pending)
            elif pending.deaths >= SUSPECT:
                self.suspects.append(pending)
            else:
                self.waiting.appendleft(pending)
        self.suspects = deque(sorted(self.suspects, key=lambda one: one.ticket))  # none waits for ever
        self._dispatch()
