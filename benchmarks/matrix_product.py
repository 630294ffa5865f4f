"""What things are timed beside: the machine's own matrix product."""

from collections.abc import Callable

import torch


def matrix_product(size: int = 1024, repeat: int = 10) -> tuple[Callable[[], object], float]:
    """`torch.mm` of two square matrices, and its floating-point operations."""
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)

    def thing() -> None:
        for _ in range(repeat):
            torch.mm(a, b, out=out)

    return thing, repeat * 2.0 * size**3
