"""The translation service under load, compared with `nmt translate` of the same lines.

    python -m benchmarks.serve RUN LINES [--short] [--lines N] [--rounds N] [--clients N ...]
                               [--workers N ...] [--precision float32 int8] [--over service http]
                               [--many N] [--peer URL]

For each precision, number of workers, and way to send requests (to the `Service` in this process; over HTTP
to `nmt serve`): closed loops of some clients (each sends a line when its last one is answered), and an open
loop whose lines come at random (Poisson) at 80% of the capacity just measured; its latencies count from the
time at which a line was due. Each is timed in turn with the lines translated at once in this process, with
one thread, as `nmt translate` does; the figures are medians of the rounds. On a machine with other work the
ratios are what counts: of lines a second, of the CPU time of a line (of the server, without the client), and
of the latency to that of one client.

`--many` shows the memory of the workers over so many requests. `--peer` measures another server with OpenNMT-
py's interface in the same rounds, such as that of OpenNMT-py, in the environment that `benchmarks.peers`
makes, for the model in `opennmt-model_step_2.pt` and the lines in `test.src`, both of fixed lengths:

    opennmt/bin/onmt_server --config server.json --port 5001
    {"models_root": ".", "models": [{"id": 0, "model": "opennmt-model_step_2.pt", "load": true, "opt":
        {"beam_size": 5, "batch_size": 64, "min_length": 16, "max_length": 16, "gpu": -1}}]}
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, get_args
from urllib.parse import urlsplit

import torch

from nmt.api.loading import Precision, load_job
from nmt.decoding.job import Job, Line
from nmt.decoding.translation import translate_window
from nmt.operating_system import count_cores, find_load
from nmt.serve.requests import LineRequest, ModelSource
from nmt.serve.service import Service

LOAD = 0.8  # of the capacity
TICKS = os.sysconf("SC_CLK_TCK")


class Target(NamedTuple):
    """A service that is measured."""

    name: str
    translate: Callable[[str], Awaitable[str]]
    processes: Callable[[], list[int]]  # whose CPU time and memory count


class Measurement(NamedTuple):
    """One run over all lines."""

    seconds: float
    cpu: float  # seconds
    latencies: list[float]  # seconds
    texts: list[str]


def list_descendants(process: int) -> Iterator[int]:
    """Yield the processes that a process has started, and theirs."""
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in map(int, (task / "children").read_text(encoding="utf-8").split()):
            yield child
            yield from list_descendants(child)


def measure_cpu(processes: Sequence[int]) -> float:
    """Return the seconds of CPU time of processes."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def measure_private_memory(processes: Sequence[int]) -> int:
    """Return the bytes of memory that processes do not share."""
    lines = [
        line
        for process in processes
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    ]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private"))


def translate_at_once(lines: Sequence[str], job: Job) -> Measurement:
    """Translate as `nmt translate` does."""
    start, cpu = time.perf_counter(), time.process_time()
    found = translate_window([Line(number, text) for number, text in enumerate(lines, 1)], job)
    texts = [one.text for one in found]
    return Measurement(time.perf_counter() - start, time.process_time() - cpu, [], texts)


def draw_arrivals(count: int, rate: float, seed: int) -> list[float]:
    """Draw the times of a Poisson process, in seconds."""
    draw, now, times = random.Random(seed), 0.0, list[float]()
    for _ in range(count):
        now += draw.expovariate(rate)
        times.append(now)
    return times


async def measure(target: Target, lines: Sequence[str], clients: int, rate: float = 0.0) -> Measurement:
    """Send the lines from some clients, or at random times with this rate."""
    latencies, texts, waiting = list[float](), [""] * len(lines), iter(enumerate(lines))

    async def ask(number: int, text: str, due: float) -> None:
        texts[number] = await target.translate(text)
        latencies.append(time.perf_counter() - due)

    async def client() -> None:
        for number, text in waiting:
            await ask(number, text, time.perf_counter())

    start, cpu = time.perf_counter(), measure_cpu(target.processes())
    if rate:
        arrivals = draw_arrivals(len(lines), rate, seed=1)
        async with asyncio.TaskGroup() as tasks:
            for (number, text), arrival in zip(waiting, arrivals, strict=True):
                due = start + arrival
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(ask(number, text, due))
    else:
        await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - start
    return Measurement(seconds, measure_cpu(target.processes()) - cpu, latencies, texts)


