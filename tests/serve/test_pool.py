"""Requests are dispatched, limited, cancelled and done again; the workers of these tests are coroutines."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from nmt.decoding.job import Line
from nmt.decoding.translation import Candidate, Translation
from nmt.errors import DataError
from nmt.serve import pool
from nmt.serve.batching import Event
from nmt.serve.channel import encode_message, read_message
from nmt.serve.model_files import LoadedFiles
from nmt.serve.requests import (
    LineRequest,
    ModelSource,
    QueueFull,
    ServedModel,
    ServiceStopping,
    TimeLimitExceeded,
    UnknownModel,
    WorkerFailure,
)
from nmt.serve.service import Service
from nmt.serve.worker import Cancellation, Start, WorkerReport

SOURCES = [ModelSource("m", "somewhere")]
FACTS = ServedModel("m", "somewhere", "run", "float32", ("de", "en"), "0", True, False, 5)


def text_of(start: Start) -> str:
    asked = start.request
    return asked.line.text if isinstance(asked, LineRequest) else asked.text


class Processes:
    """Workers that answer with the text, die of "poison", keep "wait", and do nothing more after "hang"."""

    loads, fails_to_load, starts, explains, silent = 0, False, 1_000_000, False, 0
    everything: list["Processes"] = []

    def __init__(self, sources: Any, *, trust_code: bool) -> None:
        self.sources, self.trust_code = sources, trust_code
        self.received = list[tuple[int, Any]]()  # by worker
        self.tasks = list[asyncio.Task[None]]()
        self.is_closed, self.killed = False, asyncio.Event()
        Processes.everything.append(self)

    async def load(self) -> list[LoadedFiles]:
        if Processes.fails_to_load:
            raise DataError("damaged")
        Processes.loads += 1
        facts = FACTS._replace(name=self.sources[0].name, explains=Processes.explains)
        return [LoadedFiles(facts, Path("somewhere"), ())]

    async def start_worker(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if len(self.tasks) >= Processes.starts or self.killed.is_set():
            raise BrokenPipeError
        ours, theirs = socket.socketpair()
        self.tasks.append(asyncio.create_task(self._work(len(self.tasks), theirs)))
        return await asyncio.open_connection(sock=ours)

    async def _work(self, number: int, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            if Processes.silent:
                Processes.silent -= 1
                await reader.read()
                return
            writer.write(encode_message(WorkerReport(number, 0, 0, 0, [])))
            await self._answer(number, reader, writer)
        finally:
            writer.close()

    async def _answer(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError, OSError):
            for received in count(1):
                message, events = await read_message(reader), list[Event]()
                self.received.append((number, message))
                if isinstance(message, Start):
                    text = text_of(message)
                    if text == "poison":
                        break
                    if text == "hang":
                        await asyncio.Event().wait()
                    if text != "wait":
                        await asyncio.sleep(0)
                        found: Any = {"trace": text}
                        if isinstance(message.request, LineRequest):
                            candidates = [Candidate(text, 0, 0, [], [])]
                            found = Translation(message.request.line, candidates, [], [], [])
                        events.append(Event(message.ticket, found))
                writer.write(encode_message(WorkerReport(number, received, 0, len(events), events)))

    def kill_template(self) -> None:
        self.killed.set()

    async def wait_for_template_end(self) -> bool:
        return await self.killed.wait()

    async def close(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.is_closed = True

    @classmethod
    def kill(cls, number: int) -> None:
        cls.everything[-1].tasks[number].cancel()


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"loads": 0, "fails_to_load": False, "starts": 1_000_000, "silent": 0}.items():
        monkeypatch.setattr(Processes, name, value)
    monkeypatch.setattr(Processes, "everything", [])
    monkeypatch.setattr(pool, "WorkerProcesses", Processes)
    monkeypatch.setattr(pool, "kill_process", Processes.kill)


def serve(
    test: Callable[[Service], Coroutine[Any, Any, None]], *, finish: bool = True, **settings: Any
) -> None:
    async def run() -> None:
        service = Service(SOURCES, poll=0, **settings)
        await service.start()
        await test(service)
        if finish:
            await service.drain()

    asyncio.run(asyncio.wait_for(run(), 60))


def request(text: str, seconds: float | None = None, model: str = "m") -> LineRequest:
    return LineRequest(model, Line(1, text), seconds=seconds)


async def received(text: str) -> None:
    """Wait until a worker has a text."""
    while not any(
        isinstance(message, Start) and text_of(message) == text
        for one in Processes.everything
        for _, message in one.received
    ):
        await asyncio.sleep(0)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_request_that_kills_its_workers_is_given_up_and_no_other(workers: int) -> None:
    async def test(service: Service) -> None:
        texts = [str(number) for number in range(50)]
        tasks = [asyncio.create_task(service.translate(request(text))) for text in texts[:25]]
        poison = asyncio.create_task(service.translate(request("poison")))
        tasks += [asyncio.create_task(service.translate(request(text))) for text in texts[25:]]
        assert [one.text for one in await asyncio.gather(*tasks)] == texts
        with pytest.raises(WorkerFailure, match="worker processes died repeatedly while they translated"):
            await poison
        assert service.statistics.restarts == pool.MAX_DEATHS
        assert (await service.translate(request("after"))).text == "after"
        assert service.statistics.translated == 51

    serve(test, workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_stalls_its_workers_is_given_up_and_no_other(
    workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(service: Service) -> None:
        texts = [str(number) for number in range(20)]
        tasks = [asyncio.create_task(service.translate(request(text))) for text in texts[:5]]
        hung = asyncio.create_task(service.translate(request("hang")))
        tasks += [asyncio.create_task(service.translate(request(text))) for text in texts[5:]]
        with pytest.raises(WorkerFailure, match="worker processes did not advance while they translated"):
            await hung
        assert [one.text for one in await asyncio.gather(*tasks)] == texts
        assert service.statistics.restarts == 3
        assert "did not advance for 0.2 s; another one replaces it" in caplog.text

    serve(test, workers=workers, worker_seconds=0.2)


def test_a_stalled_worker_is_replaced_though_its_requests_were_left() -> None:
    async def test(service: Service) -> None:
        left = asyncio.create_task(service.translate(request("hang")))
        await received("hang")
        left.cancel()
        assert (await service.translate(request("a"))).text == "a"
        assert service.statistics.restarts == 1

    serve(test, worker_seconds=0.2)


def test_a_worker_that_stalls_at_its_start_is_replaced_by_a_template_that_is_new(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(service: Service) -> None:
        assert (await service.translate(request("a"))).text == "a"
        Processes.silent = 1
        Processes.kill(0)
        assert (await service.translate(request("b"))).text == "b"
        assert [one.killed.is_set() for one in Processes.everything] == [True, False]
        assert "that was starting did not advance for 0.2 s" in caplog.text

    serve(test, worker_seconds=0.2, seconds=20.0)


def test_lines_go_to_the_worker_with_the_fewest_sentences() -> None:
    async def test(service: Service) -> None:
        while service.statistics.workers < 2:
            await asyncio.sleep(0)
        long = asyncio.create_task(service.translate(request("long " * 200)))
        others = [asyncio.create_task(service.translate(request("wait", 0.5))) for _ in range(4)]
        await long
        await asyncio.gather(*others, return_exceptions=True)
        first, *rest = [
            number for number, message in Processes.everything[0].received if isinstance(message, Start)
        ]
        assert rest == [1 - first] * 4

    serve(test, workers=2)


def test_a_full_queue_an_unknown_model_and_a_stopping_service_refuse() -> None:
    async def test(service: Service) -> None:
        with pytest.raises(UnknownModel, match="no model 'x', one of: m"):
            await service.translate(request("a", model="x"))
        tasks = [asyncio.create_task(service.translate(request("wait", 0.2))) for _ in range(3)]
        await received("wait")
        with pytest.raises(QueueFull) as refused:
            await service.translate(request("a"))
        assert refused.value.retry_after > 0
        draining = asyncio.create_task(service.drain())
        await asyncio.sleep(0)
        with pytest.raises(ServiceStopping):
            await service.translate(request("a"))
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [TimeLimitExceeded] * 3
        await draining
        assert not service.models

    serve(test, queue=3, finish=False)


def test_traces_and_translations_have_the_queue_limit_each() -> None:
    async def test(service: Service) -> None:
        traces = [asyncio.create_task(service.explain("m", "wait", 0.2)) for _ in range(2)]
        await received("wait")
        with pytest.raises(QueueFull, match="2 lines"):
            await service.explain("m", "a")
        assert (await service.translate(request("a"))).text == "a"
        lines = [asyncio.create_task(service.translate(request("wait", 0.2))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match="2 lines"):
            await service.find_alternatives("m", "a", "", "b")
        ends = await asyncio.gather(*traces, *lines, return_exceptions=True)
        assert [type(end) for end in ends] == [TimeLimitExceeded] * 4

    serve(test, queue=2)


def test_a_request_that_is_late_or_left_frees_its_rows() -> None:
    async def test(service: Service) -> None:
        left = asyncio.create_task(service.translate(request("wait")))
        with pytest.raises(TimeLimitExceeded, match=r"not translated within 0\.05 s"):
            await service.translate(request("wait", 0.05))
        left.cancel()
        await asyncio.wait([left])
        assert (await service.translate(request("a"))).text == "a"
        messages = [message for _, message in Processes.everything[0].received]
        assert [type(one) for one in messages[:4]] == [Start, Start, Cancellation, Cancellation]
        assert [one.ticket for one in messages[:4]] == [1, 2, 1, 2]
        assert service.statistics._replace(positions=0) == service.statistics._replace(
            translated=1, failed=1, cancelled=1, running=0, waiting=0, positions=0
        )

    serve(test)


def test_a_drain_finishes_what_was_accepted() -> None:
    async def test(service: Service) -> None:
        tasks = [asyncio.create_task(service.translate(request(str(number)))) for number in range(300)]
        await received("0")
        await service.drain()
        assert [one.text for one in await asyncio.gather(*tasks)] == [*map(str, range(300))]

    serve(test, finish=False)


def test_if_no_worker_can_be_started_the_models_are_loaded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.serve.service.RETRY_PAUSE", 0.01)

    async def test(service: Service) -> None:
        Processes.starts, Processes.fails_to_load = 1, True
        tasks = [
            asyncio.create_task(service.translate(request(text))) for text in ("a", "poison", "wait", "b")
        ]
        while len(Processes.everything) < 3:  # two attempts to load
            await asyncio.sleep(0)
        Processes.starts, Processes.fails_to_load = 1_000_000, False
        assert (await tasks[0]).text == "a"
        tasks[2].cancel()
        assert (await tasks[3]).text == "b"
        with pytest.raises(WorkerFailure):
            await tasks[1]
        assert Processes.loads == 2
        assert (await service.translate(request("after"))).text == "after"

    serve(test)


def test_a_template_that_ends_is_replaced_while_its_workers_finish(caplog: pytest.LogCaptureFixture) -> None:
    async def test(service: Service) -> None:
        kept = asyncio.create_task(service.translate(request("wait")))
        await received("wait")
        first = Processes.everything[0]
        first.kill_template()
        while len(Processes.everything) < 2 or not service._retired:
            await asyncio.sleep(0)
        assert (await service.translate(request("a"))).text == "a"
        assert (len(first.received), first.tasks[0].done(), service.statistics.restarts) == (1, False, 0)
        first.tasks[0].cancel()  # its request moves to the new worker
        while len(Processes.everything[1].received) < 2:
            await asyncio.sleep(0)
        kept.cancel()
        await asyncio.wait(first.tasks)
        assert "the process that holds the models ended; the models are loaded again" in caplog.text

    serve(test)


def test_a_reload_keeps_requests_and_a_failed_one_keeps_the_models() -> None:
    async def test(service: Service) -> None:
        kept = asyncio.create_task(service.translate(request("wait", 0.3)))
        await received("wait")
        Processes.fails_to_load = True
        with pytest.raises(DataError, match="damaged"):
            await service.reload(SOURCES)
        assert (await service.translate(request("a"))).text == "a"
        Processes.fails_to_load = False
        await service.reload(SOURCES)
        assert (await service.translate(request("b"))).text == "b"
        first, _, last = Processes.everything
        assert [first.trust_code, last.trust_code] == [True, False]
        assert len(first.received) == 2
        assert len(last.received) == 1
        assert not first.tasks[0].done()
        with pytest.raises(TimeLimitExceeded):
            await kept
        await asyncio.wait(first.tasks)
        assert service.statistics.reloads == 1

    serve(test, trust_code=True)


def test_a_reload_that_ends_after_the_drain_leaves_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(service: Service) -> None:
        drained, load = asyncio.Event(), Processes.load

        async def load_late(self: Processes) -> list[LoadedFiles]:
            await drained.wait()
            return await load(self)

        monkeypatch.setattr(Processes, "load", load_late)
        reload = asyncio.create_task(service.reload(SOURCES))
        await asyncio.sleep(0)
        await service.drain()
        drained.set()
        with pytest.raises(ServiceStopping):
            await reload
        with pytest.raises(ServiceStopping):
            await service.reload(SOURCES)
        assert [one.is_closed for one in Processes.everything] == [True] * 3
        assert not service.models

    serve(test, finish=False)


def test_a_drain_ends_models_that_are_only_held() -> None:
    async def test(service: Service) -> None:
        with service.hold_models():
            await service.reload(SOURCES)
            await service.drain()
            assert [one.is_closed for one in Processes.everything] == [True, True]

    serve(test, finish=False)


def test_models_that_are_held_translate_requests_that_began_before_a_reload() -> None:
    async def test(service: Service) -> None:
        with service.hold_models() as version:
            await service.reload([ModelSource("other", "elsewhere")])
            await service.reload([ModelSource("last", "elsewhere")])
            first, _, last = Processes.everything
            assert len(service._retired) == 1
            assert [*service.models] == ["last"]
            for text in ("line", "next line"):  # nothing is pending between them
                held = request(text)._replace(version=version)
                assert (await service.translate(held)).text == text
            assert [len(one.received) for one in (first, last)] == [2, 0]
            with pytest.raises(UnknownModel, match="no model 'm', one of: last"):
                await service.translate(request("a"))
            assert not first.tasks[0].done()
        await asyncio.wait(first.tasks)
        with pytest.raises(UnknownModel):
            await service.translate(held)

    serve(test)


def test_the_present_models_replace_held_ones_whose_workers_cannot_be_started() -> None:
    async def test(service: Service) -> None:
        with service.hold_models() as version:
            await service.reload(SOURCES)
            Processes.starts = 1
            poison = asyncio.create_task(service.translate(request("poison")._replace(version=version)))
            while service._retired:
                await asyncio.sleep(0)
            Processes.starts = 1_000_000
            with pytest.raises(WorkerFailure):
                await poison
            assert (await service.translate(request("a")._replace(version=version))).text == "a"
        assert len(Processes.everything[0].received) == 1

    serve(test)


def test_traces_wait_for_a_process_of_their_own_and_hold_up_no_translation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lowered = list[int]()
    monkeypatch.setattr(Processes, "explains", True)
    monkeypatch.setattr(pool, "START_METHOD", "fork")
    monkeypatch.setattr(pool, "lower_priority", lowered.append)

    async def test(service: Service) -> None:
        waiting, *others = [
            asyncio.create_task(service.explain("m", text)) for text in ("wait", "a", "poison", "b")
        ]
        await received("wait")
        assert (await service.translate(request("line"))).text == "line"
        assert (service.statistics.workers, service.statistics.waiting) == (1, 3)
        waiting.cancel()
        ends = await asyncio.gather(*others, return_exceptions=True)
        assert [ends[0], ends[2]] == [{"trace": "a"}, {"trace": "b"}]
        assert isinstance(ends[1], WorkerFailure)
        assert lowered == [*range(1, pool.MAX_DEATHS + 2)]
        texts = {text_of(message) for number, message in Processes.everything[0].received if number == 0}
        assert texts == {"line"}

    serve(test)


def test_of_the_requests_whose_workers_died_the_oldest_is_done_again_first() -> None:
    pool_ = pool.WorkerPool(SOURCES, 2, asyncio.Event(), patience=1, trust_code=False)
    for tickets in ((2, 5), (3, 4), (1,)):
        worker = pool.Worker((None, None))  # type: ignore[arg-type]
        for ticket in tickets:
            pending = pool.PendingRequest(ticket, request("a"), is_streamed=False)
            pending.deaths = pool.SUSPECT - 1
            worker.requests[ticket] = pending
        pool_._recover(worker)
    assert [pending.ticket for pending in pool_.suspects] == [1, 2, 3, 4, 5]
