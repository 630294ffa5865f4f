"""The output layer in C: products, softmax and the best tokens of each row in one call."""

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_int64, c_void_p
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.decoding.model import Floats, Ints
from nmt.recurrence.c.code_generator import C_HEADER
from nmt.recurrence.c.compiler import build_library
from nmt.recurrence.c.native import CStep, CSteps
from nmt.recurrence.engine import Backend, PreparedMatrix

BLOCK = 1024  # tokens whose logits are computed, compared and discarded together: they stay in the cache

MAX_LISTED_SHARE = 0.8
"""Share of the vocabulary above which lists are not multiplied alone: all logits would have to be stored."""

LISTED_POSITIONS = 10
"""Positions in which prepared rows have to save as much time as their preparation takes."""


class _Best(ctypes.Structure):
    """`struct best` of position.c."""

    _fields_ = (
        *((name, c_int64) for name in ("R", "N", "first", "V", "k")),
        *(("logits", c_void_p), ("logits_row", c_int64)),
        *((name, c_void_p) for name in ("values", "tokens", "top", "sum")),
    )


class _BestListed(ctypes.Structure):
    """`struct best_listed` of position.c."""

    _fields_ = (("best", _Best), ("lists", c_void_p), ("column", c_void_p))


class _List(ctypes.Structure):
    """`struct list` of position.c."""

    _fields_ = (("tokens", c_void_p), ("N", c_int64))


class TokenList:
    """A shortlist: the tokens that a translation may contain, ascending."""

    def __init__(self, tokens: Ints) -> None:
        self.tokens = np.ascontiguousarray(tokens, np.int64)
        self.arguments = _List(self.tokens.ctypes.data, len(tokens))
        self.address = ctypes.addressof(self.arguments)


class OutputBlock(NamedTuple):
    """Some rows of the output layer, prepared for products."""

    matrix: PreparedMatrix
    bias: Tensor


class BoundOutput(NamedTuple):
    """The steps that find the best tokens, and the arguments of those that need to know how many."""

    steps: CSteps
    arguments: Sequence[_Best]

    @classmethod
    def from_steps(cls, steps: Sequence[CStep]) -> "BoundOutput":
        arguments = [getattr(step.arguments, "best", step.arguments) for step in steps]
        return cls(CSteps(steps), [one for one in arguments if isinstance(one, _Best)])


class OutputLayer:
    """logits = W features + b in C, and the best tokens of each row, without all logits in memory."""

    def __init__(self, backend: Backend, weight: Tensor, bias: Tensor) -> None:
        self.backend, self.weight, self.bias = backend, weight.detach(), bias.detach()
        self.library, self.lock = load_position(bias.dtype), Lock()
        self.kind = type(backend.matrix(self.weight[:BLOCK]))
        starts = range(0, len(weight), BLOCK)
        self.blocks = [self.prepare(slice(start, start + BLOCK)) for start in starts]
        self.capacity = self.max_count = 0
        self.lists = ShortlistUnion(self)

    def prepare(self, tokens: Any) -> OutputBlock:
        """Prepare the rows of some tokens, however few, as the whole layer: their logits are the same."""
        return OutputBlock(self.kind(self.weight[tokens]), self.bias[tokens])

    def reserve(self, rows: int, count: int) -> None:
        """Make buffers for so many rows and best tokens, and bind the steps to them."""
        if rows <= self.capacity and count <= self.max_count:
            return
        capacity = rows if rows <= self.capacity else max(rows, 2 * self.capacity)
        try:
            self.make_buffers(capacity, max(count, self.max_count))
        except BaseException:
            self.capacity = 0  # there is not enough memory: make them again before the next use
            raise

    def make_buffers(self, capacity: int, max_count: int) -> None:
        self.capacity, self.max_count = capacity, max_count
        self.features = self.bias.new_zeros(1, self.capacity, self.weight.shape[1])
        self.sums = self.bias.new_zeros(2, self.capacity)
        self.values = self.bias.new_zeros(self.capacity * self.max_count)
        self.tokens = np.zeros(self.capacity * self.max_count, np.int64)
        self.arrays = self.features[0].numpy(), self.values.numpy(), self.tokens
        self.bound = self.bind_blocks(lambda best, logits: CStep(self.library.best, best, logits))
        self.lists.discard_steps()

    def bind_blocks(self, bind_search: Callable[[_Best, Tensor], CStep]) -> BoundOutput:
        """Bind the products of the whole layer, each block followed by the search for the best in it."""
        logits, steps = self.buffer(min(BLOCK, len(self.bias))), list[CStep]()
        for number, block in enumerate(self.blocks):
            columns = logits[..., : len(block.bias)]
            best = self.best_arguments(columns, number * BLOCK, len(block.bias))
            steps += [self.bind_product(block, columns), bind_search(best, columns)]
        return BoundOutput.from_steps(steps)

    def buffer(self, columns: int) -> Tensor:
        return self.bias.new_zeros(1, self.capacity, columns)

    def bind_product(self, block: OutputBlock, logits: Tensor) -> CStep:
        step = self.backend.product(self.features, block.matrix, logits, block.bias)
        assert isinstance(step, CStep)
        return step

    def best_arguments(self, logits: Tensor, first: int, size: int) -> _Best:
        """Return arguments for the logits of `size` tokens from `first` on."""
        found = self.values.data_ptr(), self.tokens.ctypes.data, *(part.data_ptr() for part in self.sums)
        return _Best(0, size, first, len(self.bias), 0, logits.data_ptr(), logits.stride(1), *found)

    def best(self, features: Floats, count: int, lists: Sequence[TokenList] | None) -> tuple[Floats, Ints]:
        """Return log probabilities and tokens of the `count` best of each row, [R, count]; ties by token."""
        rows, total = len(features), len(features) * count
        with self.lock:  # other threads use the same buffers
            self.reserve(rows, count)
            steps = self.bind(lists, count).steps
            given, values, tokens = self.arrays
            given[:rows] = features
            steps.set_rows(rows)
            steps()
            values, tokens = values[:total].copy(), tokens[:total].copy()
        return values.reshape(rows, count), tokens.reshape(rows, count)

    def bind(self, lists: Sequence[TokenList] | None, count: int) -> BoundOutput:
        """Return the steps that find the `count` best tokens of rows with these lists."""
        bound = self.bound if lists is None else self.lists.bind(lists)
        for best in bound.arguments:
            best.k = count
        return bound

    def logits(self, features: Floats) -> Tensor:
        """Return the logits of features [R, F], [R, V]."""
        out = self.bias.new_empty(1, len(features), len(self.bias))
        v = torch.from_numpy(features).unsqueeze(0)
        for block, columns in zip(self.blocks, torch.split(out, BLOCK, -1), strict=True):
            self.backend.product(v, block.matrix, columns, block.bias)(0)
        return out[0]


