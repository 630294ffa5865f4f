"""The running batch of a worker in CPU time, so that a busy machine can measure it.

    python -m benchmarks.serve_batching RUN LINES [--lines N] [--rounds N] [--float32]

Prints the time to encode some sentences, and of a position of as many; then lines a second and latencies in
closed loops of some clients and at random arrivals (Poisson), by a clock that counts the CPU time of the
worker's thread: without HTTP, processes and the scheduler. By Little's law, clients = lines a second x mean
latency; so the mean latency at 80% of the capacity is at least that of the closed loop with this throughput.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, quantiles
from typing import NamedTuple

import torch

from benchmarks.serve import draw_arrivals
from nmt.api.loading import load_job
from nmt.decoding.beam import SearchBatch
from nmt.decoding.job import Job, Line
from nmt.decoding.options import Request
from nmt.decoding.translation import translate_window
from nmt.serve.batching import RunningSearches
from nmt.serve.requests import LineRequest

SIZES = (1, 2, 4, 8, 16, 32, 64)
LOADS = (0.5, 0.8)  # of the capacity


class ServedLines(NamedTuple):
    """The latency of each line and the whole time, in seconds."""

    latencies: list[float]
    seconds: float


def time_batch(job: Job, sources: Sequence[Sequence[int]], size: int) -> tuple[float, float]:
    """Return the median seconds to encode some sentences, and of their next positions."""
    encoding, advancing = list[float](), list[float]()
    for start in range(0, len(sources) - size + 1, max(size, len(sources) // 20)):
        batch, begin = SearchBatch(job.model, job.options), time.thread_time()
        batch.add([Request(number, sources[start + number]) for number in range(size)])
        encoding.append(time.thread_time() - begin)
        for position in range(6):
            begin = time.thread_time()
            done = [*batch.advance()]
            if position > 1 and not done:
                advancing.append(time.thread_time() - begin)
    return median(encoding), median(advancing)


def serve(job: Job, lines: Sequence[str], clients: int, arrivals: Sequence[float]) -> ServedLines:
    """Translate lines that arrive at some times, at most so many at once."""
    searches, now, latencies = RunningSearches({"m": job}), 0.0, list[float]()
    running = dict[int, float]()  # when they arrived
    while len(latencies) < len(lines):
        sent = len(latencies) + len(running)
        if not running:
            now = max(now, arrivals[sent])
        begin = time.thread_time()
        while sent < len(lines) and arrivals[sent] <= now and len(running) < clients:
            running[sent] = arrivals[sent] or now
            searches.add(sent, LineRequest("m", Line(1, lines[sent])), is_streamed=False)
            sent += 1
        events = searches.advance()
        now += time.thread_time() - begin
        latencies += [now - running.pop(event.ticket) for event in events]
    return ServedLines(latencies, now)


def compare(job: Job, lines: Sequence[str], rounds: int) -> None:
    """Print everything."""
    sources = [job.source.encode(line) for line in lines]
    print("sentences   to encode   a position")
    for size in SIZES:
        encoding, advancing = time_batch(job, sources, size)
        print(f"{size:9}   {1e3 * encoding:6.2f} ms   {1e3 * advancing:7.2f} ms", flush=True)
    print("\nload                 lines/s   of nmt translate   mean      p50      p99")
    single = capacity = 0.0

    def show(name: str, runs: Sequence[ServedLines], at_once: float) -> None:
        nonlocal single, capacity
        rate = median(len(latencies) / seconds for latencies, seconds in runs)
        average = 1e3 * median(mean(latencies) for latencies, _ in runs)
        p50, p99 = (
            1e3 * median(quantiles(latencies, n=100)[cut] for latencies, _ in runs) for cut in (49, 98)
        )
        single, capacity = single or p99, max(capacity, rate)
        print(
            f"{name:20} {rate:7.1f}   {rate / at_once:16.0%} {average:6.1f} ms {p50:6.1f} ms {p99:6.1f} ms, "
            f"{p99 / single:.1f}x one client's",
            flush=True,
        )

    references = list[float]()
    for _ in range(rounds):
        begin = time.thread_time()
        translate_window([Line(number, text) for number, text in enumerate(lines, 1)], job)
        references.append(len(lines) / (time.thread_time() - begin))
    for clients in (*SIZES, 256):
        part = lines[: max(100, 20 * clients)]
        runs = [serve(job, part, clients, [0.0] * len(part)) for _ in range(rounds)]
        show(f"{clients} clients", runs, median(references))
    for load in LOADS:
        rate = load * capacity
        runs = [serve(job, lines, 10**6, draw_arrivals(len(lines), rate, seed)) for seed in range(rounds)]
        show(f"Poisson at {load:.0%}", runs, median(references))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("lines_file", type=Path)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--float32", action="store_true", help="instead of int8")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = options.lines_file.read_text(encoding="utf-8").split("\n")[: options.lines]
    job = load_job(options.run, int8=not options.float32).job
    translate_window([Line(number, text) for number, text in enumerate(lines[:100], 1)], job)
    compare(job, [line for line in lines if line.strip()], options.rounds)


if __name__ == "__main__":
    main()
