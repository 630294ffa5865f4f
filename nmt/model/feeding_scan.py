"""All positions of a decoder with input feeding as one operation in C, with its backward pass."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nmt.model.attention import Memory
from nmt.model.decoder import BoundDecoder, DecoderOutput, DecoderState
from nmt.model.output_layer import load_position
from nmt.model.position import AttentionArguments
from nmt.recurrence.c.native import CBackend, CStep
from nmt.recurrence.deferred import DeferredProduct, WeightGradient, reject_second_derivatives
from nmt.recurrence.engine import Buffers, PositionStep
from nmt.recurrence.fused import FusedCell
from nmt.recurrence.fused_scan import FusedScan
from nmt.recurrence.reference import draw_dropout_mask
from nmt.recurrence.trace.kernel import (
    COPY_KERNEL,
    KEEP,
    RESULT,
    VALUE,
    Kernel,
    TensorKey,
    TensorKind,
    trace_kernel,
)
from nmt.recurrence.trace.program import find_vectors


def supports_feeding_scan(bound: BoundDecoder) -> bool:
    """Return True for one layer with input feeding that attends by products of states and keys, in C."""
    decoder, layer, form = bound.decoder, bound.layers[0], bound.decoder.attention.compiled_form()
    return (
        bound.feed_product is not None
        and form is not None
        and form.query is None
        and form.v is None
        and decoder.conditional is None
        and len(bound.layers) == 1
        and not (decoder.recompute and torch.is_grad_enabled())
        and type(layer) is FusedCell
        and isinstance(layer.backend, CBackend)
        and layer.cell.gain_W is None
        and layer.input_mask is None
    )


def unroll_feeding(bound: BoundDecoder, tgt_in: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
    """Compute the values and gradients of `BoundDecoder.unroll` for the tokens of tgt_in [B, T]."""
    decoder, layer = bound.decoder, bound.layers[0]
    assert isinstance(layer, FusedCell) and isinstance(bound.feed_product, DeferredProduct)
    assert isinstance(bound.combine, DeferredProduct)
    assert memory.keys is not None and memory.values is not None
    x = bound.token_product(decoder.embedding(tgt_in.t()))
    T, B = x.shape[:2]
    p = decoder.dropout if decoder.training else 0.0
    scan = FeedingScan(
        *(layer.cell, layer.program, layer.backend, layer.matrices, layer.state_mask),
        *(layer.zoneout.zones(layer.cell, T, B), None, False),
        feed=bound.feed_product.gradient,
        combine=bound.combine.gradient,
        dropout=draw_dropout_mask((T, B, decoder.combine.out_features), p, x),
        lengths=memory.mask.sum(1),
    )
    vectors = find_vectors(layer.cell).values()
    arguments = (*state.layers[0], *layer.weights, *layer.biases, *vectors)
    tokens = bound.feed_product.token, bound.combine.token
    inputs = state.feed, memory.keys.contiguous(), memory.values.contiguous(), *tokens
    if torch.is_grad_enabled():
        features, *final = _FeedingFunction.apply(scan, x, *inputs, *arguments)  # type: ignore[no-untyped-call]
    else:
        features, *final = scan.run_forward(x, inputs, arguments)
    new = DecoderState((layer.cell.State(*final),), features[-1])
    return DecoderOutput(features.transpose(0, 1), new)


@dataclass(eq=False)
class FeedingScan(FusedScan):
    """The loop over the target positions of a batch, forward and backward.

    At position t, where x_t is the input product of the previous token and f are the features:

        s_t = cell(x_t + W f_{t-1}, s_{t-1})    α_t, context_t = attention(h_t)
        f_t = dropout_t ∘ tanh(p_t),            p_t = V [h_t; context_t] + b

    In addition to those of the cell, f, α, [h; context] and p are saved. The backward pass computes their
    gradients at every position, and after it those of W, V, keys and values, in one product each.
    """

    feed: WeightGradient
    combine: WeightGradient
    dropout: Tensor | None
    lengths: Tensor  # of the source sentences

    def run_forward(
        self, x: Tensor, inputs: tuple[Any, ...], arguments: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """Compute (f [T, B, F], last state) from x [T, B, G*H], (first f, keys, values, …) and the cell's."""
        (T, B), H = x.shape[:2], self.cell.hidden_size
        feed, self.keys, self.values, *_ = inputs
        self.features = x.new_empty(T + 1, B, feed.shape[1])  # with those before the first position
        self.features[0] = feed
        self.before_tanh = x.new_empty(T, B, feed.shape[1])
        self.operand = x.new_empty(T, B, H + self.values.shape[2])  # [h; context]
        self.attended = x.new_zeros(T, B, self.keys.shape[1])
        _, *final = self.forward(x, arguments)
        return self.features[1:], *final

    def forward_steps(self, x: Tensor) -> list[PositionStep]:
        backend, H = self.backend, self.cell.hidden_size
        h = self.operand[..., :H]
        scores = torch.empty_like(self.attended)
        activation = {VALUE: self.before_tanh, RESULT: self.features[1:]} | self.drop()
        return [
            backend.product(self.features[:-1], self.feed.matrix, x, x),
            *super().forward_steps(x),
            backend.kernel(COPY_KERNEL, {VALUE: self.buffers[TensorKey(TensorKind.NEXT, "h")], RESULT: h}),
            self.bind_attention("attend", h, self.attended, scores, self.operand[..., H:]),
            backend.product(self.operand, self.combine.matrix, self.before_tanh, self.combine.bias),
            backend.kernel(_activation(self.dropout is not None), activation),
        ]

    def drop(self) -> Buffers:
        return {} if self.dropout is None else {KEEP: self.dropout}

    def bind_attention(
        self, name: str, query: Tensor, weights: Tensor, scores: Tensor, context: Tensor
    ) -> CStep:
        """Bind a function of position.c to tensors [T, B, ...]."""
        rows = torch.arange(len(self.lengths))
        sentences = rows.new_empty(len(rows), 3)  # `struct sentence`
        for column, part in enumerate((self.keys, self.values)):
            sentences[:, column] = part.data_ptr() + rows * (part.stride(0) * part.element_size())
        sentences[:, 2] = self.lengths
        pointers = sentences.data_ptr() + rows * (sentences.stride(0) * sentences.element_size())
        arguments = AttentionArguments(
            *(query.shape[1], self.keys.shape[2], self.values.shape[2], 1),
            *(query.data_ptr(), *query.stride()[:2], None, pointers.data_ptr()),
            *(weights.data_ptr(), scores.data_ptr(), *weights.stride()[:2]),
            *(context.data_ptr(), *context.stride()[:2]),
        )
        run = getattr(load_position(query.dtype), name)
        return CStep(run, arguments, query, weights, scores, context, sentences, pointers)

    def run_backward(self, d_features: Tensor, d_final: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """Return the gradients of the first features, keys and values, dx, and those of the cell."""
        H = self.cell.hidden_size
        self.d_features = torch.empty_like(self.features)
        self.d_features[0] = 0
        self.d_features[1:] = d_features
        self.d_before_tanh = torch.empty_like(self.before_tanh)
        self.d_operand = torch.empty_like(self.operand)
        self.d_scores = torch.zeros_like(self.attended)
        dx, *cell = self.backward(self.d_operand[..., :H], d_final)
        by_sentence = [t.permute(1, 2, 0) for t in (self.d_scores, self.attended)]  # [B, S, T]
        d_keys = by_sentence[0] @ self.operand[..., :H].transpose(0, 1)
        d_values = by_sentence[1] @ self.d_operand[..., H:].transpose(0, 1)
        d_feed = self.d_features[0].clone()
        del self.d_operand, self.d_scores, self.d_features
        return d_feed, d_keys, d_values, dx, cell

    def backward_steps(
        self, dhs: Tensor, dx: Tensor, gradients: Buffers, du: list[Tensor]
    ) -> list[PositionStep]:
        backend, H = self.backend, self.cell.hidden_size
        activation = {
            **{VALUE: self.before_tanh, VALUE.gradient: self.d_before_tanh},
            **{RESULT.gradient: self.d_features[1:], **self.drop()},
        }
        d_feed = self.d_features[:-1]
        return [
            backend.kernel(_activation(self.dropout is not None).derivative, activation),
            backend.product(self.d_before_tanh, self.combine.transposed, self.d_operand),
            self.bind_attention(
                "attend_backward", dhs, self.attended, self.d_scores, self.d_operand[..., H:]
            ),
            *super().backward_steps(dhs, dx, gradients, du),
            backend.product(dx, self.feed.transposed, d_feed, d_feed),
        ]


@cache
def _activation(dropped: bool) -> Kernel:
    examples = {key: torch.zeros(2, 2) for key in (VALUE, *([KEEP] if dropped else []))}
    return trace_kernel(
        lambda v: {RESULT: torch.tanh(v[VALUE]) * v[KEEP] if dropped else torch.tanh(v[VALUE])}, examples
    )


class _FeedingFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scan: FeedingScan, x: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
        ctx.scan = scan
        return scan.run_forward(x, inputs[:5], inputs[5:])

    @staticmethod
    def backward(ctx: Any, d_features: Tensor, *d_final: Tensor) -> tuple[Any, ...]:
        reject_second_derivatives()
        scan: FeedingScan = ctx.scan
        d_feed, d_keys, d_values, dx, cell = scan.run_backward(d_features, d_final)
        feed, combine = ctx.needs_input_grad[5:7]
        if feed:
            scan.feed.add(scan.features[:-1].flatten(0, 1), dx.flatten(0, 1))
        if combine:
            scan.combine.add(scan.operand.flatten(0, 1), scan.d_before_tanh.flatten(0, 1))
        return None, dx, d_feed, d_keys, d_values, None, None, *cell
