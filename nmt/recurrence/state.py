"""A recurrent state is a NamedTuple of tensors [B, ...], perhaps nested; this maps over it."""

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

Tree = TypeVar("Tree")


def map_tensors(function: Callable[..., Tensor], *trees: Tree) -> Tree:
    """Apply `function` to the tensors that stand at the same place in every tree.

    Trees are tensors, None, tuples and NamedTuples; None stays None.
    """
    first = trees[0]
    if first is None:
        return first
    if isinstance(first, Tensor):
        return function(*trees)  # type: ignore[return-value]
    if isinstance(first, tuple):
        parts = [map_tensors(function, *parts) for parts in zip(*trees, strict=True)]
        make = type(first)._make if hasattr(first, "_make") else type(first)
        return make(parts)  # type: ignore[return-value]
    raise TypeError(f"a state holds tensors, tuples and None, not {type(first).__name__}")
