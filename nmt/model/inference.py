"""A translation model prepared for search: weights packed once, sentences encoded one by one."""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.decoding.model import Ints, StepOutput
from nmt.errors import UsageError
from nmt.model.attention import Attention, BoundAttention, Memory
from nmt.model.decoder import BoundDecoder, DecoderState
from nmt.model.encoder import Embedding
from nmt.model.output_scores import (
    KeysValues,
    ShortlistedOutput,
    ShortlistScores,
    VocabularyScores,
    attend_in_c,
    concatenate_scores,
    score_shortlists,
    shortlist_output,
)
from nmt.model.translator import TranslationModel
from nmt.recurrence.c.int8 import Int8Backend
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.engine import runs_in_c
from nmt.recurrence.layer import Layer
from nmt.recurrence.reference import BoundProduct
from nmt.recurrence.state import map_tensors

ENCODER_BATCH = 16
"""Sentences that are encoded together: enough rows to run at full speed, with little padding."""

CACHE_BYTES = 64 << 20
"""Largest table of an `EmbeddingProductCache`; larger ones are not built."""

CPU_BLOCK, GPU_BLOCK = 16, 256
"""Rows of a search that torch computes together: a constant, because a library chooses its kernel, and
with it the rounding, by the number of rows (decision 0007)."""


class EmbeddingProductCache:
    """Tokens [R] to W x + b [R, G*H] of their embeddings x, each computed at the first use of the token.

    For products in which a row does not depend on the others: caching does not change its value.
    """

    def __init__(self, embedding: Embedding, product: BoundProduct, size: int) -> None:
        """Take the embedding, the product, and its `size` G*H."""
        self.embedding, self.product = embedding, product
        self.table = embedding.weight.new_empty(embedding.num_embeddings, size)
        self.is_cached = torch.zeros(embedding.num_embeddings, dtype=torch.bool)

    def __call__(self, tokens: Tensor) -> Tensor:
        new = tokens[~self.is_cached[tokens]]
        if len(new):
            self.table[new] = self.product(self.embedding(new))
            self.is_cached[new] = True
        return self.table.index_select(0, tokens)


