"""The decoder writes the target: `start`, `step` for search, `unroll` for training."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nmt.cells.cell import Cell
from nmt.errors import UsageError
from nmt.model.attention import Attention, BoundAttention, Memory
from nmt.model.bridge import Bridge
from nmt.model.embedding import Embedding
from nmt.recurrence.deferred import PackableLinear, summed_positions, unbind_positions
from nmt.recurrence.layer import Stack
from nmt.recurrence.reference import BoundCell, BoundProduct, bind_product


class DecoderState(NamedTuple):
    """What is carried from one target position to the next: a state for each layer, and the last features."""

    layers: tuple[Any, ...]
    feed: Tensor | None


class DecoderStep(NamedTuple):
    """What one position gives: features [B, F], the next state, attention weights [B, S]."""

    features: Tensor
    state: DecoderState
    weights: Tensor | None


class DecoderOutput(NamedTuple):
    """What many positions give: features [B, T, F], and the state that the next one would go on from.

    Where they are asked for and there is an attention, its weights [B, T, S] too, with their gradients.
    """

    features: Tensor
    state: DecoderState
    weights: Tensor | None = None


WordProducts = Callable[[range, list[Tensor]], Iterable[Tensor]]
"""Positions to their words' part of the first input product [B, G*H], one after the other.

