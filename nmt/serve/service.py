"""`Service`: translations of several models for concurrent requests, in an asyncio program.

    async with Service([ModelSource("de-en", "runs/de-en")], workers=2) as service:
        translation = await service.translate(LineRequest("de-en", Line(1, "Ein Haus.")))

A translation is that of `nmt translate` with the same model and settings, whatever else is being translated.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar

from nmt.decoding.translation import Translation
from nmt.errors import NmtError
from nmt.serve.alternatives import WordAlternatives
from nmt.serve.batching import Result
from nmt.serve.inspection import Inspection, TraceRequest, WordRequest
from nmt.serve.model_files import Identity, read_identity
from nmt.serve.pool import PendingRequest, WorkerPool
from nmt.serve.requests import (
    LineRequest,
    ModelSource,
    QueueFull,
    ServedModel,
    ServiceStopping,
    Statistics,
    TimeLimitExceeded,
    TranslatedPart,
    UnknownModel,
    check_sources,
)

log = logging.getLogger("nmt.serve")

ResultT = TypeVar("ResultT")

RETRY_PAUSE = 5.0  # seconds between attempts to start workers again


class Service:
    """Served models, and the worker processes that translate with them.

    All methods are called in one event loop. With `trust_code` the cell files that the models have at the
    start are run, and trusted from then on; without it only those that the user trusts.
    """

    def __init__(
        self,
        models: Iterable[ModelSource],
        *,
        workers: int = 1,
        queue: int = 1000,  # lines that are accepted and not yet translated, and as many traces
        seconds: float = 60.0,  # limit of a request
        worker_seconds: float = 15.0,  # in which a worker must advance, or it is replaced
        poll: float = 2.0,  # seconds between looks at the files of the models; 0: never
        trust_code: bool = False,
    ) -> None:
        self._sources, self._workers, self._trust_code = check_sources(models), workers, trust_code
        self.queue, self._seconds, self._poll, self._patience = queue, seconds, poll, worker_seconds
        self._pool: WorkerPool | None = None  # the present one
        self._versions = count(1)  # of the models: pools, one after another
        self._retired = set[WorkerPool]()  # which finish their requests
        self._watchers, self._closing = list[asyncio.Task[None]](), set[asyncio.Task[None]]()
        self._changes = asyncio.Lock()  # of the models
        self._is_stopping = False
        self._tickets, self._pending = count(1), dict[int, PendingRequest]()
        self._pool_broken = asyncio.Event()  # a pool
        self._is_idle = asyncio.Event()  # no request is pending
        self._is_idle.set()
        self._counts = Counter[str]()  # by fields of `Statistics`

    async def start(self) -> None:
        """Load the models and start the workers; raise DataError or UsageError if one cannot be loaded."""
        await self._replace_pool(self._sources, trust_code=self._trust_code)
        watched = [self._watch_workers(), *([self._watch_files()] if self._poll else [])]
        self._watchers = [asyncio.create_task(work) for work in watched]

    async def drain(self) -> None:
        """Refuse new requests, finish those that are accepted, and stop the workers."""
        self._is_stopping = True
        await self._is_idle.wait()
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        pools, self._pool, self._retired = self._pools, None, set()
        for pool in pools:
            self._close(pool)
        await asyncio.gather(*self._closing)

    async def reload(self, models: Iterable[ModelSource]) -> None:
        """Load these models anew, and serve them from then on; accepted requests keep the earlier ones.

        Raises DataError or UsageError if one cannot be loaded, and the models stay as they were, and
        ServiceStopping if the service has ended meanwhile.
        """
        await self._replace_pool(check_sources(models), trust_code=False)
        self._counts["reloads"] += 1

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    @property
    def models(self) -> Mapping[str, ServedModel]:
        """The models by name."""
        return {} if self._pool is None else {name: one.model for name, one in self._pool.models.items()}

    @property
    def statistics(self) -> Statistics:
        """The present counts."""
        workers = [worker for pool in self._pools for worker in pool.workers]
        running = sum(len(worker.requests) for worker in workers)
        return Statistics(**self._counts)._replace(
            waiting=len(self._pending) - running,
            running=running,
            live_sentences=sum(worker.report.live for worker in workers if worker.report),
            positions=self._counts["positions"] + sum(pool.positions for pool in self._pools),
            restarts=self._counts["restarts"] + sum(pool.restarts for pool in self._pools),
            workers=sum(not worker.is_tracer for worker in workers),
        )

    @property
    def _pools(self) -> list[WorkerPool]:
        return [pool for pool in (self._pool, *self._retired) if pool is not None]

    @contextmanager
    def hold_models(self) -> Iterator[int]:
        """Yield the version of the models, which stays in memory until the block ends, even after a reload.

        Requests with this `version` get the same models. Raises ServiceStopping.
        """
        if self._pool is None:
            raise ServiceStopping("the service has ended, or has not started: send the request later")
        pool = self._pool
        pool.holders += 1
        try:
            yield pool.version
        finally:
            pool.holders -= 1
            if pool in self._retired:
                self._retire(pool)

    async def translate(self, request: LineRequest) -> Translation:
        """Translate a line; when the calling task is cancelled, its search ends.

        Raises QueueFull, TimeLimitExceeded, UnknownModel, ServiceStopping, UsageError for settings that the
        model cannot do, and WorkerFailure. A line that cannot be translated has `line.error` and `notes`,
        as in `nmt translate`.
        """
        return await self._last(request, request.seconds, Translation)

    async def stream(self, request: LineRequest) -> AsyncGenerator[TranslatedPart | Translation, None]:
        """Yield the parts of a line in order, each when it is translated, then the translation.

        Closing the iterator, or cancelling the task that reads it, ends the search.
        """
        async with aclosing(self._results(request, request.seconds, is_streamed=True)) as results:
            async for result in results:
                if isinstance(result, TranslatedPart | Translation):
                    yield result

    async def explain(self, model: str, text: str, seconds: float | None = None) -> dict[str, Any]:
        """Return the data of a line's sentence page (`nmt.lab.inspect.page.pack_trace`).

        Raises what `translate` raises, and UsageError for an export and for a line of several parts.
        """
        return await self._last(TraceRequest(model, text), seconds, dict)

    async def find_alternatives(
        self, model: str, text: str, before: str, word: str, seconds: float | None = None
    ) -> WordAlternatives:
        """Return the attention of a word of a line's translation, and the words that might have been there.

        `before` is the translation up to the word. Raises what `translate` raises.
        """
        return await self._last(WordRequest(model, text, before, word), seconds, WordAlternatives)

    async def _last(
        self, request: LineRequest | Inspection, seconds: float | None, kind: type[ResultT]
    ) -> ResultT:
        async with aclosing(self._results(request, seconds, is_streamed=False)) as results:
            async for result in results:
                if isinstance(result, kind):
                    return result
        raise AssertionError("a request ends with its result or an error")

    async def _results(
        self, request: LineRequest | Inspection, seconds: float | None, *, is_streamed: bool
    ) -> AsyncGenerator[Result, None]:
        """Yield the results of a request; raise its error, and cancel it when it is left."""
        limit = self._seconds if seconds is None else seconds
        deadline = asyncio.get_running_loop().time() + limit
        pending = self._accept(request, is_streamed=is_streamed)
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    result = await pending.results.get()
                if isinstance(result, Exception):
                    raise result
                self._counts["translated"] += not isinstance(result, TranslatedPart)
                yield result
                if not isinstance(result, TranslatedPart):
                    return
        except TimeoutError:
            self._counts["failed"] += 1
            raise TimeLimitExceeded(f"the line was not translated within {limit:g} s") from None
        except NmtError:
            self._counts["failed"] += 1
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._counts["cancelled"] += not pending.is_done
            raise
        finally:
            self._forget(pending)

    def _accept(self, request: LineRequest | Inspection, *, is_streamed: bool) -> PendingRequest:
        if self._is_stopping or self._pool is None:
            raise ServiceStopping("the service is stopping, or has not started: send the request later")
        version = request.version if isinstance(request, LineRequest) else None
        pool = next((one for one in self._retired if one.version == version), self._pool)
        if request.model not in pool.models:
            raise UnknownModel(f"no model {request.model!r}, one of: {', '.join(pool.models)}")
        is_trace = isinstance(request, TraceRequest)  # traces have as much room of their own: each takes long
        kinds = (isinstance(one.request, TraceRequest) for one in self._pending.values())
        if len(self._pending) >= self.queue and [*kinds].count(is_trace) >= self.queue:
            raise QueueFull(f"{self.queue:,} lines are waiting already: send the request later")
        pending = PendingRequest(next(self._tickets), request, is_streamed=is_streamed)
        self._pending[pending.ticket] = pending
        self._is_idle.clear()
        pool.submit(pending)
        return pending

    def _forget(self, pending: PendingRequest) -> None:
        del self._pending[pending.ticket]
        if not self._pending:
            self._is_idle.set()
        if not pending.is_done:
            for pool in self._pools:
                pool.cancel(pending)
        for pool in [*self._retired]:
            self._retire(pool)

    async def _replace_pool(self, sources: list[ModelSource], *, trust_code: bool) -> None:
        """Start workers with these models; those that there were finish what they have."""
        async with self._changes:
            pool = WorkerPool(
                sources, self._workers, self._pool_broken, patience=self._patience, trust_code=trust_code
            )
            await pool.start()
            if self._is_stopping and self._pool is None:
                await pool.close()
                raise ServiceStopping("the service has ended: the models were not replaced")
            pool.version = next(self._versions)
            before, self._pool, self._sources = self._pool, pool, sources
            if before is not None:
                self._retired.add(before)
                self._retire(before)

    def _retire(self, pool: WorkerPool) -> None:
        """Close a replaced pool unless it has requests or is held; those of a broken one are moved."""
        if pool.is_broken and self._pool is not None:
            for pending in pool.pending:
                self._pool.submit(pending)
        if pool.is_broken or not (pool.holders or pool.pending):
            self._retired.remove(pool)
            self._close(pool)

    def _close(self, pool: WorkerPool) -> None:
        self._counts += Counter(positions=pool.positions, restarts=pool.restarts)
        task = asyncio.create_task(pool.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _watch_workers(self) -> None:
        """Load the models again when no worker can be started any more."""
        while True:
            await self._pool_broken.wait()
            self._pool_broken.clear()
            for pool in [*self._retired]:
                self._retire(pool)
            if self._pool is None or not self._pool.must_be_replaced:
                continue
            try:
                await self._replace_pool(self._sources, trust_code=False)
            except (NmtError, OSError) as error:
                log.error("the models cannot be loaded again: %s", error)
                await asyncio.sleep(RETRY_PAUSE)
                self._pool_broken.set()

    async def _watch_files(self) -> None:
        """Load the models anew when the files of one have changed and are no longer being written."""
        last_failed: list[Identity] = []
        while True:
            await asyncio.sleep(self._poll)
            if self._pool is None:
                return
            loaded = [*self._pool.models.values()]
            found = [await asyncio.to_thread(read_identity, one.directory) for one in loaded]
            if found == [one.identity for one in loaded] or found == last_failed:
                continue
            await asyncio.sleep(self._poll)
            again = [await asyncio.to_thread(read_identity, one.directory) for one in loaded]
            if again != found:
                continue
            try:
                await self.reload(self._sources)
                log.info("models were reloaded, since their files have changed")
            except (NmtError, OSError) as error:
                last_failed = found
                log.error("the models in use stay: their files have changed, but %s", error)
