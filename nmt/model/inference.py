"""A translator made ready for searching: weights packed once, sentences remembered one by one."""

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nmt.decoding.model import Ints, StepOutput
from nmt.model.attention import BoundAttention, Memory, is_dot_product
from nmt.model.decoder import BoundDecoder, DecoderState
from nmt.model.embedding import Embedding
from nmt.model.output_scores import (
    KeysValues,
    ShortlistedOutput,
    ShortlistScores,
    VocabularyScores,
    attend,
    concatenate_scores,
    score_shortlists,
    shortlist_output,
)
from nmt.model.translator import Translator
from nmt.recurrence.deferred import PackableLinear
from nmt.recurrence.engine import runs_in_c
from nmt.recurrence.layer import Layer
from nmt.recurrence.reference import BoundProduct
from nmt.recurrence.state import map_tensors

ENCODER_BATCH = 16
"""Sentences that are encoded together: so many rows run at full speed, and few of them are padding."""

CPU_BLOCK, GPU_BLOCK = 16, 256
"""Rows of a search that torch computes together: always as many, because a library chooses its kernel, and
with it the rounding, by the number of rows (decision 0007)."""


class EncodedSentence(NamedTuple):
    """What is remembered of one sentence: the decoder's first state [1, H], and what attention reads."""

    start: DecoderState
    lines: KeysValues | None  # for a dot product
    look: BoundAttention | None  # for every other attention
    output: ShortlistedOutput | None = None  # where there is a shortlist


