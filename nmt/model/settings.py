"""Settings of the encoder and the decoder."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nmt.model.attention import AttentionSettings
from nmt.model.bridge import BridgeSettings
from nmt.recurrence.layer import DropoutSettings, StackSettings
from nmt.settings import Conflict, Count, Probability


@dataclass(frozen=True, kw_only=True)
class EncoderDropoutSettings(DropoutSettings):
    """Dropout probabilities in the encoder."""

    output: Probability = 0.0
    """On the encoder states that attention reads."""


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(StackSettings):
    """The stack that reads the source."""

    bidirectional: Literal["all", "first", "none"] = "all"
    """Layers that also read from right to left."""
    dropout: EncoderDropoutSettings = EncoderDropoutSettings()

    @property
    def directions(self) -> list[int]:
        """The number of directions of each layer."""
        bidirectional = {"all": self.layers, "first": 1, "none": 0}[self.bidirectional]
        return [2 if layer < bidirectional else 1 for layer in range(self.layers)]

    def widths(self) -> list[int]:
        """See `StackSettings.widths`."""
        return [self.embedding, *(self.hidden * count for count in self.directions)]


@dataclass(frozen=True, kw_only=True)
class DecoderDropoutSettings(DropoutSettings):
    """Dropout probabilities in the decoder."""

    output: Probability = 0.0
    """On the decoder's features before the output layer."""


@dataclass(frozen=True, kw_only=True)
class DecoderStackSettings(StackSettings):
    """Settings that the decoders of translators and language models have in common."""

    hidden: Count = 512
    """Size of the hidden state."""
    features: Count | None = None
    """Size of the features before the output layer; null: the embedding size."""
    tie: str
    dropout: DecoderDropoutSettings = DecoderDropoutSettings()

    @property
    def feature_size(self) -> int:
        """Size of the features before the output layer."""
        return self.features or self.embedding

    def widths(self) -> list[int]:
        """See `StackSettings.widths`; the first layer is never residual."""
        return [self.hidden] * (self.layers + 1)

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        yield from super().conflicts()
        if self.residual_from == 1:
            yield "residual_from", "the first layer of a decoder cannot be residual, start at 2"
        if self.tie != "none" and self.features not in (None, self.embedding):
            yield ("features", f"decoder.tie {self.tie} needs it null or decoder.embedding, {self.embedding}")


@dataclass(frozen=True, kw_only=True)
class LanguageModelDecoderSettings(DecoderStackSettings):
    """The stack that writes: logits = E tanh(W h + b) + b of the top layer's h."""

    tie: Literal["none", "target"] = "target"
    """Whether the output layer shares the weights of the embedding (`target`)."""


@dataclass(frozen=True, kw_only=True)
class DecoderSettings(AttentionSettings, BridgeSettings, DecoderStackSettings):
    """The stack that writes the target, and its attention."""

    input_feeding: bool = False
    """Feed the attentional vector to the next position (Luong et al., 2015)."""
    conditional: bool = False
    """Attention between two cells of the first layer (cGRU, cLSTM; Nematus, 2017)."""
    tie: Literal["none", "target", "all"] = "target"
    """Whether the output layer shares the weights of the target embedding (`target`), or of the source
    embedding too (`all`; joint subwords only)."""

    def conflicts(self) -> Iterator[Conflict]:
        """See `Settings.conflicts`."""
        yield from super().conflicts()
        for name in ("input_feeding", "conditional"):
            if self.attention == "none" and getattr(self, name):
                yield name, "needs an attention, and decoder.attention is none"
        size = self.attention_size or self.hidden
        if self.attention == "multi-head" and size % self.heads:
            name = "attention_size" if self.attention_size else "hidden"
            yield "heads", f"{self.heads} heads do not divide decoder.{name}, {size}"
