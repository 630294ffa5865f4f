"""One position of the decoder for all live hypotheses: a list of steps that one call into C runs."""

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import c_int64, c_void_p
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.cells.cell import Cell
from nmt.decoding.model import Floats, Ints
from nmt.model.attention import BoundAttention, Memory
from nmt.model.decoder import BoundDecoder, DecoderState
from nmt.model.output_layer import load_position
from nmt.model.token_table import CACHE_BYTES, TokenTable
from nmt.recurrence.c.native import CStep, CSteps
from nmt.recurrence.deferred import DeferredProduct
from nmt.recurrence.engine import PositionStep, select_backend
from nmt.recurrence.fused import FusedCell
from nmt.recurrence.reference import bind_product
from nmt.recurrence.state import map_tensors
from nmt.recurrence.trace.kernel import BIAS, COPY_KERNEL, GAIN, RESULT, TANH_KERNEL, VALUE, layer_norm_kernel

INITIAL_ROWS, INITIAL_POSITIONS = 16, 32


class _Gather(ctypes.Structure):
    """`struct gather` of position.c."""

    _fields_ = (
        ("R", c_int64),
        ("size", c_int64),
        ("sources", c_void_p),
        ("out", c_void_p),
        ("out_row", c_int64),
    )


class _Sentence(ctypes.Structure):
    """`struct sentence` of position.c."""

    _fields_ = (("keys", c_void_p), ("values", c_void_p), ("S", c_int64))


class AttentionArguments(ctypes.Structure):
    """`struct attention` of position.c."""

    _fields_ = (
        *((name, c_int64) for name in ("R", "A", "C", "n")),
        *(("query", c_void_p), ("query_time", c_int64), ("query_row", c_int64)),
        *(("v", c_void_p), ("sentences", c_void_p)),
        *(("weights", c_void_p), ("scores", c_void_p), ("weights_time", c_int64), ("weights_row", c_int64)),
        *(("context", c_void_p), ("context_time", c_int64), ("context_row", c_int64)),
    )


class SourceSentence:
    """An encoded sentence as the decoder reads it: the first state [N], keys [S, A] and values [S, C].

    `attend` computes an attention that C cannot.
    """

    def __init__(
        self, start: Tensor, keys: Tensor | None, values: Tensor | None, attend: BoundAttention | None
    ) -> None:
        self.start, self.keys, self.values, self.attend = start, keys, values, attend
        self.length = 0 if keys is None else len(keys)
        self.arguments = _Sentence(0, 0, self.length)
        if keys is not None and values is not None:
            self.arguments.keys, self.arguments.values = keys.data_ptr(), values.data_ptr()
        self.address, self.start_address = ctypes.addressof(self.arguments), start.data_ptr()


class PositionOutput(NamedTuple):
    """Features [R, F], the next state [R, N], weights [R, S], of which a row uses those of its sentence."""

    features: Floats
    state: Floats
    weights: Floats | None


