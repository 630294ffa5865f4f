"""Each cell's scan, forward and backward, beside torch.nn's layer of its family and the rate of torch.mm.

    python -m benchmarks.cells [NAME|FILE.py:Class ...] [--layer-norm]

For one thread and for two, and for four sizes. The engines, torch.nn and torch.mm are timed in turn; the
figures are medians. `x` is speed relative to torch.nn.RNN, LSTM or GRU (for cells that torch.nn lacks: the
one with the same number of gates); `mm` is the share of torch.mm's rate of floating-point operations.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.matrix_product import matrix_product
from nmt.cells import CELLS, find_cell
from nmt.lab.cell_check import count_operations, measure_seconds
from nmt.recurrence.c import compiler
from nmt.recurrence.layer import Layer

SIZES = (
    (64, 20, 256, 512),
    (16, 20, 256, 256),
    (128, 30, 512, 1024),
    (1, 60, 512, 512),
)  # B, T, input, hidden
FAMILY: dict[int, Any] = {1: nn.RNN, 2: nn.GRU, 3: nn.GRU}  # by gates; with more of them the LSTM
ENGINES = ("compiled", "torch")


def pass_both_ways(
    layer: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, hidden: int
) -> Callable[[], object]:
    d = torch.randn(*x.shape[:2], hidden)
    return lambda: layer(x).backward(d)  # type: ignore[no-untyped-call]


def ours(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    above: torch.Tensor = layer(x, None)[0]
    return above


def line(
    name: str, size: tuple[int, int, int, int], engines: tuple[str, ...], rounds: int, layer_norm: bool
) -> str:
    """Time one cell at one size."""
    batch, positions, wide, hidden = size
    cell = find_cell(name)(wide, hidden, layer_norm=layer_norm)
    theirs = FAMILY.get(len(cell.gates), nn.LSTM)(wide, hidden)
    x = torch.randn(positions, batch, wide, requires_grad=True)
    product, product_operations = matrix_product(repeat=2)
    things: dict[str, Callable[[], object]] = {"mm": product}
    things["torch.nn"] = pass_both_ways(lambda x: theirs(x)[0], x, hidden)
    for engine in engines:
        layer = Layer([cell], engine=engine)  # type: ignore[arg-type]
        things[engine] = pass_both_ways(partial(ours, layer), x, hidden)
    seconds = measure_seconds(things, rounds=rounds)
    rate = product_operations / seconds["mm"]
    work = 3.0 * batch * positions * count_operations(cell)
    columns = [
        f"{seconds['torch.nn'] / seconds[e]:5.2f}x {work / seconds[e] / rate:4.0%} mm" for e in engines
    ]
    return f"{name:18} {seconds['torch.nn'] * 1e3:8.1f} ms  " + "  ".join(columns)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(CELLS), help="cells; without any, all of the table")
    parser.add_argument("--layer-norm", action="store_true", help="normalise each gate's products")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    if obstacle := compiler.find_obstacle():
        print(f"no compiled engine: {obstacle}")
    engines = ENGINES[1:] if compiler.find_obstacle() else ENGINES
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for size in SIZES:
            batch, positions, wide, hidden = size
            print(f"\n{threads} threads, batch {batch}, {positions} positions, {wide} -> {hidden}")
            print(f"{'':18} {'torch.nn':>11}  " + "  ".join(f"{engine:>14}" for engine in engines))
            for name in arguments.names:
                print(line(name, size, engines, arguments.rounds, arguments.layer_norm), flush=True)


if __name__ == "__main__":
    main()