The list holds the features of the positions before, and grows as positions are done.
"""


class Decoder(nn.Module):
    """Embedding, stack, attention and output layer.

    features = tanh(W [h; context] + b) (Luong et al., 2015, eq. 5), logits = E features + b.
    With `input_feeding` the features join the next position's input. With a `conditional` cell the
    first layer is two cells with the attention between them (cGRU; Sennrich et al., 2017):
    s' = cell(y, s), context = attention(s'), s = conditional(context, s').
    """

    def __init__(
        self,
        embedding: Embedding,
        stack: Stack,
        attention: Attention,
        bridge: Bridge,
        *,
        features: int,
        input_feeding: bool,
        conditional: Cell | None,
        dropout: float,
        tied: bool,
        recompute: int = 0,
    ) -> None:
        """`recompute`: see `BoundDecoder.run`."""
        super().__init__()
        self.embedding, self.stack, self.attention, self.bridge = embedding, stack, attention, bridge
        self.input_feeding, self.conditional, self.dropout = input_feeding, conditional, dropout
        self.recompute = recompute
        if stack.is_residual(1):
            raise UsageError("decoder.residual_from: the first layer cannot be residual; start at 2")
        self.combine = PackableLinear(stack.output_size + attention.context_size, features)
        self.output = PackableLinear(features, embedding.num_embeddings)
        if tied:
            self.output.weight = embedding.weight
        nn.init.zeros_(self.output.bias)

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first target word."""
        batch = memory.states.shape[0]
        feed = memory.states.new_zeros(batch, self.combine.out_features) if self.input_feeding else None
        return DecoderState(self.bridge(memory), feed)

    def unroll(
        self,
        memory: Memory,
        tgt_in: Tensor,
        use_gold: Tensor | None = None,
        *,
        sample: bool = False,
        before: DecoderState | None = None,
        attended: bool = False,
    ) -> DecoderOutput:
        """Features for the previous pieces tgt_in [B, T], from the start or from the state `before` them.

        Where `use_gold` [B, T] is False, the decoder's own previous piece is read instead of the
        one in tgt_in: the most probable, or one drawn from the distribution (`sample`). The first
        position always reads tgt_in. `attended` asks for the attention's weights.
        """
        bound, state = BoundDecoder(self, len(tgt_in)), self.start(memory) if before is None else before
        look = self.attention.bind(memory, bound.engine) if memory.keys is not None else None
        if use_gold is not None:
            words = bound.own(tgt_in, use_gold, sample)
        elif self.input_feeding or self.conditional is not None:
            words = bound.gold(tgt_in)
        else:
            return bound.run_by_layer(tgt_in, state, look, attended)
        return bound.run(words, tgt_in.shape[1], state, look, attended)

    def choose(self, features: Tensor, sample: bool) -> Tensor:
        """The decoder's own next piece [B]."""
        logits: Tensor = self.output(features)
        return logits.softmax(-1).multinomial(1).squeeze(1) if sample else logits.argmax(-1)


class BoundDecoder:
    """A decoder made ready for one batch: products merged, dropout masks drawn.

    Its methods take a `BoundAttention`, the attention bound to what is remembered of the sentences.
    """

    def __init__(self, decoder: Decoder, batch: int) -> None:
        self.decoder, self.stack, self.batch = decoder, decoder.stack, batch
        layers = self.stack.layers
        self.engine = engine = layers[0].engine
        self.layers: list[BoundCell] = [layer.bind(layer.directions[0], batch) for layer in layers]
        self.upper: list[BoundProduct] = [layer.reader() for layer in self.layers[1:]]
        words = decoder.embedding.embedding_dim
        self.read = self.layers[0].reader(0, words)
        self.feed = self.layers[0].reader(words, biased=False) if decoder.input_feeding else None
        self.combine = bind_product(decoder.combine.weight, engine, decoder.combine.bias)
        if decoder.conditional is not None:
            self.second: BoundCell = layers[0].bind(decoder.conditional, batch)
            self.read_context = self.second.reader()

    def position(self, x: Tensor, state: DecoderState, look: BoundAttention | None) -> DecoderStep:
        """One position; x [B, G*H] is the previous word's part of the first layer's input product."""
        if self.feed is not None:
            x = self.feed(state.feed, x)
        s = self.layers[0].step(self.layers[0].settle(x), state.layers[0])
        context, weights = None, None
        if self.decoder.conditional is not None:
            context, weights = self.attend(s.h, look)
            s = self.second.step(self.second.settle(self.read_context(context)), s)
        h, states = s.h, [s]
        for depth, (layer, read) in enumerate(zip(self.layers[1:], self.upper, strict=True), start=2):
            below = F.dropout(h, self.stack.dropout, self.stack.training)
            s = layer.step(layer.settle(read(below)), state.layers[depth - 1])
            h = self.stack.join(depth, below, s.h)
            states.append(s)
        if context is None:
            context, weights = self.attend(h, look)
        features = self.features(h, context)
        return DecoderStep(features, DecoderState(tuple(states), features if self.feed else None), weights)

    def attend(self, query: Tensor, look: BoundAttention | None) -> tuple[Tensor | None, Tensor | None]:
        """query [B, H] to (context [B, C], weights [B, S]); nothing without attention."""
        if look is None:
            return None, None
        context, weights = look(query.unsqueeze(1))
        return context.squeeze(1), weights.squeeze(1)

    def features(self, h: Tensor, context: Tensor | None) -> Tensor:
        """tanh(W [h; context] + b) for any number of positions, with dropout."""
        seen = h if context is None else (h, context)
        return F.dropout(torch.tanh(self.combine(seen)), self.decoder.dropout, self.decoder.training)

    def gold(self, tgt_in: Tensor) -> WordProducts:
        """The words of tgt_in [B, T]."""
        embedded = self.decoder.embedding(tgt_in.t())  # [T, B, E]
        return lambda now, _: unbind_positions(self.read(embedded[now.start : now.stop]))

    def own(self, tgt_in: Tensor, use_gold: Tensor, sample: bool) -> WordProducts:
        """The words of tgt_in, but the decoder's own where `use_gold` is False."""

        def words(now: range, features: list[Tensor]) -> Iterator[Tensor]:
            for t in now:
                y = tgt_in[:, t]
                if t > 0 and not bool(use_gold[:, t].all()):
                    with torch.no_grad():
                        y = y.where(use_gold[:, t], self.decoder.choose(features[-1], sample))
                yield self.read(self.decoder.embedding(y))

        return words

    def run(
        self,
        words: WordProducts,
        length: int,
        state: DecoderState,
        look: BoundAttention | None,
        attended: bool,
    ) -> DecoderOutput:
        """Position by position, because a position needs what the one before it has attended to.

        A piece of positions after the other: with `recompute` the backward pass runs a piece again
        from the state before it, with the same random draws, and nothing within it is kept till then.
        """
        again = self.decoder.recompute if torch.is_grad_enabled() else 0
        size = again or summed_positions(self.batch)
        features, weights = list[Tensor](), list[Tensor]()
        for stop in range(length % size or size, length + 1, size):  # the backward pass begins at the end
            args = words, range(len(features), stop), state, features[-1:], look
            given, state, seen = (
                checkpoint(self.piece, *args, use_reentrant=False) if again else self.piece(*args)
            )
            features += given
            weights += seen if attended else []
        return DecoderOutput(
            torch.stack(features, dim=1), state, torch.stack(weights, 1) if weights else None
        )

    def piece(
        self,
        words: WordProducts,
        now: range,
        state: DecoderState,
        before: list[Tensor],
        look: BoundAttention | None,
    ) -> tuple[list[Tensor], DecoderState, list[Tensor]]:
        """Features [B, F] of the positions `now`, the state after them, what they looked at [B, S]."""
        features, seen = list(before), list[Tensor]()
        for x in words(now, features):
            position = self.position(x, state, look)
            state = position.state
            features.append(position.features)
            if position.weights is not None:
                seen.append(position.weights)
        return features[len(before) :], state, seen

    def run_by_layer(
        self, tgt_in: Tensor, state: DecoderState, look: BoundAttention | None, attended: bool
    ) -> DecoderOutput:
        """Layer by layer, then attention for all positions at once: the same values, fewer products."""
        h, states = self.decoder.embedding(tgt_in.t()), []  # [T, B, E]
        for depth, (layer, s) in enumerate(zip(self.layers, state.layers, strict=True), start=1):
            below = F.dropout(h, self.stack.dropout, self.stack.training) if depth > 1 else h
            above, s = layer.scan(layer.project(below), s)
            h = self.stack.join(depth, below, above)
            states.append(s)
        h = h.transpose(0, 1)  # attention is batch-major
        context, weights = (None, None) if look is None else look(h)
        features = self.features(h, context)
        return DecoderOutput(features, DecoderState(tuple(states), None), weights if attended else None)