class CompiledPosition:
    """The decoder at one position of R hypotheses, in C.

    The steps are those of `BoundDecoder.step`: products of the back end, kernels of the cells' equations, and
    the functions of position.c. What C does not compute (an attention, an operation of a custom cell) runs in
    Python between them. A state is one row [N]: the fields of all layers, then the features that are fed.
    """

    def __init__(self, bound: BoundDecoder, cache_bytes: int = CACHE_BYTES) -> None:
        self.bound, self.decoder = bound, bound.decoder
        self.tokens = TokenTable(bound, cache_bytes)
        self.table = self.tokens.table
        self.backend = select_backend(bound.engine, self.table)
        self.library = load_position(self.table.dtype)
        self.form = self.decoder.attention.compiled_form()
        self.query: Any = None
        if self.form is not None and self.form.query is not None:
            self.query = bind_product(self.form.query, bound.engine)
        cells = [layer.cell for layer in bound.layers]
        self.field_sizes = [[cell.hidden_size] * len(cell.State._fields) for cell in cells]
        self.feed_size = self.decoder.combine.out_features if self.decoder.input_feeding else 0
        self.attends = self.decoder.attention.context_size > 0
        self.lock = Lock()
        self.bind(INITIAL_ROWS, INITIAL_POSITIONS)

    def select_sentence(self, start: DecoderState, memory: Memory) -> SourceSentence:
        """Copy a sentence out of a batch: state [1, H], memory [1, S, ...]."""
        fields = [field for layer in start.layers for field in layer]
        row = torch.cat([*fields, *([] if start.feed is None else [start.feed])], 1)[0]
        if memory.keys is None or memory.values is None:
            return SourceSentence(row, None, None, None)
        if self.form is None:
            attend = self.decoder.attention.bind(map_tensors(torch.clone, memory), self.bound.engine)
            return SourceSentence(row, memory.keys[0], None, attend)
        keys, values = (part[0].clone() for part in (memory.keys, memory.values))
        return SourceSentence(row, keys * self.form.scale, values, None)

    @torch.inference_mode()
    def bind(self, capacity: int, longest: int) -> None:
        """Make buffers for so many rows and source positions, and bind the steps to them."""
        decoder, bound, self.capacity = self.decoder, self.bound, capacity
        hidden, context = bound.layers[0].cell.hidden_size, decoder.attention.context_size
        self.pointers = np.zeros((3, capacity), np.int64)  # to tokens, states and sentences
        self.state = self.buffer(sum(map(sum, self.field_sizes)) + self.feed_size)
        *layers, feed = torch.split(self.state, [*map(sum, self.field_sizes), self.feed_size], -1)
        states = [torch.split(s, sizes, -1) for s, sizes in zip(layers, self.field_sizes, strict=True)]
        self.features = feed if self.feed_size else self.buffer(decoder.combine.out_features)
        self.operand = self.buffer(hidden + context)  # [h; context]
        self.h, self.context = torch.split(self.operand, [hidden, context], -1)
        steps = [*self.bind_lower(states[0], feed), *self.bind_upper(states)]
        steps.append(self.bind_product(bound.combine, self.operand, self.features))
        steps.append(self.backend.kernel(TANH_KERNEL, {VALUE: self.features, RESULT: self.features}))
        self.step_groups: list[CSteps | PositionStep] = []
        for _, group in groupby(steps, lambda step: isinstance(step, CStep)):
            run = list(group)
            compiled = [step for step in run if isinstance(step, CStep)]
            self.step_groups += [CSteps(compiled)] if compiled else run
        arguments = [step.arguments for step in steps if isinstance(step, CStep)]
        self.attention = next((found for found in arguments if isinstance(found, AttentionArguments)), None)
        self.bind_weights(longest)

    @property
    def is_compiled(self) -> bool:
        """Whether all steps are in C."""
        return [type(group) for group in self.step_groups] == [CSteps]

    def buffer(self, size: int) -> Tensor:
        return self.table.new_zeros(1, self.capacity, size)

    def bind_product(self, product: Any, v: Tensor, out: Tensor, add: Tensor | None = None) -> PositionStep:
        assert isinstance(product, DeferredProduct)  # without dropout, and not of the reference engine
        return product.bind(v, out, add)

    def bind_lower(self, s: Sequence[Tensor], feed: Tensor) -> Iterator[PositionStep]:
        """Bind the first layer: previous token, input feeding, and the second cell of a conditional layer."""
        bound, cell = self.bound, self.bound.layers[0].cell
        y = self.buffer(self.table.shape[1])
        x = y if self.tokens.is_projected else self.buffer(len(cell.W))
        yield self.bind_gather(1, self.state)
        yield self.bind_gather(0, y)
        if not self.tokens.is_projected:
            yield self.bind_product(bound.token_product, y, x)
        if self.feed_size:
            yield self.bind_product(bound.feed_product, feed, x, x)
        yield from self.bind_cell(bound.layers[0], x, s)
        if self.decoder.conditional is not None:
            yield from self.bind_attention(s[0])
            x = self.buffer(len(bound.conditional.cell.W))
            yield self.bind_product(bound.context_product, self.context, x)
            yield from self.bind_cell(bound.conditional, x, s)

    def bind_upper(self, states: Sequence[Sequence[Tensor]]) -> Iterator[PositionStep]:
        """Bind the layers above the first, and the attention of the top one."""
        below = states[0][0]
        upper = zip(self.bound.layers[1:], self.bound.upper_products, states[1:], strict=True)
        for depth, (layer, product, s) in enumerate(upper, start=2):
            x = self.buffer(len(layer.cell.W))
            yield self.bind_product(product, below, x)
            yield from self.bind_cell(layer, x, s)
            if self.decoder.stack.is_residual(depth):
                total = self.buffer(layer.cell.hidden_size)
                yield self.bind_copy(below, total)
                yield self.bind_copy(s[0], total, add=True)
                below = total
            else:
                below = s[0]
        yield self.bind_copy(below, self.h)
        if self.attends and self.decoder.conditional is None:
            yield from self.bind_attention(self.h)

    def bind_cell(self, layer: Any, x: Tensor, s: Sequence[Tensor]) -> Iterator[PositionStep]:
        assert isinstance(layer, FusedCell)
        cell: Cell = layer.cell
        if cell.gain_W is not None:
            parts = (t.chunk(len(cell.gates), -1) for t in (x, cell.gain_W.detach(), cell.b.detach()))
            for value, gain, bias in zip(*parts, strict=True):
                vectors = {GAIN: gain.expand_as(value), BIAS: bias.expand_as(value)}
                kernel = layer_norm_kernel(cell.hidden_size)
                yield self.backend.kernel(kernel, {VALUE: value, RESULT: value, **vectors})
        yield from layer.bind_position(x, s)

    def bind_copy(self, value: Tensor, out: Tensor, *, add: bool = False) -> PositionStep:
        return self.backend.kernel(
            COPY_KERNEL, {VALUE: value, RESULT: out}, frozenset([RESULT] if add else [])
        )

    def bind_gather(self, index: int, out: Tensor) -> PositionStep:
        """Bind the copy of the rows that `pointers[index]` points to."""
        pointers = self.pointers[index]
        arguments = _Gather(0, out.shape[-1], pointers.ctypes.data, out.data_ptr(), out.stride(1))
        return CStep(self.library.gather, arguments, pointers, out)

    def bind_attention(self, query: Tensor) -> Iterator[PositionStep]:
        """Bind the attention from query [1, R, H] to the context."""
        form = self.form
        if form is None:
            yield partial(self.attend, query)
            return
        if form.query is not None:
            projected = self.buffer(len(form.query))
            yield self.bind_product(self.query, query, projected)
            query = projected
        arguments = AttentionArguments(
            *(0, query.shape[-1], self.context.shape[-1], form.heads, query.data_ptr(), 0, query.stride(1)),
            *(None if form.v is None else form.v.data_ptr(), self.pointers[2].ctypes.data),
            *(None, None, 0, 0, self.context.data_ptr(), 0, self.context.stride(1)),
        )
        yield CStep(self.library.attend, arguments, query, self.pointers, form.v)

    def attend(self, query: Tensor, t: int) -> None:
        """Attend in torch, sentence by sentence; rows of one sentence are adjacent."""
        first = 0
        for sentence, run in groupby(self.memories):
            rows = slice(first, first + len(list(run)))
            assert sentence.attend is not None
            context, weights = sentence.attend(query[:, rows])
            self.context[:, rows] = context
            self.weights[rows, : sentence.length] = weights.squeeze(0)
            first = rows.stop

    def __call__(
        self, y: Ints, state: Floats | None, parents: Ints, memories: Sequence[SourceSentence]
    ) -> PositionOutput:
        """Run the position of R rows; see `nmt.decoding.model.Model.step`."""
        rows, longest = len(y), max(memory.length for memory in memories)
        with self.lock:  # other threads use the same buffers
            self.reserve(rows, longest)
            self.tokens.ensure_cached(y)
            self.set_pointers(y, state, parents, memories)
            self.memories = memories
            for group in self.step_groups:
                if isinstance(group, CSteps):
                    group.set_rows(rows)
                    group()
                else:
                    with torch.inference_mode():
                        group(0)
            state, features, weights = self.arrays
            new = state[:rows].copy()
            return PositionOutput(
                new[:, -self.feed_size :] if self.feed_size else features[:rows].copy(),
                new,
                weights[:rows, :longest].copy() if self.attends else None,
            )

    def reserve(self, rows: int, longest: int) -> None:
        """Make buffers for so many rows and source positions, if they are too small."""
        try:
            if rows > self.capacity:
                self.bind(max(rows, 2 * self.capacity), self.longest)
            if longest > self.longest:
                self.bind_weights(2 * longest)
        except BaseException:
            self.capacity = 0  # there is not enough memory: make them again before the next use
            raise

    def bind_weights(self, longest: int) -> None:
        """Make the buffer of the attention weights for sentences of so many positions."""
        self.weights = self.table.new_zeros(self.capacity, longest)
        self.arrays = self.state[0].numpy(), self.features[0].numpy(), self.weights.numpy()
        if self.attention is not None:
            self.scores = self.weights if self.attention.n == 1 else torch.empty_like(self.weights)
            self.attention.weights, self.attention.weights_row = self.weights.data_ptr(), longest
            self.attention.scores = self.scores.data_ptr()
        self.longest = longest

    def set_pointers(
        self, y: Ints, state: Floats | None, parents: Ints, memories: Sequence[SourceSentence]
    ) -> None:
        """Set the pointers to the token, the previous state and the sentence of each row."""
        tokens, states, sentences = self.pointers[:, : len(y)]
        np.multiply(y, self.tokens.row_bytes, out=tokens)
        tokens += self.tokens.address
        sentences[:] = [memory.address for memory in memories]
        if state is not None:
            np.multiply(parents, state.strides[0], out=states)
            states += state.ctypes.data
        for row in (parents < 0).nonzero()[0].tolist():
            states[row] = memories[row].start_address
