"""Real worker processes: killed, stopped, reloaded, without torch, and all answers right.

`NMT_FAULT_REQUESTS` sets the number of requests of the slow test.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from nmt.decoding.job import Job, Line, LineConstraints
from nmt.decoding.translation import Translation, translate_window
from nmt.errors import NmtError, UsageError
from nmt.export.directory import load_export
from nmt.operating_system import START_METHOD
from nmt.serve import processes
from nmt.serve.channel import Channel
from nmt.serve.requests import (
    LineRequest,
    ModelSource,
    TimeLimitExceeded,
    TranslationSettings,
    WorkerFailure,
)
from nmt.serve.service import Service
from nmt.serve.worker import _load
from nmt.workers import start_spawned
from tests.serve.test_batching import plain

pytest.importorskip("onnxruntime", reason="an exported translator needs the extra [fast]")

ARTIFACTS = Path(__file__).resolve().parents[1] / "compatibility/v0.1"
LINES = (ARTIFACTS / "lines.de").read_text(encoding="utf-8").split("\n")
SETTINGS = (
    TranslationSettings(),
    TranslationSettings(beam=1),
    TranslationSettings(n_best=3, aligned=True),
    TranslationSettings(attention=True),
)
CONSTRAINTS = (
    *[LineConstraints()] * 3,
    LineConstraints(must=("bird",)),
    LineConstraints(must_not=("old",), glossary=(("Hund", "cat"),)),
)


class Expected:
    """Requests, and their translations by the command's code in this process."""

    def __init__(self, count: int) -> None:
        draw = random.Random(1)
        self.draw, self.jobs = draw, {name: load_export(ARTIFACTS / name) for name in ("onnx", "onnx-int8")}
        self.requests = list[LineRequest]()
        for _ in range(count):
            text = " ".join(draw.choices(LINES, k=draw.choice([1, 1, 1, 4])))
            line = Line(1, text, constraints=draw.choice(CONSTRAINTS))
            self.requests.append(LineRequest(draw.choice([*self.jobs]), line, draw.choice(SETTINGS)))
        self.translations = [plain(self._translate(request)) for request in self.requests]

    def _translate(self, request: LineRequest) -> Translation:
        job: Job = request.settings.configure(self.jobs[request.model])
        return translate_window([request.line], job)[0]


def serve(test: Callable[[Service], Coroutine[Any, Any, None]], *models: Path, **settings: Any) -> None:
    async def run() -> None:
        sources = [ModelSource(path.name, str(path)) for path in models]
        async with Service(sources, **settings) as service:
            await test(service)

    asyncio.run(run())


async def until(is_true: Callable[[], object]) -> None:
    """Wait, for a minute at most."""
    async with asyncio.timeout(60):
        while not is_true():
            await asyncio.sleep(0.01)


def pids(service: Service) -> list[int]:
    """The worker processes."""
    assert service._pool is not None
    return [worker.report.pid for worker in service._pool.workers if worker.report]


def make_trouble(service: Service, draw: random.Random, models: list[Path]) -> str:
    """Kill or stop a worker or their template, or replace a file of a model; return what was done."""
    if draw.random() < 0.1 and service._pool is not None:
        service._pool._processes.kill_template()
        return "template killed"
    if draw.random() < 0.7 and (alive := pids(service)):
        name = "SIGSTOP" if draw.random() < 0.01 else "SIGKILL"
        with suppress(ProcessLookupError):  # it was killed just now
            os.kill(draw.choice(alive), signal.Signals[name])
        return name
    file = draw.choice(models) / "config.json"
    file.with_suffix(".new").write_bytes(file.read_bytes())
    file.with_suffix(".new").replace(file)
    return "changed files"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9")
