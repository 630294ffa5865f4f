"""Inference with an exported translator: onnxruntime and numpy, without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.vocabulary import EOS, PAD
from nmt.decoding.model import Floats, Ints, StepOutput
from nmt.errors import is_out_of_memory, report_missing_packages
from nmt.export.graph_checks import check_graph
from nmt.untrusted_files import GRAPH_BYTES, RefusedFile, read_bytes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ADVICE = "export the translator again"
ENCODER_BATCH = 32  # sentences, sorted by length to save padding
ATTENTION_ROWS = 16  # hypotheses of a sentence that attend to its keys in one product


class GraphValue(NamedTuple):
    """The type of an input or output of a graph, and its sizes; None for those that differ between calls."""

    kind: str
    sizes: Sequence[int | None]


class EncoderArrays(NamedTuple):
    """One encoded sentence."""

    positions: list[Floats]  # keys [S, A] and values [S, C]; empty without attention
    start: list[Floats]  # the fields [H] of the decoder's first state


class OnnxTokenScores:
    """`TokenScores` over log probabilities [R, V], sorted by onnxruntime."""

    def __init__(self, log_probs: Floats, top_k: "GraphSession") -> None:
        self.log_probs, self.top_k = log_probs, top_k

    def best(self, count: int) -> tuple[Floats, Ints]:
        """Return the `count` highest of each row and their tokens, [R, count]; ties by token."""
        rows, size = self.log_probs.shape
        count = min(count, size)
        feeds = {"log_probs": self.log_probs, "count": np.array([count])}
        values, tokens = self.top_k.run(["values", "pieces"], feeds, [(rows, count)] * 2)
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < size):
            raise RefusedFile(self.top_k.file, "it returned a token that does not exist", ADVICE)
        return values, tokens

    def gather(self, rows: Ints, tokens: Ints) -> Floats:
        """Return the log probabilities of tokens [N] in rows [N]."""
        return self.log_probs[rows, tokens]

    def all(self) -> Floats:
        """Return all log probabilities [R, V]."""
        return self.log_probs


class OnnxModel:
    """`nmt.decoding.model.Model` over the graphs of an exported translator.

    The rounding of a sum over positions does not depend on the padding, nor that of a product on the number
    of rows, if there are at least two (decision 0015): so a row does not depend on the other rows.
    """

    def __init__(self, graphs: Mapping[str, Path], *, vocabulary_size: int, threads: int = 1) -> None:
        self.vocabulary_size = vocabulary_size
        self._encoder, self._step, self._top_k = (
            GraphSession(graphs[name], threads) for name in ("encoder", "step", "best")
        )
        inputs = list(self._step.inputs)
        self._state = [name for name in inputs if name.startswith("state.")]
        self._memory = [name for name in ("keys", "values") if name in inputs]
        self._last_attention = _AttentionFeeds([], {})

    def check(self, memory: Sequence[str], state: Mapping[str, int]) -> None:
        """Raise DataError unless the graphs have the inputs and outputs of a model with this state."""
        widths = [value.sizes[-1] for name in memory if (value := self._encoder.outputs.get(name))]
        arrays = {
            name: GraphValue("float", (None, None, size)) for name, size in zip(memory, widths, strict=False)
        }
        fields = {f"state.{name}": GraphValue("float", (None, size)) for name, size in state.items()}
        pairs, floats = GraphValue("int64", (None, None)), GraphValue("float", (None, None))
        numbers, mask = GraphValue("int64", (None,)), GraphValue("bool", (None, None))
        attention = {**arrays, "mask": mask, "rows": pairs, "place": numbers} if memory else {}
        scores = GraphValue("float", (None, self.vocabulary_size))
        following = {f"next.{name}": value for name, value in fields.items()}
        weights = {"weights": floats} if memory else {}
        self._encoder.check({"src": pairs}, {**arrays, **fields})
        self._step.check(
            {"y": numbers, "parents": numbers, **fields, **attention},
            {"log_probs": scores, **following, **weights},
        )
        count = GraphValue("int64", (1,))
        self._top_k.check({"log_probs": floats, "count": count}, {"values": floats, "pieces": pairs})

    def encode(self, sources: Sequence[Sequence[int]], /) -> list[EncoderArrays]:
        """Encode sentences (tokens without eos)."""
        order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
        encoded: dict[int, EncoderArrays] = {}
        for first in range(0, len(order), ENCODER_BATCH):
            indices = order[first : first + ENCODER_BATCH]
            encoded |= zip(indices, self._encode([sources[index] for index in indices]), strict=True)
        return [encoded[index] for index in range(len(sources))]

    def _encode(self, sources: Sequence[Sequence[int]]) -> list[EncoderArrays]:
        src = np.full((len(sources), max(map(len, sources)) + 1), PAD)
        for row, source in zip(src, sources, strict=True):
            row[: len(source) + 1] = [*source, EOS]
        names = [*self._memory, *self._state]
        widths = [self._encoder.outputs[name].sizes[-1] for name in names]
        shapes = [
            (*(src.shape if name in self._memory else src.shape[:1]), width)
            for name, width in zip(names, widths, strict=True)
        ]
        outputs: list[Floats] = self._encoder.run(names, {"src": src}, shapes)
        memory, start = outputs[: len(self._memory)], outputs[len(self._memory) :]
        return [
            EncoderArrays([part[i, : len(source) + 1].copy() for part in memory], [part[i] for part in start])
            for i, source in enumerate(sources)
        ]

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[EncoderArrays], /) -> StepOutput:
        """Run one step for R hypotheses of any sentences; see `nmt.decoding.model.Model`."""
        previous, parents = self._gather_previous(state, parents, memories)
        feeds = {"y": y, "parents": parents, **dict(zip(self._state, previous, strict=True))}
        if self._memory:
            feeds |= self._build_attention_feeds(memories)
        shapes = [(len(y), self.vocabulary_size), *((len(y), part.shape[1]) for part in previous)]
        if self._memory:
            shapes.append((len(y), feeds["mask"].shape[1]))
        log_probs, *next_state = self._step.run([*self._step.outputs], feeds, shapes)
        weights = None
        if self._memory:
            weights = [row[: len(m.positions[0])] for row, m in zip(next_state.pop(), memories, strict=True)]
        return StepOutput(OnnxTokenScores(log_probs, self._top_k), next_state, weights)

    def _gather_previous(
        self, state: list[Floats] | None, parents: Ints, memories: Sequence[EncoderArrays]
    ) -> tuple[list[Floats], Ints]:
        """Return the rows of the state, initial states added, and the row that each hypothesis continues."""
        new = np.flatnonzero(parents < 0)
        if state is not None and not len(new):
            return state, parents
        starts = (memories[row].start for row in new.tolist())
        first = [np.stack(parts) for parts in zip(*starts, strict=True)]
        known = 0 if state is None else len(state[0])
        parents = parents.copy()
        parents[new] = known + np.arange(len(new))
        if state is None:
            return first, parents
        return [np.concatenate(pair) for pair in zip(state, first, strict=True)], parents

    def _build_attention_feeds(self, memories: Sequence[EncoderArrays]) -> dict[str, NDArray[Any]]:
        """Return keys, values and mask of the sentences, and the rows that attend to each."""
        rows_of: dict[int, list[int]] = {}
        for row, memory in enumerate(memories):
            rows_of.setdefault(id(memory), []).append(row)
        groups = [
            rows[first : first + ATTENTION_ROWS]
            for rows in rows_of.values()
            for first in range(0, len(rows), ATTENTION_ROWS)
        ]
        width = max(2, max(map(len, groups)))
        rows, index = np.zeros((len(groups), width), np.int64), np.zeros(len(memories), np.int64)
        for number, group in enumerate(groups):
            rows[number, : len(group)] = group
            index[group] = number * width + np.arange(len(group))
        sentences = [memories[group[0]] for group in groups]
        if [*map(id, sentences)] != [*map(id, self._last_attention.memories)]:
            self._last_attention = _AttentionFeeds(sentences, self._pad(sentences))
        return {**self._last_attention.feeds, "rows": rows, "place": index}

    def _pad(self, memories: list[EncoderArrays]) -> dict[str, NDArray[Any]]:
        """Return padded keys and values [B, S, ...] and mask [B, S] of some sentences."""
        longest = max(len(memory.positions[0]) for memory in memories)
        mask = np.zeros((len(memories), longest), np.bool_)
        sizes = [part.shape[1] for part in memories[0].positions]
        parts = [np.zeros((len(memories), longest, size), np.float32) for size in sizes]
        for number, memory in enumerate(memories):
            mask[number, : len(memory.positions[0])] = True
            for part, array in zip(parts, memory.positions, strict=True):
                part[number, : len(array)] = array
        return {**dict(zip(self._memory, parts, strict=True)), "mask": mask}


class _AttentionFeeds(NamedTuple):
    """The sentences of the last step and their padded arrays, which the next step can usually reuse."""

    memories: list[EncoderArrays]
    feeds: dict[str, NDArray[Any]]


class GraphSession:
    """A graph in onnxruntime, whose failures are reported as those of its file."""

    def __init__(self, file: Path, threads: int) -> None:
        self.file = file
        content = read_bytes(file, GRAPH_BYTES, ADVICE)
        try:
            check_graph(content)
        except ValueError as error:
            raise RefusedFile(file, f"it is not a graph of a translator ({error})", ADVICE) from None
        self._session = _open_session(content, threads, file)
        values = (self._session.get_inputs(), self._session.get_outputs())
        self.inputs, self.outputs = (
            {value.name: GraphValue(value.type, value.shape) for value in part} for part in values
        )

    def run(
        self,
        outputs: Sequence[str],
        feeds: Mapping[str, NDArray[Any]],
        shapes: Sequence[tuple[int | None, ...]],
    ) -> list[NDArray[Any]]:
        """Return the named outputs; DataError unless they have these shapes."""
        try:
            results: list[NDArray[Any]] = self._session.run(outputs, feeds)
        except Exception as error:  # onnxruntime declares no common class of its errors
            if is_out_of_memory(error):
                raise
            raise RefusedFile(self.file, f"it cannot be run ({_find_first_line(error)})", ADVICE) from None
        for name, result, shape in zip(outputs, results, shapes, strict=True):
            if result.shape != shape:
                raise RefusedFile(
                    self.file, f"its result {name} has the shape {result.shape}, not {shape}", ADVICE
                )
        return results

    def check(self, inputs: Mapping[str, GraphValue], outputs: Mapping[str, GraphValue]) -> None:
        """Raise DataError unless the graph has these inputs and outputs."""
        for expected, actual in ((inputs, self.inputs), (outputs, self.outputs)):
            if list(expected) != list(actual):
                names = ", ".join(expected)
                raise RefusedFile(self.file, f"its inputs or outputs are not {names}", ADVICE)
            wrong = [name for name, value in expected.items() if not _is_same(actual[name], value)]
            if wrong:
                raise RefusedFile(self.file, f"its value {wrong[0]} has a wrong type or size", ADVICE)


def _is_same(actual: GraphValue, expected: GraphValue) -> bool:
    """Return True if a value has the expected type and sizes, and the others are not fixed."""
    if actual.kind != f"tensor({expected.kind})" or len(actual.sizes) != len(expected.sizes):
        return False
    pairs = zip(actual.sizes, expected.sizes, strict=True)
    return all(size == wanted if wanted else not isinstance(size, int) for size, wanted in pairs)


def _find_first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _open_session(graph: bytes, threads: int, file: Path) -> "InferenceSession":
    with report_missing_packages():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # errors are raised, too
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as in `GraphSession.run`
        if is_out_of_memory(error):
            raise
        raise RefusedFile(file, f"onnxruntime cannot load it ({_find_first_line(error)})", ADVICE) from None
