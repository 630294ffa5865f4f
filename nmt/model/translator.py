"""The translation model: encoder, attention and decoder."""

from collections.abc import Iterator

from torch import Tensor, nn

from nmt.cells import cell_name
from nmt.model.attention import Memory
from nmt.model.decoder import BoundDecoder, Decoder, DecoderOutput, DecoderState
from nmt.model.encoder import Encoder
from nmt.model.feeding_scan import supports_feeding_scan, unroll_feeding
from nmt.recurrence.layer import Layer
from nmt.recurrence.recording import CellPath, LayerCell


class TranslationModel(nn.Module):
    """A sequence-to-sequence model: p(tgt | src) = Π_t p(y_t | y_<t, src).

    Tokens are int64 and batch-major; source rows end with eos and are padded with `pad`. With `NoEncoder` it
    is a language model: p(tgt) = Π_t p(y_t | y_<t).
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, *, pad: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.pad = encoder, decoder, pad

    def encode(self, src: Tensor) -> Memory:
        """Encode src [B, S] as the memory that the decoder reads."""
        mask = src != self.pad
        states, finals = self.encoder(src, mask)
        keys, values = self.decoder.attention.project_memory(states)
        return Memory(states, keys, values, mask, finals)

    def unroll(
        self,
        memory: Memory,
        tgt_in: Tensor,
        teacher_forced: Tensor | None = None,
        *,
        sample: bool = False,
        state: DecoderState | None = None,
        return_weights: bool = False,
    ) -> DecoderOutput:
        """Compute the features for the previous tokens tgt_in [B, T], from `state` or from the start.

        Where `teacher_forced` [B, T] is False, the model's previous output is read instead of the token in
        tgt_in: the most probable one, or one drawn at random (`sample`). The first position always
        reads tgt_in.
        """
        decoder = self.decoder
        bound, state = BoundDecoder(decoder, len(tgt_in)), decoder.start(memory) if state is None else state
        if teacher_forced is None and not return_weights and supports_feeding_scan(bound):
            return unroll_feeding(bound, tgt_in, state, memory)
        attention = None if memory.keys is None else decoder.attention.bind(memory, bound.engine)
        if teacher_forced is not None:
            products = bound.sampled_products(tgt_in, teacher_forced, sample)
        elif decoder.input_feeding or decoder.conditional is not None:
            products = bound.teacher_products(tgt_in)
        else:
            return bound.unroll_by_layer(tgt_in, state, attention, return_weights)
        return bound.unroll(products, tgt_in.shape[1], state, attention, return_weights)

    def output(self, features: Tensor) -> Tensor:
        """Map features [..., F] to logits [..., V]."""
        return self.decoder.output(features)  # type: ignore[no-any-return]

    def recurrent_cells(self) -> Iterator[LayerCell]:
        """Yield every cell with its path and its layer: encoder before decoder, layer by layer."""
        for side, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            layers = [module for module in part.modules() if isinstance(module, Layer)]
            for depth, layer in enumerate(layers, 1):
                cells = dict(zip(("forward", "backward"), layer.directions, strict=False))
                if part is self.decoder and depth == 1 and self.decoder.conditional is not None:
                    cells["conditional"] = self.decoder.conditional
                for direction, cell in cells.items():
                    yield LayerCell(CellPath(side, depth, direction, cell_name(type(cell))), layer, cell)
