"""The translator: encoder, attention and decoder behind one face."""

from collections.abc import Iterator

from torch import Tensor, nn

from nmt.cells import cell_name
from nmt.model.attention import Memory
from nmt.model.decoder import Decoder, DecoderOutput, DecoderState
from nmt.model.encoder import Encoder
from nmt.recurrence.layer import Layer
from nmt.recurrence.recording import CellPath, LayerCell


class Translator(nn.Module):
    """A sequence-to-sequence model: p(tgt | src) = Π_t p(y_t | y_<t, src).

    Pieces are int64 and batch-major; source rows end with eos and are filled with `pad`. With `NoEncoder` it
    is a language model: p(tgt) = Π_t p(y_t | y_<t).
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, *, pad: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.pad = encoder, decoder, pad

    def encode(self, src: Tensor) -> Memory:
        """src [B, S] to everything the decoder needs of it."""
        mask = src != self.pad
        states, finals = self.encoder(src, mask)
        keys, values = self.decoder.attention.keys_values(states)
        return Memory(states, keys, values, mask, finals)

    def start(self, memory: Memory) -> DecoderState:
        """The state before the first target word."""
        return self.decoder.start(memory)

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
        """Features for previous pieces tgt_in [B, T]; see `Decoder.unroll`."""
        return self.decoder.unroll(memory, tgt_in, use_gold, sample=sample, before=before, attended=attended)

    def output(self, features: Tensor) -> Tensor:
        """Features [..., F] to logits [..., V]."""
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