class ShortlistUnion:
    """The union of a batch's shortlists: their rows of the output layer, multiplied once for all hypotheses.

    A new list adds the rows that it alone needs; when the lists need fewer than half of the rows, the others
    are discarded. Where preparing rows takes longer than it saves, the whole layer is multiplied. This does
    not change results: a row is scored on its own list, and a logit does not depend on the others.
    """

    def __init__(self, output: OutputLayer) -> None:
        self.output = output
        self.discard_rows()
        self.discard_steps()

    def discard_rows(self) -> None:
        self.shortlists, self.blocks = set[TokenList](), list[OutputBlock]()
        self.declined, self.declined_rows = set[TokenList](), 0  # lists for which no rows were prepared
        self.column = np.full(len(self.output.bias), -1)  # of each token; -1: it has no row
        self.count = 0

    def discard_steps(self) -> None:
        """Discard the steps, because the buffers have changed."""
        self.union: BoundOutput | None = None
        self.whole: BoundOutput | None = None
        self.pointers = np.zeros(self.output.capacity, np.int64)

    def bind(self, lists: Sequence[TokenList]) -> BoundOutput:
        """Return the steps for rows with these lists."""
        self.pointers[: len(lists)] = [one.address for one in lists]
        if self.prepare({*lists}, len(lists)):
            self.union = self.union or self.bind_union()
            return self.union
        self.whole = self.whole or self.output.bind_blocks(partial(self.bind_search, None))
        return self.whole

    def prepare(self, lists: set[TokenList], rows: int) -> bool:
        """Prepare the rows that these lists need; return False if the whole layer is faster."""
        if lists <= self.shortlists:
            return True
        if lists <= self.declined and rows <= self.declined_rows:
            return False
        needed, prepared = np.zeros(len(self.column), np.bool_), self.column >= 0
        for one in lists:
            needed[one.tokens] = True
        size, most = int(np.count_nonzero(needed)), MAX_LISTED_SHARE * len(needed)
        if np.count_nonzero(needed | prepared) > min(2 * size, most):
            prepared[:] = False
        total, missing = np.count_nonzero(needed | prepared), np.flatnonzero(needed & ~prepared)
        # In the time of multiplying one vector by a row of W; 16 vectors more take as long again.
        saved = LISTED_POSITIONS * (len(needed) - total) * (1 + rows / 16)
        if total > most or len(missing) * self.output.kind.row_preparation > saved:
            self.declined, self.declined_rows = lists, rows
            return False
        if not prepared.any():
            self.discard_rows()
        self.shortlists = lists
        if len(missing):
            self.blocks.append(self.output.prepare(torch.from_numpy(missing)))
            self.column[missing] = np.arange(self.count, self.count + len(missing))
            self.count += len(missing)
            self.union = None
        return True

    def bind_union(self) -> BoundOutput:
        """Bind the products of the prepared rows, and the search for the best of each row's list."""
        output = self.output
        logits = output.buffer(self.count)
        columns = torch.split(logits, [len(block.bias) for block in self.blocks], -1)
        steps = [output.bind_product(*both) for both in zip(self.blocks, columns, strict=True)]
        best = output.best_arguments(logits, 0, len(self.column))
        return BoundOutput.from_steps([*steps, self.bind_search(self.column, best, logits)])

    def bind_search(self, column: Ints | None, best: _Best, logits: Tensor) -> CStep:
        """Bind the search among the tokens of each row's list that are in some logits."""
        address = None if column is None else column.ctypes.data
        arguments = _BestListed(best, self.pointers.ctypes.data, address)
        return CStep(self.output.library.best_listed, arguments, logits, self.pointers, column)


@cache
def load_position(dtype: torch.dtype) -> Any:
    """Compile position.c for a type of number."""
    text = Path(__file__).with_name("position.c").read_text(encoding="utf-8")
    loaded = build_library(f"{C_HEADER[dtype]}enum {{ BLOCK = {BLOCK} }};\n{text}")
    steps = "gather", "attend", "attend_backward", "best", "best_listed", "select_beams"
    for run in (getattr(loaded, name) for name in steps):
        run.argtypes, run.restype = [c_int64, c_void_p], None
    loaded.search.argtypes, loaded.search.restype = [c_int64, c_void_p, c_void_p], None
    return loaded
