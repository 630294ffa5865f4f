"""Two processes against one: the same losses, and how much faster.

    python -m benchmarks.processes [--processes 2] [--updates 50] [--batch 64]

The model of the Multi30k LSTM recipe without dropout learns from the same made-up pairs, first in one
process, then in several over gloo, one thread each. Prints the largest relative difference of the updates'
losses, and target words per second from the median time of an update.
"""

import argparse
import os
import socket
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

import torch

from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.recipe.reader import read_recipe
from nmt.recipe.tasks.translation import build_likelihood, build_translator
from nmt.recipe.training import Resources, build_learner
from nmt.training.distributed import join_process_group
from nmt.training.hardware import Precision

PIECES = 6000
SETTINGS = [
    f"{side}.dropout={{embedding: 0.0, word: 0.0, input: 0.0, state: 0.0, output: 0.0}}"
    for side in ("encoder", "decoder")
]
CPU = torch.device("cpu")


class Measured(NamedTuple):
    """What so many processes made of the updates."""

    losses: list[float]
    words_per_second: float


def made_up(size: int, number: int) -> Batch:
    """A batch of random pieces, sentences of 10 to 20."""
    draw = torch.Generator().manual_seed(number)
    lengths = torch.randint(10, 21, (size,), generator=draw)
    width = int(lengths.max())
    pieces = torch.randint(4, PIECES, (size, width + 1), generator=draw)
    places = torch.arange(width + 1)
    pieces = pieces.masked_fill(places > lengths.unsqueeze(1), PAD)
    pieces = pieces.masked_fill(places == lengths.unsqueeze(1), EOS)
    tgt = torch.cat([torch.full((size, 1), BOS), pieces], 1)
    return Batch(pieces, lengths + 1, tgt, lengths + 1, torch.arange(size))


def work(pipe: Connection, rank: int, count: int, port: int, updates: int, size: int) -> None:
    """What one of the processes does; the first sends what was measured."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1"}
    os.environ["MASTER_PORT"] = str(port)
    recipe = read_recipe(["multi30k-de-en-lstm"], SETTINGS)
    torch.manual_seed(1)
    model = build_translator(recipe, PIECES, PIECES)
    with join_process_group(CPU) as processes:
        learns = build_learner(
            recipe,
            model,
            build_likelihood(recipe),
            100,
            Resources(CPU, Precision("float32", "cpu"), processes),
        )
        losses, seconds, words = [], [], 0
        for number in range(updates):
            batch, started = made_up(size, number), time.perf_counter()
            totals = learns.update([batch], rate=1e-3, ratio=1.0).totals
            seconds.append(time.perf_counter() - started)
            losses.append(totals.means()["loss"])
            words += totals.tokens
        pipe.send(Measured(losses, words / updates / median(seconds)))


def measure(count: int, updates: int, size: int) -> Measured:
    """The updates made by so many processes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    context = get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    started = [
        context.Process(target=work, args=(theirs, rank, count, port, updates, size))
        for rank, (_, theirs) in enumerate(pipes)
    ]
    for process in started:
        process.start()
    measured: Measured = pipes[0][0].recv()
    for process in started:
        process.join()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--batch", type=int, default=64, help="pairs")
    said = parser.parse_args()
    one, many = (measure(count, said.updates, said.batch) for count in (1, said.processes))
    apart = max(abs(a - b) / a for a, b in zip(one.losses, many.losses, strict=True))
    print(f"losses of {said.updates} updates differ by {apart:.1e} at most, relatively")
    for count, found in ((1, one), (said.processes, many)):
        print(f"{count} process(es): {found.words_per_second:7.0f} target words/s")
    print(f"ratio: {many.words_per_second / one.words_per_second:.2f}")


if __name__ == "__main__":
    main()
