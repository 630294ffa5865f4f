"""An exported translator at work: onnxruntime and numpy, no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import EOS, PAD
from nmt.decoding.model import Floats, Ints, StepOutput
from nmt.errors import UsageError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ENCODED_TOGETHER = 32  # sentences; those of like length meet, so that little is spent on padding
LOOKING_TOGETHER = 16  # hypotheses of a sentence that look at its keys in one product


class Memory(NamedTuple):
    """What is known of one sentence."""

    positions: list[Floats]  # keys [S, A] and values [S, C]; empty without attention
    start: list[Floats]  # the parts [H] of the decoder's first state


class Scores:
    """Log probabilities [R, V], the best of which onnxruntime finds."""

    def __init__(self, log_probs: Floats, finder: "InferenceSession") -> None:
        self.log_probs, self.finder = log_probs, finder

    def best(self, count: int) -> tuple[Floats, Ints]:
        """The `count` best of each row and their pieces, [R, count] both, best first; equal ones by piece."""
        count = min(count, self.log_probs.shape[1])
        given: tuple[Floats, Ints] = self.finder.run(
            None, {"log_probs": self.log_probs, "count": np.array([count])}
        )
        return given[0], given[1]

    def gather(self, rows: Ints, pieces: Ints) -> Floats:
        """Of some pieces: [N] for rows [N] and pieces [N]."""
        return self.log_probs[rows, pieces]

    def all(self) -> Floats:
        """Of every piece, [R, V]."""
        return self.log_probs


class Runtime:
    """`nmt.decoding.model.Model` over the graphs of an exported translator.

    A sum over a sentence's positions is rounded alike however much padding follows, and a row of a product
    however many rows there are, as long as there are two (decision 0015): so a row's numbers do not depend on
    what is beside it.
    """

    def __init__(self, graphs: Mapping[str, Path], *, vocabulary_size: int, threads: int = 1) -> None:
        self.vocabulary_size = vocabulary_size
        self._encoder, self._step, self._best = (
            _session(graphs[name], threads) for name in ("encoder", "step", "best")
        )
        reads = [given.name for given in self._step.get_inputs()]
        self._state = [name for name in reads if name.startswith("state.")]
        self._memory = [name for name in ("keys", "values") if name in reads]
        self._attended = _Attended([], {})

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[Memory]:
        """What is remembered of each sentence (its pieces, no eos)."""
        order = sorted(range(len(sources)), key=lambda place: len(sources[place]))
        found: dict[int, Memory] = {}
        for first in range(0, len(order), ENCODED_TOGETHER):
            places = order[first : first + ENCODED_TOGETHER]
            found |= zip(places, self._encode([sources[place] for place in places]), strict=True)
        return [found[place] for place in range(len(sources))]

    def _encode(self, sources: Sequence[Sequence[int]]) -> list[Memory]:
        src = np.full((len(sources), max(map(len, sources)) + 1), PAD)
        for row, source in zip(src, sources, strict=True):
            row[: len(source) + 1] = [*source, EOS]
        given: list[Floats] = self._encoder.run([*self._memory, *self._state], {"src": src})
        count = len(self._memory)
        return [
            Memory(
                [part[i, : len(source) + 1].copy() for part in given[:count]], [p[i] for p in given[count:]]
            )
            for i, source in enumerate(sources)
        ]

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Memory], /) -> StepOutput:
        """One position of R hypotheses of any sentences; see `nmt.decoding.model.Model`."""
        before, parents = self._before(state, parents, memories)
        feeds = {"y": y, "parents": parents, **dict(zip(self._state, before, strict=True))}
        if self._memory:
            feeds |= self._look(memories)
        log_probs, *after = self._step.run(None, feeds)
        weights = None
        if self._memory:
            weights = [row[: len(m.positions[0])] for row, m in zip(after.pop(), memories, strict=True)]
        return StepOutput(Scores(log_probs, self._best), after, weights)

    def _before(
        self, state: list[Floats] | None, parents: Ints, memories: Sequence[Memory]
    ) -> tuple[list[Floats], Ints]:
        """The rows that are continued, first states among them, and which one each hypothesis continues."""
        new = np.flatnonzero(parents < 0)
        if state is not None and not len(new):
            return state, parents
        first = [
            np.stack(parts) for parts in zip(*(memories[row].start for row in new.tolist()), strict=True)
        ]
        known = 0 if state is None else len(state[0])
        parents = parents.copy()
        parents[new] = known + np.arange(len(new))
        if state is None:
            return first, parents
        return [np.concatenate(pair) for pair in zip(state, first, strict=True)], parents

    def _look(self, memories: Sequence[Memory]) -> dict[str, NDArray[Any]]:
        """Keys, values and mask of the sentences at hand, and which rows look at which."""
        rows_of: dict[int, list[int]] = {}
        for row, memory in enumerate(memories):
            rows_of.setdefault(id(memory), []).append(row)
        together = [
            rows[first : first + LOOKING_TOGETHER]
            for rows in rows_of.values()
            for first in range(0, len(rows), LOOKING_TOGETHER)
        ]
        width = max(2, max(map(len, together)))
        rows, place = np.zeros((len(together), width), np.int64), np.zeros(len(memories), np.int64)
        for number, group in enumerate(together):
            rows[number, : len(group)] = group
            place[group] = number * width + np.arange(len(group))
        asked = [memories[group[0]] for group in together]
        if [*map(id, asked)] != [*map(id, self._attended.memories)]:
            self._attended = _Attended(asked, self._beside(asked))
        return {**self._attended.feeds, "rows": rows, "place": place}

    def _beside(self, memories: list[Memory]) -> dict[str, NDArray[Any]]:
        """Keys, values [B, S, ...] and mask [B, S] of some sentences."""
        longest = max(len(memory.positions[0]) for memory in memories)
        mask = np.zeros((len(memories), longest), np.bool_)
        sizes = [part.shape[1] for part in memories[0].positions]
        parts = [np.zeros((len(memories), longest, size), np.float32) for size in sizes]
        for number, memory in enumerate(memories):
            mask[number, : len(memory.positions[0])] = True
            for part, own in zip(parts, memory.positions, strict=True):
                part[number, : len(own)] = own
        return {**dict(zip(self._memory, parts, strict=True)), "mask": mask}


class _Attended(NamedTuple):
    """The sentences of the last step and their tensors, which mostly serve the next one too."""

    memories: list[Memory]
    feeds: dict[str, NDArray[Any]]


def _session(graph: Path, threads: int) -> "InferenceSession":
    try:
        import onnxruntime
    except ImportError:
        raise UsageError("an exported translator needs onnxruntime: pip install 'nmt[fast]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