@pytest.mark.parametrize(
    "count", [120, pytest.param(int(os.environ.get("NMT_FAULT_REQUESTS", "20000")), marks=pytest.mark.slow)]
)
def test_no_answer_is_wrong_or_lost_with_aborts_kills_and_reloads(count: int, tmp_path: Path) -> None:
    expected = Expected(60)
    draw, models = expected.draw, [tmp_path / name for name in expected.jobs]
    for path in models:
        shutil.copytree(ARTIFACTS / path.name, path)
    wrong, counts, troubles = list[int](), Counter[str](), Counter[str]()
    interval = max(25, count // 1000)

    async def ask(service: Service, number: int) -> None:
        request, fate = expected.requests[number], draw.random()
        if fate < 0.05:
            request = request._replace(seconds=0.001)
        task = asyncio.create_task(service.translate(request))
        if 0.05 < fate < 0.15:
            await asyncio.sleep(draw.random() / 50)
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            counts["aborted"] += 1
        elif isinstance(error := task.exception(), NmtError):
            counts["late" if isinstance(error, TimeLimitExceeded) else "lost"] += 1
        else:
            counts["answered"] += 1
            if plain(task.result()) != expected.translations[number]:
                wrong.append(number)

    async def client(service: Service) -> None:
        for _ in range(count // 30):
            await ask(service, draw.randrange(len(expected.requests)))
            if counts.total() % 1000 == 0:  # a long run shows its progress with -s
                print(f"{dict(counts)}, {len(wrong)} wrong, {dict(troubles)}", flush=True)
            if counts.total() % interval == 0:
                troubles[make_trouble(service, draw, models)] += 1

    async def test(service: Service) -> None:
        await asyncio.gather(*(client(service) for _ in range(30)))
        troubles["restarts"], troubles["reloads"] = service.statistics.restarts, service.statistics.reloads

    serve(test, *models, workers=2, poll=0.3, worker_seconds=10)
    print(f"{dict(counts)}, {dict(troubles)}")
    assert (wrong, counts["lost"]) == ([], 0)
    assert counts.total() == count // 30 * 30
    assert counts["answered"] > counts["aborted"] + counts["late"]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped")
def test_a_worker_that_does_not_advance_is_replaced() -> None:
    request = LineRequest("onnx", Line(1, LINES[0]))

    async def test(service: Service) -> None:
        found = await service.translate(request)
        os.kill(pids(service)[0], signal.SIGSTOP)
        assert plain(await service.translate(request)) == plain(found)
        assert service.statistics.restarts == 1

    serve(test, ARTIFACTS / "onnx", worker_seconds=2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9")
def test_workers_that_are_not_forked_load_the_models_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_METHOD", "spawn")
    requests = [LineRequest("onnx", Line(1, text)) for text in LINES[:8]]

    async def test(service: Service) -> None:
        found = await asyncio.gather(*map(service.translate, requests))
        assert service._pool is not None
        assert service._pool._processes._template is None
        os.kill(pids(service)[0], signal.SIGKILL)
        again = await asyncio.gather(*map(service.translate, requests))
        assert [*map(plain, again)] == [*map(plain, found)]
        assert service.statistics.restarts == 1

    serve(test, ARTIFACTS / "onnx", workers=2)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9")
def test_workers_and_their_template_can_be_killed(tmp_path: Path) -> None:
    request = LineRequest("onnx", Line(1, LINES[0]))

    async def test(service: Service) -> None:
        found = await service.translate(request)
        (first,) = pids(service)
        os.kill(first, signal.SIGKILL)
        assert plain(await service.translate(request)) == plain(found)
        assert service.statistics.restarts == 1
        for victims in (1, 2) if START_METHOD == "fork" else ():
            pool = service._pool
            assert pool is not None
            for pid in [pool._processes._processes[0].pid, *pids(service)][:victims]:
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            assert plain(await service.translate(request)) == plain(found)
            await until(lambda pool=pool: service._pool is not pool)  # type: ignore[misc]

    serve(test, ARTIFACTS / "onnx")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9")
@pytest.mark.parametrize("kills", [1, processes.LOAD_ATTEMPTS])
def test_a_process_that_is_killed_while_it_loads_the_models_is_replaced(
    kills: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started = list[int]()

    def start(process: BaseProcess) -> None:
        start_spawned(process)
        assert process.pid is not None
        started.append(process.pid)
        if len(started) <= kills:
            os.kill(process.pid, signal.SIGKILL)

    async def test(service: Service) -> None:
        assert (await service.translate(LineRequest("onnx", Line(1, LINES[0])))).text

    monkeypatch.setattr(processes, "start_spawned", start)
    if kills < processes.LOAD_ATTEMPTS:
        serve(test, ARTIFACTS / "onnx")
    else:
        with pytest.raises(WorkerFailure, match="were killed: is there memory enough"):
            serve(test, ARTIFACTS / "onnx")
    assert len(started) == min(kills + 1, processes.LOAD_ATTEMPTS)
    assert "was killed; another one replaces it" in caplog.text


@pytest.mark.skipif(START_METHOD != "fork", reason="there is no template")
def test_a_template_that_does_not_advance_is_replaced() -> None:
    request = LineRequest("onnx", Line(1, LINES[0]), seconds=50)

    async def test(service: Service) -> None:
        found = await service.translate(request)
        assert service._pool is not None
        template = service._pool._processes._processes[0].pid
        assert template is not None
        os.kill(template, signal.SIGSTOP)
        os.kill(pids(service)[0], signal.SIGKILL)
        assert plain(await service.translate(request)) == plain(found)

    serve(test, ARTIFACTS / "onnx", worker_seconds=2)


def test_a_model_that_changed_is_reloaded_unless_it_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, other = tmp_path / "model", ARTIFACTS / "onnx-int8"
    shutil.copytree(ARTIFACTS / "onnx", model)
    request = LineRequest("model", Line(1, LINES[0]))

    async def test(service: Service) -> None:
        found = await service.translate(request)
        (model / "checksums.json").write_text("{}", encoding="utf-8")
        await until(lambda: "the models in use stay" in caplog.text)
        assert plain(await service.translate(request)) == plain(found)
        precisions = [service.models["model"].precision]
        shutil.rmtree(model)
        shutil.copytree(other, model)
        await until(lambda: service.statistics.reloads == 1)
        precisions.append(service.models["model"].precision)
        assert precisions == ["float32", "int8"]
        assert plain(await service.translate(request)) == plain(
            translate_window([request.line], load_export(other))[0]
        )
        with pytest.raises(UsageError, match="was exported in float32"):
            await service.reload([ModelSource("bad", str(ARTIFACTS / "onnx"), "int8")])
        assert [*service.models] == ["model"]

    serve(test, model, poll=0.05)


def test_a_model_that_cannot_be_loaded_is_an_error_of_the_start() -> None:
    async def run() -> None:
        await Service([ModelSource("m", str(ARTIFACTS / "onnx"), "int8")]).start()

    with pytest.raises(UsageError, match="was exported in float32"):
        asyncio.run(run())


PROGRAM = """
import asyncio, sys
from nmt.decoding.job import Line
from nmt.serve.requests import LineRequest, ModelSource
from nmt.serve.service import Service

async def run():
    async with Service([ModelSource("m", sys.argv[1])]) as service:
        print((await service.translate(LineRequest("m", Line(1, sys.argv[2])))).text)

if __name__ == "__main__":
    asyncio.run(run())
"""


def test_exports_are_served_without_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('torch is imported')", encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", ARTIFACTS / "onnx", LINES[0]],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        check=False,
    )
    assert done.stderr.decode() == ""
    expected = translate_window([Line(1, LINES[0])], load_export(ARTIFACTS / "onnx"))[0]
    assert done.stdout.decode().splitlines() == [expected.text]


def test_a_template_whose_service_has_ended_ends_without_an_error(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        assert _load(Channel(theirs), [ModelSource("m", str(tmp_path))], False) == {}
