"""Beam search in C: consecutive positions of the decoder, their best tokens, and the hypotheses kept."""

import ctypes
from collections.abc import Sequence
from ctypes import c_int64, c_void_p

import numpy as np

from nmt.decoding.model import BeamPositions, Floats, LiveBeams
from nmt.model.output_layer import BoundOutput, OutputLayer, TokenList
from nmt.model.position import CompiledPosition, SourceSentence
from nmt.recurrence.c.native import CStep, CSteps
from nmt.recurrence.trace.kernel import COPY_KERNEL, RESULT, VALUE

REFUSED = 2  # of position.c


class _BeamArguments(ctypes.Structure):
    """`struct select_beams` of position.c."""

    _fields_ = (
        *((name, c_int64) for name in ("R", "k", "width", "never", "eos")),
        *((name, c_int64) for name in ("first_symbol", "last_symbol", "t", "positions")),
        *(("values", c_void_p), ("tokens", c_void_p), ("N", c_int64)),
        *((name, c_void_p) for name in ("kept", "scores", "needed", "floor", "count")),
        ("stop", c_int64),
        *(("table", c_void_p), ("is_cached", c_void_p), ("table_row", c_int64), ("state_size", c_int64)),
        *(("state", c_void_p), ("previous", c_void_p), ("pointers", c_void_p * 4)),
        *(("sentences", c_void_p), ("lists", c_void_p)),
    )


class BeamLoop:
    """The positions of a search without constraints, until a hypothesis ends."""

    def __init__(self, position: CompiledPosition, output: OutputLayer) -> None:
        self.position, self.output, self.arguments = position, output, _BeamArguments()
        self.bound: tuple[CSteps, BoundOutput, CSteps] | None = None

    def __call__(
        self,
        beams: LiveBeams,
        state: Floats | None,
        sources: Sequence[SourceSentence],
        lists: Sequence[TokenList],
    ) -> BeamPositions:
        """Run positions of sentences with these sources and shortlists; see `BeamModel.run_beams`."""
        rows, owners = len(beams.tokens), beams.sentences.tolist()
        most, size = max(rows, len(sources) * beams.width), beams.positions + 1
        k = min(beams.width + len(beams.never), len(self.output.bias))
        with self.position.lock, self.output.lock:  # other threads use the same buffers
            self.position.reserve(most, max(source.length for source in sources))
            self.position.tokens.ensure_cached(beams.tokens)
            memories = [sources[owner] for owner in owners]
            self.position.set_pointers(beams.tokens, state, beams.parents, memories)
            self.output.reserve(most, k)
            steps = self.bind(self.output.bind([lists[owner] for owner in owners] if lists else None, k))
            kept, scores = np.empty((size, 3, most), np.int64), np.empty((size, 2, most))
            counts, previous = np.full(size, rows), np.empty((most, self.state_size), self.dtype)
            kept[0, 2, :rows], scores[0, 1, :rows] = beams.sentences, beams.totals
            arguments = self.arguments
            arguments.k, arguments.width, arguments.positions = k, beams.width, beams.positions
            arguments.never, arguments.eos = sum(1 << token for token in beams.never), beams.eos
            arguments.first_symbol, arguments.last_symbol = beams.symbols.start, beams.symbols.stop
            arguments.N, arguments.kept, arguments.scores = most, kept.ctypes.data, scores.ctypes.data
            arguments.needed, arguments.floor = beams.needed.ctypes.data, beams.floors.ctypes.data
            arguments.count, arguments.previous = counts.ctypes.data, previous.ctypes.data
            sentences = (c_void_p * len(sources))(*(source.address for source in sources))
            listed = (c_void_p * len(lists))(*(one.address for one in lists))
            arguments.sentences = ctypes.addressof(sentences)
            arguments.lists = ctypes.addressof(listed) if lists else None
            self.run(steps)
            ran = slice(1, 1 + arguments.t - (arguments.stop == REFUSED))
        tokens, parents, groups = kept[ran].swapaxes(0, 1)
        log_probs, totals = scores[ran].swapaxes(0, 1)
        return BeamPositions(tokens, parents, groups, log_probs, totals, counts[ran], previous)

    def run(self, steps: CSteps) -> None:
        """Run the positions."""
        self.position.library.search(len(steps.steps), steps.array, ctypes.byref(self.arguments))

    def bind(self, output: BoundOutput) -> CSteps:
        """Return the steps of a position, its best tokens and the selection, bound to the present buffers."""
        position, arguments = self.position, self.arguments
        [steps] = position.step_groups
        assert isinstance(steps, CSteps)
        if self.bound is not None and self.bound[0] is steps and self.bound[1] is output:
            return self.bound[2]
        rows = min(position.capacity, self.output.capacity)
        features = {VALUE: position.features[:, :rows], RESULT: self.output.features[:, :rows]}
        copy = position.backend.kernel(COPY_KERNEL, features)
        assert isinstance(copy, CStep)
        tokens, state = position.tokens, position.state
        arguments.values, arguments.tokens = self.output.values.data_ptr(), self.output.tokens.ctypes.data
        arguments.table, arguments.table_row = tokens.address, tokens.row_bytes
        arguments.is_cached = tokens.is_cached.ctypes.data
        arguments.state, arguments.state_size = state.data_ptr(), state.shape[2]
        self.state_size, self.dtype = state.shape[2], position.arrays[0].dtype
        pointers = [*position.pointers, self.output.lists.pointers]
        arguments.pointers = (c_void_p * 4)(*(one.ctypes.data for one in pointers))
        select = CStep(position.library.select_beams, arguments, state, pointers)
        found = CSteps([*steps.steps, copy, *output.steps.steps, select])
        self.bound = steps, output, found
        return found
