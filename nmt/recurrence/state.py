"""A recurrent state is a NamedTuple of tensors [B, ...], perhaps nested: to map over it, to cut it off."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor

Tree = TypeVar("Tree")


def map_tensors(function: Callable[..., Tensor], *trees: Tree) -> Tree:
    """Apply `function` to the tensors that stand at the same place in every tree.

    Trees are tensors, None, tuples and NamedTuples; None stays None.
    """
    first: Any = trees[0]
    if first is None:
        return trees[0]
    if isinstance(first, Tensor):
        return cast(Tree, function(*trees))
    if isinstance(first, tuple):
        parts = [map_tensors(function, *parts) for parts in zip(*trees, strict=True)]
        make = type(first)._make if hasattr(first, "_make") else type(first)
        return cast(Tree, make(parts))
    raise TypeError(f"a state holds tensors, tuples and None, not {type(first).__name__}")


def detached(states: Tree) -> Tree:
    """The same states as constants: what is read on from them sends no gradient back before them.

    Truncated back-propagation through time (Williams & Peng, 1990): read a chunk, learn from it, and
    read the next one from its detached final states.
    """
    return map_tensors(Tensor.detach, states)