class EncodedSentence(NamedTuple):
    """An encoded sentence: the decoder's initial state [1, H], keys and values, and its shortlist."""

    start: DecoderState
    keys_values: KeysValues | None  # for a dot product
    attention: BoundAttention | None  # for every other attention
    shortlist: ShortlistedOutput | None


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
                elif isinstance(module, PackableLinear):
                    module.prepare_for_inference("int8" if int8 else "auto")
            self.bound = BoundDecoder(decoder, 1)  # in evaluation mode nothing depends on the batch size
        self.device = decoder.output.bias.device
        self.runs_in_c = runs_in_c(self.bound.engine, decoder.output.bias)
        self.block = CPU_BLOCK if self.device.type == "cpu" else GPU_BLOCK
        attention = type(decoder.attention)  # one softmax over dot products can run in C
        self.is_dot_product = (
            attention.bind is Attention.bind and attention.bind_scorer is Attention.bind_scorer
        )
        embedding, first = decoder.embedding, self.bound.layers[0].cell
        self.token_products: Callable[[Tensor], Tensor] = lambda y: self.bound.token_product(embedding(y))
        cached = embedding.num_embeddings * len(first.W) * embedding.weight.element_size()
        if self.runs_in_c and cached <= cache_bytes:  # elsewhere a row depends on the others
            self.token_products = EmbeddingProductCache(embedding, self.bound.token_product, len(first.W))

    @property
    def vocabulary_size(self) -> int:
        """V, the size of the target vocabulary."""
        return self.model.decoder.output.out_features

    @torch.inference_mode()
    def encode(self, sources: Sequence[Sequence[int]]) -> list[EncodedSentence]:
        """Encode sentences (tokens without eos)."""
        encoded: dict[int, EncodedSentence] = {}
        for batch in self._encoder_batches(sources):
            rows = [[*sources[index], self.eos] for index in batch]
            longest = max(map(len, rows)) + 1  # always some padding: the same program reads all
            src = torch.tensor([row + [self.model.pad] * (longest - len(row)) for row in rows])
            memory = self.model.encode(self._fill(src.to(self.device), ENCODER_BATCH))
            start = self.model.decoder.start(memory)
            for i, (index, row) in enumerate(zip(batch, rows, strict=True)):
                encoded[index] = self._select_sentence(memory, start, i, row)
        return [encoded[index] for index in range(len(sources))]

    @torch.inference_mode()
    def step(
        self, y: Ints, state: DecoderState | None, parents: Ints, memories: Sequence[EncodedSentence]
    ) -> StepOutput:
        """Compute one position of R rows: previous token, row of `state` (-1: start) and sentence of each."""
        states = self._select_states(state, parents, memories)
        tokens = torch.from_numpy(y).to(self.device)
        steps = []
        for block in self._blocks(memories):
            state = map_tensors(lambda t, block=block: t[block], states)
            steps.append(self._step_block(tokens[block], state, memories[block]))
        if len(steps) == 1:
            return steps[0]
        scores, new, block_weights = zip(*steps, strict=True)
        weights = [w for block in block_weights if block for w in block]
        return StepOutput(concatenate_scores(scores), _concat_states(*new), weights or None)

    def _blocks(self, memories: Sequence[EncodedSentence]) -> Iterator[slice]:
        """Divide rows into blocks, those of a sentence independently of the other rows."""
        size = len(memories) if self.runs_in_c else self.block
        start = stop = 0
        for _, run in groupby(memories, id):
            left = len(list(run))
            while left:
                count = min(left, size)
                if stop + count - start > size:
                    yield slice(start, stop)
                    start = stop
                stop, left = stop + count, left - count
        yield slice(start, stop)

    def _step_block(
        self, tokens: Tensor, state: DecoderState, memories: Sequence[EncodedSentence]
    ) -> StepOutput:
        count, weights = len(tokens), list[Tensor]()
        tokens, state = map_tensors(lambda t: self._fill(t, self.block), (tokens, state))
        step = self.bound.step(self.token_products(tokens), state, self._bind_attention(memories, weights))
        output, shortlists = self.model.decoder.output, [m.shortlist for m in memories if m.shortlist]
        scores: VocabularyScores | ShortlistScores
        if shortlists:
            scores = score_shortlists(step.features, output, shortlists)
        else:
            scores = VocabularyScores(output(step.features)[:count])
        state = map_tensors(lambda t: t[:count], step.state)
        return StepOutput(scores, state, [w.numpy(force=True) for w in weights] or None)

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

    def _fill(self, rows: Tensor, size: int) -> Tensor:
        """Repeat the first row up to `size` rows, if the rounding depends on the number of rows."""
        missing = 0 if self.runs_in_c else size - len(rows)
        return torch.cat([rows, rows[:1].expand(missing, *rows.shape[1:])]) if missing else rows

    def _select_sentence(
        self, memory: Memory, start: DecoderState, row: int, tokens: Sequence[int]
    ) -> EncodedSentence:
        """Copy one sentence, with its tokens, out of a batch."""
        decoder, length = self.model.decoder, len(tokens)
        start = map_tensors(lambda t: t[row : row + 1].clone(), start)
        shortlist = self.shortlist and shortlist_output(decoder.output, self.shortlist(tokens[:-1]))
        if memory.keys is None or memory.values is None:
            return EncodedSentence(start, None, None, shortlist)
        if self.is_dot_product and self.runs_in_c:
            keys, values = (t[row, :length].clone() for t in (memory.keys, memory.values))
            return EncodedSentence(start, KeysValues(keys, values), None, shortlist)
        memory = map_tensors(lambda t: t[row : row + 1, :length].clone(), memory._replace(finals=()))
        return EncodedSentence(start, None, decoder.attention.bind(memory, self.bound.engine), shortlist)

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
        if memories[0].keys_values is None and memories[0].attention is None:
            return None
        sentences = [memory.keys_values for memory in memories if memory.keys_values]

        def attend(query: Tensor) -> tuple[Tensor, Tensor]:
            if sentences:
                context, row_weights = attend_in_c(query.squeeze(1), sentences)
            else:
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


def _concat_states(*states: DecoderState) -> DecoderState:
    return map_tensors(lambda *rows: torch.cat(rows), *states)
