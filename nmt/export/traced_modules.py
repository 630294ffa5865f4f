"""The two modules that are traced for an export: the encoder, and one step of the decoder."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.model.attention import BoundAttention, Memory
from nmt.model.decoder import BoundDecoder, Decoder, DecoderState
from nmt.model.encoder import Encoder
from nmt.model.translator import TranslationModel
from nmt.recurrence.layer import Layer


class DataIndependentMode(TorchFunctionMode):
    """A mode in which every condition on a tensor's values is False, such as `is there no padding?`.

    A trace has no values, and its result must be valid for all.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return False if func is Tensor.__bool__ else func(*args, **(kwargs or {}))


class MaskedCellStep(nn.Module):
    """One position of a layer in one direction; at padding the state is kept."""

    def __init__(self, layer: Layer, direction: int) -> None:
        super().__init__()
        self.layer, self.cell = layer, layer.directions[direction]

    def forward(self, state: list[Tensor], x: Tensor, mask: Tensor) -> list[Tensor]:
        """Map the fields of a state [B, H], x [B, G*H] and mask [B, 1] to the fields of the next state."""
        new = self.layer.bind(self.cell, x.shape[0]).step(x, self.cell.State(*state))
        return [n.where(mask, o) for n, o in zip(new, state, strict=True)]


@torch.library.custom_op("nmt::scan", mutates_args=())
def scan(layer: int, direction: int, x: Tensor, mask: Tensor, state: list[Tensor]) -> list[Tensor]:
    """Apply `MaskedCellStep` of an encoder's layer at all positions, as one operation of a traced graph.

    x [T, B, G*H], mask [T, B, 1] to every h [T, B, H] and the fields of the last state.
    """
    raise NotImplementedError("this operation is traced, never run")


@scan.register_fake
def _(layer: int, direction: int, x: Tensor, mask: Tensor, state: list[Tensor]) -> list[Tensor]:
    hs = x.new_empty(x.shape[0], *state[0].shape)
    return [hs, *[torch.empty_like(part) for part in state]]


class EncoderModule(nn.Module):
    """Source tokens to the inputs of the decoder: keys, values, its first state."""

    def __init__(self, translator: TranslationModel) -> None:
        super().__init__()
        self.translator = translator

    def forward(self, src: Tensor) -> list[Tensor]:
        """Map src [B, S] (with eos, pad) to keys and values (with attention) and the first state's fields."""
        decoder, mask = self.translator.decoder, src != self.translator.pad
        with DataIndependentMode():
            states, finals = encode_with_scans(self.translator.encoder, src, mask)
            keys, values = decoder.attention.project_memory(states)
            start = decoder.start(Memory(states, keys, values, mask, finals))
        return [*([] if keys is None or values is None else [keys, values]), *flatten_state(start)]


def encode_with_scans(
    encoder: Encoder, src: Tensor, mask: Tensor
) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
    """Compute `Encoder.forward` with each layer and direction as one `scan`."""
    x, step_mask, finals = encoder.embedding(src.t()), mask.t().unsqueeze(-1), []
    for depth, layer in enumerate(encoder.stack.layers):
        hs, states = [], []
        for direction, cell in enumerate(layer.directions):
            projected = layer.bind(cell, src.shape[0]).project(x)
            h, *last = scan(depth, direction, projected, step_mask, list(cell.initial_state(src.shape[0])))
            hs.append(h)
            states.append(cell.State(*last))
        x = encoder.stack.add_residual(depth + 1, x, torch.cat(hs, dim=-1))
        finals.append(tuple(states))
    return x.transpose(0, 1), tuple(finals)


class StepModule(nn.Module):
    """One position of R hypotheses of B sentences."""

    def __init__(self, translator: TranslationModel) -> None:
        super().__init__()
        self.translator = translator

    def forward(
        self, y: Tensor, parents: Tensor, state: list[Tensor], attended: list[Tensor]
    ) -> list[Tensor]:
        """Run a step from the previous tokens y [R] and the row of `state` that each hypothesis continues.

        `attended` is empty without attention; otherwise keys [B, S, A], values [B, S, C], mask [B, S], the
        rows [B, K] that attend to each sentence (padded arbitrarily), and the index [R] of each row there.
        Returns the log probabilities [R, V], the next state, and the attention weights [R, S].
        """
        decoder = self.translator.decoder
        with DataIndependentMode():
            bound = BoundDecoder(decoder, y.shape[0])
            previous = unflatten_state(decoder, [part.index_select(0, parents) for part in state])
            attention = bind_attention(decoder, attended) if attended else None
            position = bound.step(bound.token_product(decoder.embedding(y)), previous, attention)
            log_probs = decoder.output(position.features).log_softmax(-1)
        weights = [] if position.weights is None else [position.weights]
        return [log_probs, *flatten_state(position.state), *weights]


def bind_attention(decoder: Decoder, attended: list[Tensor]) -> BoundAttention:
    """Group the queries by sentence, so its keys are read once and not copied."""
    keys, values, mask, rows, index = attended
    memory = Memory(keys, keys, values, mask, ())
    attention = decoder.attention.bind(memory, decoder.stack.layers[0].engine)

    def by_sentence(query: Tensor) -> tuple[Tensor, Tensor]:
        grouped = query.squeeze(1).index_select(0, rows.flatten())  # [B*K, H]
        context, weights = attention(grouped.view(*rows.shape, -1))
        back = [x.flatten(0, 1).index_select(0, index).unsqueeze(1) for x in (context, weights)]
        return back[0], back[1]

    return by_sentence


def find_state_sizes(decoder: Decoder) -> dict[str, int]:
    """Return the fields of a decoder's state, 0.h, 0.c, ..., feed, and the size of each."""
    cells = enumerate(layer.directions[0] for layer in decoder.stack.layers)
    sizes = {f"{depth}.{part}": cell.hidden_size for depth, cell in cells for part in cell.State._fields}
    return sizes | ({"feed": decoder.combine.out_features} if decoder.input_feeding else {})


def flatten_state(state: DecoderState) -> list[Tensor]:
    """Return the fields of a decoder's state in the order of `find_state_sizes`."""
    parts = [part for layer in state.layers for part in layer]
    return parts if state.feed is None else [*parts, state.feed]


def unflatten_state(decoder: Decoder, parts: list[Tensor]) -> DecoderState:
    """Build the decoder's state from its fields."""
    left = iter(parts)
    cells = [layer.directions[0] for layer in decoder.stack.layers]
    layers = tuple(cell.State(*[next(left) for _ in cell.State._fields]) for cell in cells)
    return DecoderState(layers, next(left, None))
