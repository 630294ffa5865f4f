"""Time several things in turn, A B C A B C …, so that a machine that slows down slows them all."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def medians(things: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each, over `rounds` rounds after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for counted in range(rounds + 1):
        for name, thing in things.items():
            start = time.perf_counter()
            thing()
            if counted:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matrix_product(size: int = 1024, repeat: int = 10) -> tuple[Callable[[], object], float]:
    """`torch.mm` of two square matrices, and its floating-point operations."""
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)

    def thing() -> None:
        for _ in range(repeat):
            torch.mm(a, b, out=out)

    return thing, repeat * 2.0 * size**3
