"""What runs kernels: torch, operation by operation, or machine code made of them (`native`)."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx

from nmt.recurrence import native
from nmt.recurrence.kernel import Kernel

Places = Mapping[str, Tensor]  # a name to what stands there at every position: [T, B, H]
At = Callable[[int], None]
Backend = Callable[[Kernel, Places, frozenset[str]], At]


def interpreted(kernel: Kernel, places: Places, adds: frozenset[str]) -> At:
    """A kernel ready to run at any position of `places`, each operation by torch.

    What it gives replaces what stands in its place, or for the names in `adds` is added to it.
    """
    run = _module(kernel)
    reads = [places[name].unbind(0) for name in kernel.reads]
    gives = [(places[name].unbind(0), name in adds) for name in kernel.gives]
    handed_on = [node.op == "placeholder" for node in kernel.results]

    def at(t: int) -> None:
        given = run(*[read[t] for read in reads])
        # What is given as it was read may stand in a place that is written before it is copied.
        values = [v.clone() if same else v for v, same in zip(given, handed_on, strict=True)]
        for (place, add), value in zip(gives, values, strict=True):
            if add:
                place[t].add_(value)
            else:
                place[t].copy_(value)

    return at


@cache
def _module(kernel: Kernel) -> Any:
    return fx.GraphModule(torch.nn.Module(), kernel.graph).forward


def compiled(kernel: Kernel, places: Places, adds: frozenset[str]) -> At:
    """The same as `interpreted`, by one function in C; by torch where there is none or rows are not dense."""
    names = (*kernel.reads, *kernel.gives)
    function = native.function(kernel, adds, places[kernel.gives[0]].dtype)
    if function is None or any(places[name].stride(-1) != 1 for name in names if name != "real"):
        return interpreted(kernel, places, adds)
    return native.bind(function, [places[name] for name in names])
