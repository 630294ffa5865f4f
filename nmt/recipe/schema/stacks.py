"""What is trained: stacks of cells that read and write."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from nmt.recipe.fields import Cells, Choice, Conflict, Count, Probability, Section


class Dropout(Section):
    """Dropout probabilities that the encoder and the decoder have in common."""

    embedding: Probability = Field(0.0, description="On the embedded words.")
    word: Probability = Field(0.0, description="Whole words replaced by zeros (Gal & Ghahramani, 2016).")
    layers: Probability = Field(0.0, description="Between stacked layers.")
    input: Probability = Field(0.0, description="Variational: one mask per sequence on each layer's input.")
    state: Probability = Field(
        0.0,
        description="Variational: one mask per sequence on the state that enters the recurrent products.",
    )
    zoneout: Probability = Field(
        0.0,
        description="Units of the state that keep their old value, drawn at every position "
        "(Krueger et al., 2017).",
    )


class EncoderDropout(Dropout):
    """Dropout probabilities in the encoder."""

    output: Probability = Field(0.0, description="On the encoder states that attention reads.")


class DecoderDropout(Dropout):
    """Dropout probabilities in the decoder."""

    output: Probability = Field(0.0, description="On the decoder's features before the output layer.")


class Stack(Section):
    """Layers of cells, one above the other: what the encoder and the decoder have in common."""

    cell: Cells = Field(
        "lstm",
        description="Cell of all layers, or a list with one per layer; `my_cells.py:MyCell` is "
        "your own, its file found like `data.root`.",
    )
    embedding: Count = Field(256, description="Size of a word's embedding.")
    hidden: Count = Field(256, description="Size of the hidden state (of each direction).")
    layers: Count = Field(1, description="Depth of the stack.")
    residual_from: Count | None = Field(
        None,
        description="First layer (counted from 1) whose input is added to its output; null for none.",
    )
    layer_norm: bool = Field(False, description="Normalise each gate's products (Ba et al., 2016).")
    gate_bias: dict[str, float] = Field(
        {}, description="Initial bias by gate name, over the cell's own (`{f: 1.0}` opens a forget gate)."
    )

    def widths(self) -> list[int]:
        """Width of what enters each layer, and last of what leaves the top."""
        raise NotImplementedError

    def conflicts(self) -> Iterator[Conflict]:
        if isinstance(self.cell, list) and len(self.cell) != self.layers:
            yield (
                "cell",
                f"a list has one cell per layer: it has {len(self.cell)}, layers is {self.layers}",
            )
        if self.residual_from is None:
            return
        if self.residual_from > self.layers:
            yield "residual_from", f"there is no layer {self.residual_from}: layers is {self.layers}"
        for layer, (enters, leaves) in enumerate(pairwise(self.widths()), start=1):
            if layer >= self.residual_from and enters != leaves:
                yield (
                    "residual_from",
                    f"layer {layer} reads {enters} numbers and writes {leaves}, so they cannot be added",
                )


class Encoder(Stack):
    """The stack that reads the source."""

    bidirectional: Literal["all", "first", "none"] = Field(
        "all", description="Layers that also read from right to left."
    )
    dropout: EncoderDropout = EncoderDropout()

    def widths(self) -> list[int]:
        first = self.hidden * (1 if self.bidirectional == "none" else 2)
        later = self.hidden * (2 if self.bidirectional == "all" else 1)
        return [self.embedding, first, *[later] * (self.layers - 1)]


class Writer(Stack):
    """The stack that writes."""

    hidden: Count = Field(512, description="Size of the hidden state.")
    features: Count | None = Field(
        None, description="Width of the vector before the output layer; null: the embedding size."
    )
    tie: str
    dropout: DecoderDropout = DecoderDropout()

    def widths(self) -> list[int]:
        return [self.hidden] * (self.layers + 1)  # the first layer is never residual

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.residual_from == 1:
            yield "residual_from", "the first layer of a decoder cannot be residual, start at 2"
        if self.tie != "none" and self.features not in (None, self.embedding):
            yield (
                "features",
                f"decoder.tie {self.tie} needs it null or decoder.embedding, {self.embedding}",
            )


class TextDecoder(Writer):
    """The stack that writes: logits = E tanh(W h + b) + b of the top layer's h."""

    tie: Literal["none", "target"] = Field(
        "target", description="Share the output layer with the embedding (`target`), or not."
    )


class Decoder(Writer):
    """The stack that writes the target, and what it looks at."""

    bridge: Annotated[str, Choice("nmt.model.bridge", "BRIDGES")] = Field(
        "linear", description="How the encoder's states become the decoder's first state."
    )
    attention: Annotated[str, Choice("nmt.model.attention", "ATTENTIONS")] = Field(
        "general", description="How the decoder looks at the encoder's states."
    )
    attention_size: Count | None = Field(
        None, description="Width of additive and multi-head attention; null: the decoder's hidden size."
    )
    heads: Count = Field(4, description="`multi-head` only: number of heads.")
    input_feeding: bool = Field(
        False, description="Feed the attentional vector to the next position (Luong et al., 2015)."
    )
    conditional: bool = Field(
        False, description="Attention between two cells of the first layer (cGRU, cLSTM; Nematus, 2017)."
    )
    tie: Literal["none", "target", "all"] = Field(
        "target",
        description="Share the output layer with the target embedding, or (all; joint subwords) "
        "with the source embedding too.",
    )

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        for name in ("input_feeding", "conditional"):
            if self.attention == "none" and getattr(self, name):
                yield name, "needs an attention, and decoder.attention is none"
        size = self.attention_size or self.hidden
        if self.attention == "multi-head" and size % self.heads:
            name = "attention_size" if self.attention_size else "hidden"
            yield "heads", f"{self.heads} heads cannot share decoder.{name}, {size}, evenly"