class HttpClient:
    """Connections to a server with OpenNMT-py's interface, which are used again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._idle = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()

    async def translate(self, text: str) -> str:
        """Translate a line."""
        body = json.dumps([{"src": text, "id": 0}]).encode()
        head = "POST /translator/translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json"
        while True:
            kept = self._idle.pop() if self._idle else None
            reader, writer = kept or await asyncio.open_connection(*self._address)
            writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            try:
                answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                break
            except (EOFError, OSError):  # the server had closed it while it was idle
                writer.close()
                if not kept:
                    raise
        content = await reader.readexactly(int(answer.partition("content-length:")[2].split()[0]))
        if " 200 " not in answer.partition("\r\n")[0]:
            raise SystemExit(f"the server answered: {answer}{content!r}")
        self._idle.append((reader, writer))
        found: str = json.loads(content)[0][0]["tgt"]
        return found


@asynccontextmanager
async def start_service(source: ModelSource, workers: int) -> AsyncIterator[Target]:
    """Start a service in this process."""
    async with Service([source], workers=workers, poll=0, seconds=1e6, queue=1_000_000) as service:

        async def translate(text: str) -> str:
            return (await service.translate(LineRequest("model", Line(1, text)))).text

        yield Target("service", translate, lambda: [*list_descendants(os.getpid())])


@asynccontextmanager
async def start_server(source: ModelSource, workers: int) -> AsyncIterator[Target]:
    """Start `nmt serve`."""
    command = [sys.executable, "-m", "nmt", "serve", f"model={source.path}", "--port", "0"]
    command += ["--workers", str(workers), *(["--int8"] if source.precision == "int8" else [])]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        yield Target("http", HttpClient(url).translate, lambda: [server.pid, *list_descendants(server.pid)])
    finally:
        server.terminate()
        server.wait()


STARTS = {"service": start_service, "http": start_server}


def print_row(
    name: str, rounds: Sequence[tuple[Measurement, Measurement]], single: Sequence[float], *, check: bool
) -> None:
    """Print the medians of a load, and the ratios to the lines at once and to the latency of one client."""
    lines = len(rounds[0][0].texts)
    wrong = sum(a != b for other, one in rounds for a, b in zip(one.texts, other.texts, strict=True))
    p50, p99 = (median(quantiles(one.latencies, n=100)[cut] for _, one in rounds) for cut in (49, 98))
    print(
        f"{name:28} {median(lines / one.seconds for _, one in rounds):7.1f} lines/s  "
        f"{median(other.seconds / one.seconds for other, one in rounds):5.0%} of nmt translate  "
        f"CPU of a line {median(one.cpu / other.cpu for other, one in rounds):5.2f}x  "
        f"p50 {1e3 * p50:6.1f} ms, {p50 / single[0]:4.1f}x  p99 {1e3 * p99:6.1f} ms, {p99 / single[1]:4.1f}x"
        f"{f'  {wrong} DIFFER' if wrong and check else ''}",
        flush=True,
    )


async def compare(options: argparse.Namespace, target: Target, job: Job, lines: list[str]) -> None:
    """Measure a service under every load."""

    async def run(clients: int, rate: float = 0.0) -> list[tuple[Measurement, Measurement]]:
        return [
            (translate_at_once(lines, job), await measure(target, lines, clients, rate))
            for _ in range(options.rounds)
        ]

    await measure(target, lines[:100], 8)
    alone = (await measure(target, lines, 1)).latencies
    single = [quantiles(alone, n=100)[cut] for cut in (49, 98)]
    capacity, check = 0.0, target.name != "peer"
    for clients in options.clients:
        rounds = await run(clients)
        print_row(f"{target.name}, {clients} clients", rounds, single, check=check)
        capacity = max(capacity, *(len(lines) / ours.seconds for _, ours in rounds))
    print_row(f"{target.name}, Poisson at {LOAD:.0%}", await run(0, LOAD * capacity), single, check=check)
    twelve = [line for line in lines if len(line.split()) == 12][:1] or lines[:1]
    times = sorted((await measure(target, twelve * 50, 1)).latencies)
    print(f"{target.name}, one line alone: p50 {1e3 * times[25]:.1f} ms, least {1e3 * times[0]:.1f} ms")
    if options.many and check:
        await measure_memory(target, lines, options.many)


async def measure_memory(target: Target, lines: list[str], many: int) -> None:
    """Print the private memory of the processes after each tenth of many requests."""
    sizes = []
    for _ in range(10):
        for _ in range(max(1, many // 10 // len(lines))):
            await measure(target, lines, 64)
        sizes.append(f"{measure_private_memory(target.processes()) / 1e6:.1f}")
    print(f"{target.name}, private memory over {many:,} requests, MB: {' '.join(sizes)}", flush=True)


async def run_all(options: argparse.Namespace, lines: list[str]) -> None:
    """Measure every service, and the peer once with each precision."""
    for precision in options.precision:
        job = load_job(options.run, int8=precision == "int8").job
        source = ModelSource("model", str(options.run), precision)
        for workers in options.workers:
            for way in options.over:
                print(f"\n{precision}, {workers} worker{'s' * (workers > 1)}", flush=True)
                async with STARTS[way](source, workers) as target:
                    await compare(options, target, job, lines)
        if options.peer:
            print(f"\n{options.peer}, compared with {precision}", flush=True)
            client = HttpClient(options.peer)
            await compare(options, Target("peer", client.translate, list), job, lines)


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("lines_file", type=Path)
    parser.add_argument("--short", action="store_true", help="few lines, one round, one worker, int8")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--clients", type=int, nargs="+")
    parser.add_argument("--workers", type=int, nargs="+")
    parser.add_argument("--precision", nargs="+", choices=get_args(Precision))
    parser.add_argument("--over", nargs="+", choices=[*STARTS])
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--peer", metavar="URL")
    short = {"lines": 200, "rounds": 1, "clients": [1, 8, 64], "workers": [1], "precision": ["int8"]}
    full = {"lines": 1000, "rounds": 3, "clients": [1, 8, 64, 256], "workers": [1, 2]}
    options = parser.parse_args()
    full |= {"precision": ["float32", "int8"], "over": [*STARTS]}
    defaults = full | (short if options.short else {})
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main() -> None:
    options = parse_options()
    torch.set_num_threads(1)
    lines = options.lines_file.read_text(encoding="utf-8").split("\n")[: options.lines]
    before = find_load()
    asyncio.run(run_all(options, [line for line in lines if line.strip()]))
    if max(before, find_load() - max(options.workers) - 1) > count_cores() / 4:
        print("\nThe machine had other work: only the ratios count.")


if __name__ == "__main__":
    main()
