"""The decoder: `start`, one `step` for search, `unroll` for training."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nmt.cells.cell import Cell
from nmt.model.attention import ATTENTIONS, Attention, AttentionSettings, BoundAttention, Memory, NoAttention
from nmt.model.bridge import BRIDGES, Bridge, BridgeSettings
from nmt.model.encoder import Embedding, Encoder
from nmt.recurrence.deferred import PackableLinear, summed_positions, unbind_positions
from nmt.recurrence.engine import Engine
from nmt.recurrence.layer import DropoutSettings, StackSettings, build_cells, build_stack
from nmt.recurrence.reference import BoundCell, BoundProduct, bind_product
from nmt.settings import Conflict, Probability, Width


@dataclass(frozen=True, kw_only=True)
class DecoderDropoutSettings(DropoutSettings):
    """Dropout probabilities in the decoder."""

    output: Probability = 0.0
    """On the decoder's features before the output layer."""


@dataclass(frozen=True, kw_only=True)
class DecoderStackSettings(StackSettings):
    """Common settings of the decoders of translators and language models."""

    hidden: Width = 512
    """Size of the hidden state."""
    features: Width | None = None
    """Size of the features before the output layer; null: the embedding size."""
    tie: str
    dropout: DecoderDropoutSettings = DecoderDropoutSettings()

    @property
    def feature_size(self) -> int:
        return self.features or self.embedding

    def widths(self) -> list[int]:
        return [self.hidden] * (self.layers + 1)

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.residual_from == 1:
            yield "residual_from", "the first layer of a decoder cannot be residual, start at 2"
        if self.tie != "none" and self.features not in (None, self.embedding):
            yield ("features", f"decoder.tie {self.tie} needs it null or decoder.embedding, {self.embedding}")


@dataclass(frozen=True, kw_only=True)
class LanguageModelDecoderSettings(DecoderStackSettings):
    """The stack that predicts the text: logits = E tanh(W h + b) + b of the top layer's h."""

    tie: Literal["none", "target"] = "target"
    """Whether the output layer shares the weights of the embedding (`target`)."""


@dataclass(frozen=True, kw_only=True)
class DecoderSettings(AttentionSettings, BridgeSettings, DecoderStackSettings):
    """The stack that predicts the target, and its attention."""

    input_feeding: bool = False
    """Feed the attentional vector to the next position (Luong et al., 2015)."""
    conditional: bool = False
    """Attention between two cells of the first layer (cGRU, cLSTM; Nematus, 2017)."""
    tie: Literal["none", "target", "all"] = "target"
    """Whether the output layer shares the weights of the target embedding (`target`), or of the source
    embedding too (`all`; joint subwords only)."""

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        for name in ("input_feeding", "conditional"):
            if self.attention == "none" and getattr(self, name):
                yield name, "needs an attention, and decoder.attention is none"
        size = self.attention_size or self.hidden
        if self.attention == "multi-head" and size % self.heads:
            name = "attention_size" if self.attention_size else "hidden"
            yield "heads", f"{self.heads} heads do not divide decoder.{name}, {size}"


class DecoderState(NamedTuple):
    """The state between two target positions: that of each layer, and the last features (input feeding)."""

    layers: tuple[Any, ...]
    feed: Tensor | None


class DecoderStep(NamedTuple):
    """Output of one position: features [B, F], the next state, attention weights [B, S]."""

    features: Tensor
    state: DecoderState
    weights: Tensor | None


class DecoderOutput(NamedTuple):
    """Output of T positions: features [B, T, F], the last state, attention weights [B, T, S] if requested."""

    features: Tensor
    state: DecoderState
    weights: Tensor | None = None


TokenProducts = Callable[[range, list[Tensor]], Iterable[Tensor]]
"""Map positions, and the growing list of all previous features, to their tokens' input products [B, G*H]."""


