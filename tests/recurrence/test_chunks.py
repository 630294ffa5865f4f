"""A sequence read in chunks, the state carried: all of back-propagation, or what truncation leaves of it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.errors import UsageError
from nmt.recurrence.layer import Layer, Stack
from nmt.recurrence.state import detach_states
from tests.grid import CELL_GRID
from tests.recurrence.test_scan import ENGINES, B, E, H, T, make, padding

CUTS = [2, 2, 2]  # a sentence of `padding` ends with the first chunk, one inside the second


def stack(name: str, engine: str) -> Stack:
    return Stack(
        [Layer([make(name)], engine=engine), Layer([make(name, size=H)], engine=engine)], residual_from=2
    )


def read(layers: Stack, x: Tensor, real: Tensor | None, cuts: list[int]) -> tuple[Tensor, Any]:
    hs, states = [], None
    for chunk, there in zip(
        x.split(cuts), [None] * len(cuts) if real is None else real.split(cuts), strict=True
    ):
        h, states = layers(chunk, there, states)
        hs.append(h)
    return torch.cat(hs), states


def parts(states: Any) -> list[Tensor]:
    return [part for layer in states for direction in layer for part in direction]


def gradients(layers: Stack, values: list[Tensor], weights: list[Tensor], x: Tensor) -> list[Tensor]:
    loss = sum((value * weight).sum() for value, weight in zip(values, weights, strict=True))
    return list(torch.autograd.grad(loss, [x, *layers.parameters()], materialize_grads=True))


@pytest.mark.parametrize("real", [None, padding()], ids=["whole", "padded"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CELL_GRID)
def test_chunks_are_the_sequence_in_all_values_and_gradients(
    name: str, engine: str, real: Tensor | None
) -> None:
    layers = stack(name, engine)
    x = torch.randn(T, B, E, dtype=torch.float64, requires_grad=True)
    results, weights = [], None
    for cuts in ([T], CUTS):
        h, states = read(layers, x, real, cuts)
        values = [h, *parts(states)]
        weights = weights or [torch.randn_like(value) for value in values]
        results.append([*values, *gradients(layers, values, weights, x)])
    for whole, cut in zip(*results, strict=True):
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CELL_GRID)
def test_detached_chunks_learn_as_if_the_state_before_each_were_constant(name: str, engine: str) -> None:
    layers, real = stack(name, engine), padding()
    x = torch.randn(T, B, E, dtype=torch.float64, requires_grad=True)
    weight, states, alone = torch.randn(T, B, H, dtype=torch.float64), None, []
    hs = []
    for first in range(0, T, 2):
        now = slice(first, first + 2)
        with torch.no_grad():
            before = read(layers, x[:first], real[:first], CUTS[: first // 2])[1] if first else None
        alone.append(gradients(layers, [layers(x[now], real[now], before)[0]], [weight[now]], x))
        h, states = layers(x[now], real[now], detach_states(states))
        hs.append(h)
    together = gradients(layers, [torch.cat(hs)], [weight], x)
    for given, *shares in zip(together, *alone, strict=True):
        torch.testing.assert_close(given, sum(shares), rtol=0, atol=1e-10)


def test_a_chunk_can_be_learnt_from_before_the_next_is_read() -> None:
    layers, states = stack("gru", "auto"), None
    for chunk in torch.randn(T, B, E, dtype=torch.float64).split(CUTS):
        h, states = layers(chunk, None, detach_states(states))
        h.sum().backward()  # would meet a graph that is gone, if the states still held it
    assert all(part.requires_grad for part in parts(states))


def test_a_layer_that_reads_from_both_ends_refuses_a_state_before_it() -> None:
    layer = Layer([make("gru"), make("gru")])
    x = torch.randn(T, B, E, dtype=torch.float64)
    finals = layer(x, None)[1]
    with pytest.raises(UsageError, match="cannot continue from a previous chunk"):
        layer(x, None, finals)