class InferenceModel:
    """A translator in evaluation mode as a search wants it (`nmt.decoding.model.Model`).

    Where its engine multiplies in C, a row's values do not depend on the other rows, to the bit. Elsewhere
    sentences are encoded with others of their length only, and every computation has a fixed number of rows,
    filled up by repeating the first (decision 0007).

    A shortlist says of a sentence's pieces which pieces its translation may hold, ascending, each once.
    """

    def __init__(
        self,
        model: Translator,
        *,
        eos: int,
        shortlist: Callable[[Sequence[int]], Ints] | None = None,
    ) -> None:
        shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self.model, self.eos = copy.deepcopy(model, shared).eval(), eos
        self.shortlist = shortlist
        decoder = self.model.decoder
        with torch.inference_mode():
            for module in self.model.modules():
                if isinstance(module, Layer | PackableLinear):
                    module.prepare_for_inference()
            self.bound = BoundDecoder(decoder, 1)  # in evaluation nothing is drawn for the rows of a batch
        self.native = runs_in_c(self.bound.engine, self._like)
        self.block = CPU_BLOCK if self._like.device.type == "cpu" else GPU_BLOCK
        self.dot = is_dot_product(decoder.attention)
        self.words = self._words()

    @property
    def vocabulary_size(self) -> int:
        """V, the size of the target vocabulary."""
        return self.model.decoder.output.out_features

    @torch.inference_mode()
    def encode(self, sources: Sequence[Sequence[int]]) -> list[EncodedSentence]:
        """What is remembered of each sentence (its pieces without eos)."""
        remembered: dict[int, EncodedSentence] = {}
        for places in self._together(sources):
            rows = [[*sources[place], self.eos] for place in places]
            longest = max(map(len, rows)) + 1  # always some padding: all are read by the same program
            src = torch.tensor([row + [self.model.pad] * (longest - len(row)) for row in rows])
            memory = self.model.encode(self._filled(src.to(self._like.device), ENCODER_BATCH))
            start = self.model.start(memory)
            for i, (place, row) in enumerate(zip(places, rows, strict=True)):
                remembered[place] = self._remembered(memory, start, i, len(row))._replace(
                    output=self.shortlist
                    and shortlist_output(self.model.decoder.output, self.shortlist(row[:-1]))
                )
        return [remembered[place] for place in range(len(sources))]

    @torch.inference_mode()
    def step(
        self, y: Ints, state: DecoderState | None, parents: Ints, memories: Sequence[EncodedSentence]
    ) -> StepOutput:
        """One position of R rows: the piece before each, its row in `state` (-1: the start), its sentence."""
        rows = self._continued(state, parents, memories)
        words = torch.from_numpy(y).to(self._like.device)
        steps = [
            self._step_block(
                words[block], map_tensors(lambda t, block=block: t[block], rows), memories[block]
            )
            for block in self._blocks(memories)
        ]
        if len(steps) == 1:
            return steps[0]
        scores, states, weights = zip(*steps, strict=True)
        seen = [w for block in weights if block for w in block]
        return StepOutput(concatenate_scores(scores), _on_top(*states), seen or None)

    def _blocks(self, memories: Sequence[EncodedSentence]) -> Iterator[slice]:
        """Divide rows into blocks, and the rows of a sentence always alike, whatever the other rows are."""
        size = len(memories) if self.native else self.block
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
        self, words: Tensor, state: DecoderState, memories: Sequence[EncodedSentence]
    ) -> StepOutput:
        """Compute one position of the rows of one block."""
        count, weights = len(words), list[Tensor]()
        words, state = map_tensors(lambda t: self._filled(t, self.block), (words, state))
        position = self.bound.step(self.words(words), state, self._look(memories, weights))
        scores = self._scores(position.features, memories)
        state = map_tensors(lambda t: t[:count], position.state)
        return StepOutput(scores, state, [w.numpy(force=True) for w in weights] or None)

    def _scores(
        self, features: Tensor, memories: Sequence[EncodedSentence]
    ) -> VocabularyScores | ShortlistScores:
        output = self.model.decoder.output
        lists = [memory.output for memory in memories if memory.output]
        return (
            score_shortlists(features, output, lists)
            if lists
            else VocabularyScores(output(features)[: len(memories)])
        )

    @property
    def _like(self) -> Tensor:
        return self.model.decoder.output.bias

    def _together(self, sources: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Places of sentences that are encoded together, the shortest first."""
        alike, group = not self.native, list[int]()
        for place in sorted(range(len(sources)), key=lambda place: len(sources[place])):
            other = group and alike and len(sources[group[0]]) != len(sources[place])
            if other or len(group) == ENCODER_BATCH:
                yield group
                group = []
            group.append(place)
        if group:
            yield group

    def _words(self) -> Callable[[Tensor], Tensor]:
        """The words' part of the first input product; from a small table where that changes no number."""
        embedding, read = self.model.decoder.embedding, self.bound.token_product
        size = len(self.bound.layers[0].cell.W)
        small = embedding.num_embeddings * size * embedding.weight.element_size() <= CACHE_BYTES
        if small and self.native:
            return EmbeddingProductCache(embedding, read, size)
        return lambda words: read(embedding(words))

    def _filled(self, rows: Tensor, size: int) -> Tensor:
        """Repeat the first of these rows up to `size` rows, where the number of rows decides the rounding."""
        missing = 0 if self.native else size - len(rows)
        return torch.cat([rows, rows[:1].expand(missing, *rows.shape[1:])]) if missing else rows

    def _remembered(self, memory: Memory, start: DecoderState, row: int, length: int) -> EncodedSentence:
        alone = map_tensors(lambda t: t[row : row + 1].clone(), start)
        if memory.keys is None or memory.values is None:
            return EncodedSentence(alone, None, None)
        keys, values = (t[row, :length].clone() for t in (memory.keys, memory.values))
        if self.dot and self.native:
            return EncodedSentence(alone, KeysValues(keys, values), None)
        own = memory._replace(
            states=memory.states[row : row + 1, :length].clone(),
            keys=keys.unsqueeze(0),
            values=values.unsqueeze(0),
            mask=memory.mask[row : row + 1, :length].clone(),
            finals=(),
        )
        return EncodedSentence(alone, None, self.model.decoder.attention.bind(own, self.bound.engine))

    def _continued(
        self, state: DecoderState | None, parents: Ints, memories: Sequence[EncodedSentence]
    ) -> DecoderState:
        """The state that each row goes on from."""
        new = np.flatnonzero(parents < 0)
        starts = [memories[row].start for row in new.tolist()]
        if state is None:
            return _on_top(*starts)
        if not len(new):
            return _select(state, torch.from_numpy(parents))
        order = parents.copy()
        order[new] = np.arange(len(new)) + len(state.layers[0].h)
        return _select(_on_top(state, *starts), torch.from_numpy(order))

    def _look(self, memories: Sequence[EncodedSentence], seen: list[Tensor]) -> BoundAttention | None:
        """Attention of each row over its own sentence; the weights of each row are put into `seen`."""
        if memories[0].lines is not None:
            return lambda query: _over_lines(query, [m.lines for m in memories if m.lines], seen)
        if memories[0].look is not None:
            return lambda query: _one_by_one(query, memories, seen)
        return None


def _over_lines(query: Tensor, lines: list[KeysValues], seen: list[Tensor]) -> tuple[Tensor, Tensor]:
    context, weights = attend(query.squeeze(1), lines)
    seen += weights
    return context.unsqueeze(1), query.new_empty(len(query), 1, 0)


def _one_by_one(
    query: Tensor, memories: Sequence[EncodedSentence], seen: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Sentence by sentence: rows of one sentence stand side by side."""
    contexts, first = [], 0
    while first < len(memories):
        look, last = memories[first].look, first + 1
        while last < len(memories) and memories[last].look is look:
            last += 1
        assert look is not None
        context, weights = look(query[first:last].transpose(0, 1))
        contexts.append(context.squeeze(0))
        seen += weights.squeeze(0).unbind(0)
        first = last
    missing = query.new_zeros(len(query) - first, contexts[0].shape[1])
    return torch.cat([*contexts, missing]).unsqueeze(1), query.new_empty(len(query), 1, 0)


def _on_top(*trees: DecoderState) -> DecoderState:
    return map_tensors(lambda *rows: torch.cat(rows), *trees)


def _select(tree: DecoderState, rows: Tensor) -> DecoderState:
    return map_tensors(lambda tensor: tensor.index_select(0, rows.to(tensor.device)), tree)


CACHE_BYTES = 64 << 20
"""Bytes that the table of a vocabulary may take; a larger one is not made."""


class EmbeddingProductCache:
    """Pieces [R] to W x + b [R, G*H] of their vectors x; each piece is multiplied when it first comes.

    For products in which a row does not depend on the rows beside it: the sum is then the same, kept or not.
    """

    def __init__(self, embedding: Embedding, read: BoundProduct, size: int) -> None:
        """`size`: G*H."""
        self.embedding, self.read = embedding, read
        self.table = embedding.weight.new_empty(embedding.num_embeddings, size)
        self.known = torch.zeros(embedding.num_embeddings, dtype=torch.bool)

    def __call__(self, pieces: Tensor) -> Tensor:
        new = pieces[~self.known[pieces]]
        if len(new):
            self.table[new] = self.read(self.embedding(new))
            self.known[new] = True
        return self.table.index_select(0, pieces)
