"""A translation model prepared for search: weights packed once, sentences encoded one by one."""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.decoding.model import BeamPositions, Floats, Ints, LiveBeams, StepOutput
from nmt.errors import UsageError
from nmt.model.attention import BoundAttention, Memory
from nmt.model.beam_loop import BeamLoop
from nmt.model.decoder import BoundDecoder, DecoderState
from nmt.model.output_layer import OutputLayer, TokenList
from nmt.model.output_scores import CompiledScores, TorchScores, mask_logits
from nmt.model.position import CompiledPosition, SourceSentence
from nmt.model.token_table import CACHE_BYTES
from nmt.model.translator import TranslationModel
from nmt.recurrence.c.int8 import Int8Backend
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.engine import runs_in_c, select_backend
from nmt.recurrence.layer import Layer
from nmt.recurrence.state import map_tensors

ENCODER_BATCH = 16
"""Sentences that are encoded together: enough rows to run at full speed, with little padding."""

CPU_BLOCK, GPU_BLOCK = 16, 256
"""Rows of a search that torch computes together: a constant, because a library chooses its kernel, and
with it the rounding, by the number of rows (decision 0007)."""


class InferenceModel:
    """A translator in evaluation mode, prepared for search (`nmt.decoding.model.Model`).

    If its engine multiplies in C, a row's values do not depend on the other rows, to the bit. Otherwise
    sentences are encoded with others of their length only, and every computation has a fixed number of rows,
    padded by repeating the first (decision 0007).

    A shortlist maps a sentence's tokens to those that its translation may contain, ascending, each once.
    With int8 weights are rounded to 8-bit integers; raises UsageError if such products cannot run here.
    """

    def __init__(
        self,
        model: TranslationModel,
        *,
        eos: int,
        shortlist: Callable[[Sequence[int]], Ints] | None = None,
        cache_bytes: int = CACHE_BYTES,
        int8: bool = False,
    ) -> None:
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self.model, self.eos = copy.deepcopy(model, shared).eval(), eos
        self.shortlist = shortlist
        decoder = self.model.decoder
        if int8:
            _require_int8(decoder.output.weight)
        with torch.inference_mode():
            for module in self.model.modules():
                if isinstance(module, Layer):
                    module.engine = "int8" if int8 else module.engine
                    module.prepare_for_inference()
                elif isinstance(module, PackableLinear) and module not in (decoder.output, decoder.combine):
                    module.prepare_for_inference("int8" if int8 else "auto")
            bound = BoundDecoder(decoder, 1)  # in evaluation mode nothing depends on the batch size
        self.device = decoder.output.bias.device
        self.runs_in_c = runs_in_c(bound.engine, decoder.output.bias)
        self.decoder = CompiledDecoder(bound, cache_bytes) if self.runs_in_c else TorchDecoder(bound)

    @property
    def vocabulary_size(self) -> int:
        """V, the size of the target vocabulary."""
        return self.model.decoder.output.out_features

    @torch.inference_mode()
    def encode(self, sources: Sequence[Sequence[int]]) -> list[Any]:
        """Encode sentences (tokens without eos)."""
        encoded = dict[int, Any]()
        for batch in self._encoder_batches(sources):
            rows = [[*sources[index], self.eos] for index in batch]
            longest = max(map(len, rows)) + 1  # always some padding: the same program reads all
            src = torch.tensor([row + [self.model.pad] * (longest - len(row)) for row in rows])
            memory = self.model.encode(
                src if self.runs_in_c else repeat_first(src.to(self.device), ENCODER_BATCH)
            )
            start = self.model.decoder.start(memory)
            for i, (index, row) in enumerate(zip(batch, rows, strict=True)):
                shortlist = TokenList(self.shortlist(row[:-1])) if self.shortlist else None
                initial = map_tensors(lambda t, i=i: t[i : i + 1], start)
                sentence = memory._replace(finals=())
                sentence = map_tensors(lambda t, i=i, row=row: t[i : i + 1, : len(row)], sentence)
                encoded[index] = self.decoder.select_sentence(initial, sentence, shortlist)
        return [encoded[index] for index in range(len(sources))]

    def step(self, y: Ints, state: Any, parents: Ints, memories: Sequence[Any]) -> StepOutput:
        """Compute one position of R rows: previous token, row of `state` (-1: start) and sentence of each."""
        return self.decoder.step(y, state, parents, memories)

    def run_beams(self, beams: LiveBeams, state: Any, memories: Sequence[Any]) -> BeamPositions | None:
        """Run positions of a search in C; None if a part of the decoder runs in Python."""
        if isinstance(self.decoder, TorchDecoder) or self.decoder.loop is None:
            return None
        sources = [memory.source for memory in memories]
        lists = [memory.shortlist for memory in memories if memory.shortlist]
        return self.decoder.loop(beams, state, sources, lists)

    def _encoder_batches(self, sources: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Divide the indices of sentences into batches, the shortest first."""
        batch = list[int]()
        for index in sorted(range(len(sources)), key=lambda index: len(sources[index])):
            longer = batch and len(sources[batch[0]]) != len(sources[index])
            if (longer and not self.runs_in_c) or len(batch) == ENCODER_BATCH:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


class CompiledSentence(NamedTuple):
    """An encoded sentence for a `CompiledDecoder`, and its shortlist."""

    source: SourceSentence
    shortlist: TokenList | None


class CompiledDecoder:
    """The decoder in C: one call for a position, and one for its best tokens."""

    def __init__(self, bound: BoundDecoder, cache_bytes: int) -> None:
        output = bound.decoder.output
        self.position = CompiledPosition(bound, cache_bytes)
        self.output = OutputLayer(select_backend(bound.engine, output.weight), output.weight, output.bias)
        self.loop = BeamLoop(self.position, self.output) if self.position.is_compiled else None

    def select_sentence(
        self, start: DecoderState, memory: Memory, shortlist: TokenList | None
    ) -> CompiledSentence:
        """Copy a sentence out of a batch: state [1, H], memory [1, S, ...]."""
        return CompiledSentence(self.position.select_sentence(start, memory), shortlist)

    def step(
        self, y: Ints, state: Floats | None, parents: Ints, memories: Sequence[CompiledSentence]
    ) -> StepOutput:
        """Compute one position of R rows."""
        sources = [memory.source for memory in memories]
        features, new, weights = self.position(y, state, parents, sources)
        lists = [memory.shortlist for memory in memories if memory.shortlist]
        rows = None if weights is None else [row[: s.length] for row, s in zip(weights, sources, strict=True)]
        return StepOutput(CompiledScores(features, self.output, lists or None), new, rows)


class EncodedSentence(NamedTuple):
    """An encoded sentence: the decoder's initial state [1, H], the attention over it, and its shortlist."""

    start: DecoderState
    attention: BoundAttention | None
    shortlist: TokenList | None


class TorchDecoder:
    """The decoder in torch, in blocks of `size` rows, filled by repeating the first."""

    def __init__(self, bound: BoundDecoder) -> None:
        self.bound, self.decoder = bound, bound.decoder
        self.device = self.decoder.output.bias.device
        self.decoder.output.prepare_for_inference()
        self.size = CPU_BLOCK if self.device.type == "cpu" else GPU_BLOCK

    def select_sentence(
        self, start: DecoderState, memory: Memory, shortlist: TokenList | None
    ) -> EncodedSentence:
        """Copy a sentence out of a batch: state [1, H], memory [1, S, ...]."""
        start, memory = map_tensors(torch.clone, (start, memory))
        attends = memory.keys is not None
        attention = self.decoder.attention.bind(memory, self.bound.engine) if attends else None
        return EncodedSentence(start, attention, shortlist)

    @torch.inference_mode()
    def step(
        self, y: Ints, state: DecoderState | None, parents: Ints, memories: Sequence[EncodedSentence]
    ) -> StepOutput:
        """Compute one position of R rows, block by block."""
        states = self._select_states(state, parents, memories)
        tokens, logits, new, weights = torch.from_numpy(y).to(self.device), [], [], list[Tensor]()
        for block in self._blocks(memories):
            count = block.stop - block.start
            rows = map_tensors(lambda t, block=block: repeat_first(t[block], self.size), (tokens, states))
            attend = self._bind_attention(memories[block], weights)
            x = self.bound.token_product(self.decoder.embedding(rows[0]))
            step = self.bound.step(x, rows[1], attend)
            logits.append(self.decoder.output(step.features)[:count])
            new.append(map_tensors(lambda t, count=count: t[:count], step.state))
        scores, lists = torch.cat(logits), [memory.shortlist for memory in memories if memory.shortlist]
        return StepOutput(
            TorchScores(mask_logits(scores, lists) if lists else scores),
            _concat_states(*new),
            [row.numpy(force=True) for row in weights] or None,
        )

    def _blocks(self, memories: Sequence[EncodedSentence]) -> Iterator[slice]:
        """Divide rows into blocks, those of a sentence independently of the other rows."""
        start = stop = 0
        for _, run in groupby(memories, id):
            left = len(list(run))
            while left:
                count = min(left, self.size)
                if stop + count - start > self.size:
                    yield slice(start, stop)
                    start = stop
                stop, left = stop + count, left - count
        yield slice(start, stop)

    def _select_states(
        self, state: DecoderState | None, parents: Ints, memories: Sequence[EncodedSentence]
    ) -> DecoderState:
        new = np.flatnonzero(parents < 0)
        starts = [memories[row].start for row in new.tolist()]
        if state is None:
            return _concat_states(*starts)
        if len(new):
            parents = parents.copy()
            parents[new] = np.arange(len(new)) + len(state.layers[0].h)
            state = _concat_states(state, *starts)
        order = torch.from_numpy(parents).to(self.device)
        return map_tensors(lambda tensor: tensor.index_select(0, order), state)

    def _bind_attention(
        self, memories: Sequence[EncodedSentence], weights: list[Tensor]
    ) -> BoundAttention | None:
        """Bind each row to its sentence; the weights of each row are appended to `weights`."""
        if memories[0].attention is None:
            return None

        def attend(query: Tensor) -> tuple[Tensor, Tensor]:
            context, row_weights = _attend_by_sentence(query, memories)
            weights.extend(row_weights)
            return context.unsqueeze(1), query.new_empty(len(query), 1, 0)

        return attend


def _require_int8(weight: Tensor) -> None:
    """Raise UsageError if there are no products in 8-bit integers for a weight."""
    obstacle = Int8Backend.find_obstacle(weight)
    if obstacle:
        raise UsageError(
            f"int8: {obstacle}; without a compiler, translate with a model exported by "
            "`nmt export RUN --to onnx --int8`"
        )


def _attend_by_sentence(query: Tensor, memories: Sequence[EncodedSentence]) -> tuple[Tensor, list[Tensor]]:
    """Attend sentence by sentence; rows of one sentence are adjacent."""
    contexts, weights, first = list[Tensor](), list[Tensor](), 0
    for attention, run in groupby(memories, lambda memory: memory.attention):
        assert attention is not None
        last = first + len(list(run))
        context, row_weights = attention(query[first:last].transpose(0, 1))
        contexts.append(context.squeeze(0))
        weights += row_weights.squeeze(0).unbind(0)
        first = last
    missing = query.new_zeros(len(query) - first, contexts[0].shape[1])
    return torch.cat([*contexts, missing]), weights


def repeat_first(rows: Tensor, size: int) -> Tensor:
    """Repeat the first row up to `size` rows, since the rounding depends on the number of rows."""
    missing = size - len(rows)
    return torch.cat([rows, rows[:1].expand(missing, *rows.shape[1:])]) if missing else rows


def _concat_states(*states: DecoderState) -> DecoderState:
    return map_tensors(lambda *rows: torch.cat(rows), *states)
