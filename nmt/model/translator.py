"""The translation model: encoder, attention and decoder."""

from collections.abc import Iterator

from torch import Tensor, nn

from nmt.cells import cell_name
from nmt.model.attention import Memory
from nmt.model.decoder import Decoder, DecoderOutput, DecoderState
from nmt.model.encoder import Encoder
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
        """src [B, S] to all that the decoder reads of it."""
        mask = src != self.pad
        states, finals = self.encoder(src, mask)
        keys, values = self.decoder.attention.project_memory(states)
        return Memory(states, keys, values, mask, finals)

    def start(self, memory: Memory) -> DecoderState:
        """Return the state before the first target token."""
        return self.decoder.start(memory)

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
        """Compute the features for the previous tokens tgt_in [B, T]; see `Decoder.unroll`."""
        return self.decoder.unroll(
            memory, tgt_in, teacher_forced, sample=sample, state=state, return_weights=return_weights
        )

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