class Decoder(nn.Module):
    """Embedding, stack, attention and output layer.

    features = tanh(W [h; context] + b) (Luong et al., 2015, eq. 5), logits = E features + b.
    With `input_feeding` the features join the next position's input. With a `conditional` cell the
    first layer is two cells with the attention between them (cGRU; Sennrich et al., 2017):
    s' = cell(y, s), context = attention(s'), s = conditional(context, s').
    `recompute`: see `BoundDecoder.unroll`.
    """

    def __init__(
        self,
        settings: DecoderStackSettings,
        embedding: Embedding,
        cells: Sequence[Cell],
        attention: Attention,
        bridge: Bridge,
        conditional: Cell | None = None,
        input_feeding: bool = False,
        *,
        engine: Engine = "auto",
        recompute: int = 0,
    ) -> None:
        super().__init__()
        # The order of the parameters affects the rounding of the gradient norm, and weight noise.
        self.embedding = embedding
        self.stack = build_stack(settings, settings.dropout, [[cell] for cell in cells], engine)
        self.attention, self.bridge = attention, bridge
        self.input_feeding, self.conditional, self.recompute = input_feeding, conditional, recompute
        self.dropout = settings.dropout.output
        self.combine = PackableLinear(settings.hidden + attention.context_size, settings.feature_size)
        self.output = PackableLinear(settings.feature_size, embedding.num_embeddings)
        if settings.tie != "none":
            self.output.weight = embedding.weight
        nn.init.zeros_(self.output.bias)

    def start(self, memory: Memory) -> DecoderState:
        """Return the state before the first target token."""
        batch = memory.states.shape[0]
        feed = memory.states.new_zeros(batch, self.combine.out_features) if self.input_feeding else None
        return DecoderState(self.bridge(memory), feed)


class BoundDecoder:
    """A decoder prepared for one batch: products merged, dropout masks drawn."""

    def __init__(self, decoder: Decoder, batch: int) -> None:
        self.decoder, self.stack, self.batch = decoder, decoder.stack, batch
        layers = self.stack.layers
        self.engine = engine = layers[0].engine
        self.layers: list[BoundCell] = [layer.bind(layer.directions[0], batch) for layer in layers]
        self.upper_products: list[BoundProduct] = [layer.input_product() for layer in self.layers[1:]]
        sizes = [decoder.embedding.embedding_dim]
        sizes += [decoder.combine.out_features] if decoder.input_feeding else []
        self.token_product, *feed = self.layers[0].input_products(sizes)
        self.feed_product = feed[0] if feed else None
        self.combine = bind_product(decoder.combine.weight, engine, decoder.combine.bias)
        if decoder.conditional is not None:
            self.conditional: BoundCell = layers[0].bind(decoder.conditional, batch)
            self.context_product = self.conditional.input_product()

    def step(self, x: Tensor, state: DecoderState, attention: BoundAttention | None) -> DecoderStep:
        """Compute one position; x [B, G*H] is the previous token's part of the first input product."""
        if self.feed_product is not None:
            x = self.feed_product(state.feed, x)
        s = self.layers[0].step(self.layers[0].cell.normalise_input(x), state.layers[0])
        context = weights = None
        if attention is not None and self.decoder.conditional is not None:
            context, weights = (part.squeeze(1) for part in attention(s.h.unsqueeze(1)))
            x = self.conditional.cell.normalise_input(self.context_product(context))
            s = self.conditional.step(x, s)
        h, states = s.h, [s]
        upper = zip(self.layers[1:], self.upper_products, state.layers[1:], strict=True)
        for depth, (layer, product, s) in enumerate(upper, start=2):
            below = F.dropout(h, self.stack.dropout, self.stack.training)
            s = layer.step(layer.cell.normalise_input(product(below)), s)
            h = self.stack.add_residual(depth, below, s.h)
            states.append(s)
        if attention is not None and context is None:
            context, weights = (part.squeeze(1) for part in attention(h.unsqueeze(1)))
        features = self.features(h, context)
        feed = features if self.feed_product else None
        return DecoderStep(features, DecoderState(tuple(states), feed), weights)

    def features(self, h: Tensor, context: Tensor | None) -> Tensor:
        """Compute tanh(W [h; context] + b) for any number of positions, with dropout."""
        operands = h if context is None else (h, context)
        return F.dropout(torch.tanh(self.combine(operands)), self.decoder.dropout, self.decoder.training)

    def teacher_products(self, tgt_in: Tensor) -> TokenProducts:
        """Read the tokens of tgt_in [B, T]."""
        embedded = self.decoder.embedding(tgt_in.t())  # [T, B, E]
        return lambda now, _: unbind_positions(self.token_product(embedded[now.start : now.stop]))

    def sampled_products(self, tgt_in: Tensor, teacher_forced: Tensor, sample: bool) -> TokenProducts:
        """Read the tokens of tgt_in, and where `teacher_forced` is False those that the model predicts."""

        def products(now: range, features: list[Tensor]) -> Iterator[Tensor]:
            for t in now:
                y = tgt_in[:, t]
                if t > 0 and not bool(teacher_forced[:, t].all()):
                    with torch.no_grad():
                        logits = self.decoder.output(features[-1])
                        own = logits.softmax(-1).multinomial(1).squeeze(1) if sample else logits.argmax(-1)
                        y = y.where(teacher_forced[:, t], own)
                yield self.token_product(self.decoder.embedding(y))

        return products

    def unroll(
        self,
        products: TokenProducts,
        length: int,
        state: DecoderState,
        attention: BoundAttention | None,
        return_weights: bool,
    ) -> DecoderOutput:
        """Compute position after position, since each depends on the attention of the previous one.

        Chunk by chunk: with `recompute` the backward pass computes a chunk again from the state before it,
        with the same random draws, and keeps nothing within it until then.
        """
        recompute = self.decoder.recompute if torch.is_grad_enabled() else 0
        size = recompute or summed_positions(self.batch)
        features, weights = list[Tensor](), list[Tensor]()
        for stop in range(length % size or size, length + 1, size):  # the backward pass begins at the end
            args = products, range(len(features), stop), state, features[-1:], attention
            if recompute:
                new, state, attended = checkpoint(self.unroll_chunk, *args, use_reentrant=False)
            else:
                new, state, attended = self.unroll_chunk(*args)
            features += new
            weights += attended if return_weights else []
        return DecoderOutput(torch.stack(features, 1), state, torch.stack(weights, 1) if weights else None)

    def unroll_chunk(
        self,
        products: TokenProducts,
        now: range,
        state: DecoderState,
        previous: list[Tensor],
        attention: BoundAttention | None,
    ) -> tuple[list[Tensor], DecoderState, list[Tensor]]:
        """Features [B, F] of the positions `now`, the state after them, their attention weights [B, S]."""
        features, weights = list(previous), list[Tensor]()
        for x in products(now, features):
            new, state, attended = self.step(x, state, attention)
            features.append(new)
            weights += [] if attended is None else [attended]
        return features[len(previous) :], state, weights

    def unroll_by_layer(
        self, tgt_in: Tensor, state: DecoderState, attention: BoundAttention | None, return_weights: bool
    ) -> DecoderOutput:
        """Compute layer after layer, then attention at all positions: the same values, fewer products."""
        h, states = self.decoder.embedding(tgt_in.t()), []  # [T, B, E]
        for depth, (layer, s) in enumerate(zip(self.layers, state.layers, strict=True), start=1):
            below = F.dropout(h, self.stack.dropout, self.stack.training) if depth > 1 else h
            above, s = layer.scan(layer.project(below), s)
            h = self.stack.add_residual(depth, below, above)
            states.append(s)
        h = h.transpose(0, 1)  # attention is batch-major
        context, weights = (None, None) if attention is None else attention(h)
        features = self.features(h, context)
        return DecoderOutput(features, DecoderState(tuple(states), None), weights if return_weights else None)


