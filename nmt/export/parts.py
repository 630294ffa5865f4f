"""The two functions that an exported translator consists of, in the form in which they are traced."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.model.attention import BoundAttention, Memory
from nmt.model.decoder import BoundDecoder, Decoder, DecoderState
from nmt.model.encoder import Encoder
from nmt.model.translator import Translator
from nmt.recurrence.layer import Layer


class Unanswered(TorchFunctionMode):
    """Whatever is asked of a tensor's values is answered with no: `is there no padding?`, above all.

    A trace holds no values, and what it gives must be right for any.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return False if func is Tensor.__bool__ else func(*args, **(kwargs or {}))


class CellStep(nn.Module):
    """One position of a layer in one direction; where there is no token the state holds still."""

    def __init__(self, layer: Layer, direction: int) -> None:
        super().__init__()
        self.layer, self.cell = layer, layer.directions[direction]

    def forward(self, state: list[Tensor], x: Tensor, real: Tensor) -> list[Tensor]:
        """The parts of a state [B, H], x [B, G*H] and real [B, 1] to the parts of the next state."""
        new = self.layer.bind(self.cell, x.shape[0]).step(x, self.cell.State(*state))
        return [n.where(real, o) for n, o in zip(new, state, strict=True)]


@torch.library.custom_op("nmt::scan", mutates_args=())
def scan(layer: int, direction: int, x: Tensor, real: Tensor, state: list[Tensor]) -> list[Tensor]:
    """`CellStep` of an encoder's layer at all positions, as one operation of a traced graph.

    x [T, B, G*H], real [T, B, 1] to every h [T, B, H] and the parts of the last state.
    """
    raise NotImplementedError("this is traced, never run")


@scan.register_fake
def _(layer: int, direction: int, x: Tensor, real: Tensor, state: list[Tensor]) -> list[Tensor]:
    hs = x.new_empty(x.shape[0], *state[0].shape)
    return [hs, *[torch.empty_like(part) for part in state]]


class Encode(nn.Module):
    """Source pieces to all that the decoder needs of them: keys, values, its first state."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator

    def forward(self, src: Tensor) -> list[Tensor]:
        """src [B, S], with eos and pad, to keys and values (with attention) and the first state's parts."""
        decoder, mask = self.translator.decoder, src != self.translator.pad
        with Unanswered():
            states, finals = read(self.translator.encoder, src, mask)
            keys, values = decoder.attention.project_memory(states)
            start = decoder.start(Memory(states, keys, values, mask, finals))
        return [*([] if keys is None or values is None else [keys, values]), *parts_of(start)]


def read(encoder: Encoder, src: Tensor, mask: Tensor) -> tuple[Tensor, tuple[tuple[Any, ...], ...]]:
    """What `Encoder.forward` gives, with each layer and direction as one `scan`."""
    x, real, finals = encoder.embedding(src.t()), mask.t().unsqueeze(-1), []
    for depth, layer in enumerate(encoder.stack.layers):
        hs, states = [], []
        for direction, cell in enumerate(layer.directions):
            projected = layer.bind(cell, src.shape[0]).project(x)
            h, *last = scan(depth, direction, projected, real, list(cell.initial_state(src.shape[0])))
            hs.append(h)
            states.append(cell.State(*last))
        x = encoder.stack.add_residual(depth + 1, x, torch.cat(hs, dim=-1))
        finals.append(tuple(states))
    return x.transpose(0, 1), tuple(finals)


class Step(nn.Module):
    """One position of R hypotheses of B sentences."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.translator = translator

    def forward(
        self, y: Tensor, parents: Tensor, state: list[Tensor], attended: list[Tensor]
    ) -> list[Tensor]:
        """Previous pieces y [R], the row of `state` that each hypothesis continues, and what is attended to.

        `attended` is empty without attention; otherwise keys [B, S, A], values [B, S, C], mask [B, S], the
        rows [B, K] that look at each sentence (any row where fewer do), and the place [R] of each row there.
        Gives the log probabilities [R, V], the next state, and the attention weights [R, S].
        """
        decoder = self.translator.decoder
        with Unanswered():
            bound = BoundDecoder(decoder, y.shape[0])
            before = state_of(decoder, [part.index_select(0, parents) for part in state])
            look = look_of(decoder, attended) if attended else None
            position = bound.step(bound.token_product(decoder.embedding(y)), before, look)
            log_probs = decoder.output(position.features).log_softmax(-1)
        weights = [] if position.weights is None else [position.weights]
        return [log_probs, *parts_of(position.state), *weights]


def look_of(decoder: Decoder, attended: list[Tensor]) -> BoundAttention:
    """Queries of one sentence side by side, so that its keys are read once and need no copies."""
    keys, values, mask, rows, place = attended
    memory = Memory(keys, keys, values, mask, ())
    look = decoder.attention.bind(memory, decoder.stack.layers[0].engine)

    def by_sentence(query: Tensor) -> tuple[Tensor, Tensor]:
        together = query.squeeze(1).index_select(0, rows.flatten())  # [B*K, H]
        context, weights = look(together.view(*rows.shape, -1))
        back = [x.flatten(0, 1).index_select(0, place).unsqueeze(1) for x in (context, weights)]
        return back[0], back[1]

    return by_sentence


def state_sizes(decoder: Decoder) -> dict[str, int]:
    """The parts of a decoder's state, 0.h, 0.c, ..., feed, and the size of each."""
    cells = enumerate(layer.directions[0] for layer in decoder.stack.layers)
    sizes = {f"{depth}.{part}": cell.hidden_size for depth, cell in cells for part in cell.State._fields}
    return sizes | ({"feed": decoder.combine.out_features} if decoder.input_feeding else {})


def parts_of(state: DecoderState) -> list[Tensor]:
    """The parts of a decoder's state in the order of `state_sizes`."""
    parts = [part for layer in state.layers for part in layer]
    return parts if state.feed is None else [*parts, state.feed]


def state_of(decoder: Decoder, parts: list[Tensor]) -> DecoderState:
    """The decoder's state that has these parts."""
    left = iter(parts)
    cells = [layer.directions[0] for layer in decoder.stack.layers]
    layers = tuple(cell.State(*[next(left) for _ in cell.State._fields]) for cell in cells)
    return DecoderState(layers, next(left, None))
