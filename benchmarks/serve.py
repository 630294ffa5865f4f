"""The translation service under load, next to `nmt translate` of the same lines.

    python -m benchmarks.serve RUN LINES [--lines N] [--rounds N] [--clients N ...] [--workers N ...]
                               [--precision float32 int8] [--many N]

For each precision and number of workers: closed loops of some clients (each sends a line when its last one
is answered), and an open loop whose lines come at random (Poisson) at 80% of the capacity just measured.
Each is timed in turn with the lines translated at once in this process, with one thread, as `nmt translate`
does; the figures are medians of the rounds. On a machine with other work the ratios are what counts: of lines
a second, and of the CPU time of a line (workers only). Then one line of twelve words alone, and the memory of
the workers over `--many` requests.
"""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import torch

from nmt.api.loading import Precision, load_job
from nmt.decoding.job import Job, Line
from nmt.decoding.translation import translate_window
from nmt.serve.requests import LineRequest, ModelSource
from nmt.serve.service import Service

LOAD = 0.8  # of the capacity
TICKS = os.sysconf("SC_CLK_TCK")


class Measurement(NamedTuple):
    """One run over all lines."""

    seconds: float
    cpu: float  # seconds, of the workers or of this process
    latencies: list[float]  # seconds
    texts: list[str]


class WorkerFigures(NamedTuple):
    """The CPU time and the memory of the workers of a service."""

    cpu: float  # seconds
    private: int  # bytes that no other process shares


def read_workers(service: Service) -> WorkerFigures:
    """Read the figures of the workers from /proc."""
    cpu = private = 0.0
    assert service._pool is not None
    for worker in service._pool.workers:
        assert worker.report is not None
        folder = Path("/proc") / str(worker.report.pid)
        fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        cpu += (int(fields[11]) + int(fields[12])) / TICKS
        rollup = (folder / "smaps_rollup").read_text(encoding="utf-8").splitlines()
        private += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private"))
    return WorkerFigures(cpu, int(private))


def translate_at_once(lines: Sequence[str], job: Job) -> Measurement:
    """Translate as `nmt translate` does."""
    start, cpu = time.perf_counter(), time.process_time()
    found = translate_window([Line(number, text) for number, text in enumerate(lines, 1)], job)
    texts = [one.text for one in found]
    return Measurement(time.perf_counter() - start, time.process_time() - cpu, [], texts)


async def measure(service: Service, lines: Sequence[str], clients: int, rate: float = 0.0) -> Measurement:
    """Send the lines from some clients, or at random times with this rate."""
    latencies, texts, waiting = list[float](), [""] * len(lines), iter(enumerate(lines))

    async def ask(number: int, text: str) -> None:
        sent = time.perf_counter()
        texts[number] = (await service.translate(LineRequest("model", Line(1, text)))).text
        latencies.append(time.perf_counter() - sent)

    async def client() -> None:
        for number, text in waiting:
            await ask(number, text)

    start, cpu = time.perf_counter(), read_workers(service).cpu
    if rate:
        draw, due = random.Random(1), start
        async with asyncio.TaskGroup() as tasks:
            for number, text in waiting:
                due += draw.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(ask(number, text))
    else:
        await asyncio.gather(*(client() for _ in range(clients)))
    seconds = time.perf_counter() - start
    return Measurement(seconds, read_workers(service).cpu - cpu, latencies, texts)


def print_row(name: str, ours: Sequence[Measurement], others: Sequence[Measurement]) -> None:
    """Print the medians of the rounds of a load, and the ratios to the lines at once in the same rounds."""
    pairs = list(zip(ours, others, strict=True))
    lines = len(ours[0].texts)
    wrong = sum(a != b for one, other in pairs for a, b in zip(one.texts, other.texts, strict=True))
    cuts = [quantiles(one.latencies, n=100) for one in ours]
    print(
        f"{name:24} {median(lines / one.seconds for one in ours):7.1f} lines/s   "
        f"{median(other.seconds / one.seconds for one, other in pairs):5.0%} of nmt translate   "
        f"CPU of a line {median(one.cpu / other.cpu for one, other in pairs):5.2f}x   "
        f"p50 {1e3 * median(cut[49] for cut in cuts):6.0f} ms   "
        f"p99 {1e3 * median(cut[98] for cut in cuts):6.0f} ms"
        f"{f'   {wrong} DIFFER' if wrong else ''}",
        flush=True,
    )


async def compare(options: argparse.Namespace, precision: Precision, workers: int, lines: list[str]) -> None:
    """Measure one service."""
    job = load_job(options.run, int8=precision == "int8").job
    source = ModelSource("model", str(options.run), precision)
    async with Service([source], workers=workers, poll=0, seconds=1e6, queue=1_000_000) as service:
        await measure(service, lines[:100], 8)
        print(f"\n{precision}, {workers} worker{'s' * (workers > 1)}")
        capacity = 0.0
        for clients in options.clients:
            rounds = [
                (translate_at_once(lines, job), await measure(service, lines, clients))
                for _ in range(options.rounds)
            ]
            print_row(f"{clients} clients", [ours for _, ours in rounds], [other for other, _ in rounds])
            capacity = max(capacity, *(len(lines) / ours.seconds for _, ours in rounds))
        rounds = [
            (translate_at_once(lines, job), await measure(service, lines, 0, LOAD * capacity))
            for _ in range(options.rounds)
        ]
        print_row(f"Poisson at {LOAD:.0%}", [ours for _, ours in rounds], [other for other, _ in rounds])
        twelve = [line for line in lines if len(line.split()) == 12][:1] or lines[:1]
        alone = await measure(service, twelve * 50, 1)
        times = sorted(1e3 * one for one in alone.latencies)
        print(f"one line alone           p50 {times[25]:.1f} ms, least {times[0]:.1f} ms")
        if options.many:
            await measure_memory(service, lines, options.many)


async def measure_memory(service: Service, lines: list[str], many: int) -> None:
    """Print the private memory of the workers after each tenth of many requests."""
    sizes = []
    for _ in range(10):
        for _ in range(max(1, many // 10 // len(lines))):
            await measure(service, lines, 64)
        sizes.append(f"{read_workers(service).private / 1e6:.1f}")
    print(f"private memory of the workers over {many:,} requests, MB: {' '.join(sizes)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("lines_file", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precision", nargs="+", default=["float32", "int8"], choices=["float32", "int8"])
    parser.add_argument("--many", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = options.lines_file.read_text(encoding="utf-8").split("\n")[: options.lines]
    for precision in options.precision:
        for workers in options.workers:
            asyncio.run(compare(options, precision, workers, [line for line in lines if line.strip()]))


if __name__ == "__main__":
    main()