def build_decoder(
    settings: DecoderSettings,
    encoder: Encoder,
    vocabulary_size: int,
    *,
    pad: int,
    engine: Engine = "auto",
    recompute: int = 0,
) -> Decoder:
    """Build the decoder of a translator, with initial weights."""
    embedding = Embedding(vocabulary_size, settings.embedding, settings.dropout, pad=pad)
    if settings.tie == "all":
        embedding.weight = encoder.embedding.weight
    first = settings.embedding + (settings.feature_size if settings.input_feeding else 0)
    cells = build_cells(settings, [first, *settings.widths()[1:-1]])
    finals = [layer.output_size for layer in encoder.stack.layers]
    attention = ATTENTIONS[settings.attention](settings, finals[-1], settings.hidden)
    bridge = BRIDGES[settings.bridge](finals, cells)
    second = build_cells(settings, [attention.context_size])[0] if settings.conditional else None
    parts = embedding, cells, attention, bridge, second, settings.input_feeding
    return Decoder(settings, *parts, engine=engine, recompute=recompute)


def build_language_model_decoder(
    settings: LanguageModelDecoderSettings,
    vocabulary_size: int,
    *,
    pad: int,
    bos: int,
    eos: int,
    engine: Engine = "auto",
    recompute: int = 0,
) -> Decoder:
    """Build the decoder of a language model, with initial weights and without attention."""
    cells = build_cells(settings, [settings.embedding, *settings.widths()[1:-1]])
    size, dropout = settings.embedding, settings.dropout
    embedding = Embedding(vocabulary_size, size, dropout, pad=pad, replace=(eos, bos))  # lines follow lines
    attention, bridge = NoAttention(AttentionSettings(), 0, settings.hidden), Bridge([], cells)
    return Decoder(settings, embedding, cells, attention, bridge, engine=engine, recompute=recompute)
