"""A product repeated at many positions has the values and gradients of plain autograd."""

import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nmt.recurrence.deferred import DeferredProduct, GradientBuffer, concat_rows, multiply, unbind_positions
from nmt.recurrence.engine import Backend


def chain(
    times: DeferredProduct | None, weight: Tensor, bias: Tensor | None, v: Tensor, add: Tensor
) -> Tensor:
    """A small recurrence: v ← tanh(W v + b + add), three times."""
    for _ in range(3):
        u = multiply(v, weight, bias, add) if times is None else times(v, add)
        v = torch.tanh(u)
    return v


@pytest.mark.parametrize("with_bias", [False, True])
def test_gradients_equal_those_of_plain_autograd(with_bias: bool) -> None:
    weight = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True) if with_bias else None
    v, add = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    inputs = [weight, v, add] + ([] if bias is None else [bias])
    plain = torch.autograd.grad(chain(None, weight, bias, v, add).sum(), inputs)
    deferred = torch.autograd.grad(
        chain(DeferredProduct(weight, bias, Backend()), weight, bias, v, add).sum(), inputs
    )
    for a, b in zip(plain, deferred, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


def test_a_matrix_for_each_sentence_has_its_own_gradient() -> None:
    weight = torch.randn(2, 5, 5, dtype=torch.float64, requires_grad=True)
    v = torch.randn(2, 1, 5, dtype=torch.float64, requires_grad=True)
    add = torch.zeros(2, 1, 5, dtype=torch.float64)
    plain = torch.autograd.grad(chain(None, weight, None, v, add).sum(), [weight, v])
    deferred = torch.autograd.grad(
        chain(DeferredProduct(weight, None, Backend()), weight, None, v, add).sum(), [weight, v]
    )
    for a, b in zip(plain, deferred, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


def test_the_weight_gradient_is_taken_once_however_many_positions_there_are(monkeypatch) -> None:
    weight, v = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3)
    product, calls = DeferredProduct(weight, None, Backend()), []
    take = product.gradient.take
    monkeypatch.setattr(product.gradient, "take", lambda: calls.append(1) or take())
    chain(product, weight, None, v, torch.zeros(2, 3)).sum().backward()
    assert calls == [1]
    assert product.gradient.operands == [] and product.gradient.gradients == []


@pytest.mark.parametrize("rows", [1, 6, 7])
def test_sums_taken_on_the_way_are_the_sum_and_what_is_noted_stays_bounded(rows: int) -> None:
    weight = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)
    each = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    v = torch.randn(3, 4, dtype=torch.float64)
    noted = []

    def run(plain: bool) -> tuple[Tensor, ...]:
        times, each_times = (
            DeferredProduct(W, b, Backend(), max_rows=rows) for W, b in ((weight, bias), (each, None))
        )
        u = v
        for _ in range(5):
            u = torch.tanh(multiply(u, weight, bias) if plain else times(u))
            u = torch.tanh((multiply if plain else lambda v, _: each_times(v))(u.unsqueeze(1), each)).squeeze(
                1
            )
            u.register_hook(lambda _: noted.append(len(times.gradient.operands)))
        return torch.autograd.grad(u.sum(), [weight, bias, each])

    expected = run(plain=True)
    noted.clear()
    for given, sums in zip(run(plain=False), expected, strict=True):
        torch.testing.assert_close(given, sums, rtol=0, atol=1e-13)
    assert max(noted) < max(1, rows // 3)  # rows // 3 positions, the last of which is summed at once


def test_operands_side_by_side_are_kept_as_they_are() -> None:
    weight = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    a, b = (torch.randn(2, n, dtype=torch.float64, requires_grad=True) for n in (2, 3))
    plain = torch.autograd.grad(multiply(torch.cat([a, b], -1), weight).sum(), [weight, a, b])
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
        u = DeferredProduct(weight, None, Backend())((a, b))
    assert kept == [a.data_ptr(), b.data_ptr()]
    for given, expected in zip(torch.autograd.grad(u.sum(), [weight, a, b]), plain, strict=True):
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-13)


def test_a_frozen_weight_gets_no_gradient_and_passes_the_operands_on() -> None:
    weight, v = torch.randn(3, 3), torch.randn(2, 3, requires_grad=True)
    product = DeferredProduct(weight, None, Backend())
    (gradient,) = torch.autograd.grad(product(v).sum(), v)
    torch.testing.assert_close(gradient, weight.sum(0).expand(2, 3))
    assert product.gradient.operands == []


def test_a_second_backward_over_the_same_graph_gives_the_same_gradient() -> None:
    weight, v = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3)
    loss = chain(DeferredProduct(weight, None, Backend()), weight, None, v, torch.zeros(2, 3)).sum()
    (first,) = torch.autograd.grad(loss, weight, retain_graph=True)
    (second,) = torch.autograd.grad(loss, weight)
    assert torch.equal(first, second)


def test_without_gradients_nothing_is_noted() -> None:
    weight = torch.randn(3, 3, requires_grad=True)
    with torch.no_grad():
        product = DeferredProduct(weight, None, Backend())
        product(torch.randn(2, 3))
    assert product.token is None and product.gradient.operands == []


def test_what_lies_side_by_side_is_joined_without_a_copy() -> None:
    strip, like = GradientBuffer(), torch.zeros(2, 3)
    places = [strip.reserve() for _ in range(4)]
    tensors = [place(like).fill_(i) for i, place in enumerate(places)][::-1]  # the last position comes first
    whole = concat_rows(tensors)
    assert whole.data_ptr() == tensors[0].data_ptr()
    assert torch.equal(whole, torch.cat(tensors))
    assert concat_rows(tensors[1:3]).data_ptr() == tensors[1].data_ptr()


@pytest.mark.parametrize(
    "apart",
    [
        lambda t: [t[1], t[0], t[2]],  # out of order
        lambda t: [t[0], t[2]],  # a gap
        lambda t: [t[0], t[1].clone(), t[2]],  # another memory
        lambda t: [t[0][:1], t[1], t[2]],  # another shape
        lambda t: [t[0].t(), t[1].t(), t[2].t()],  # another layout
    ],
)
def test_what_does_not_lie_side_by_side_is_copied(apart: Callable[[Tensor], list[Tensor]]) -> None:
    tensors = apart(torch.randn(3, 2, 2))
    whole = concat_rows(tensors)
    assert torch.equal(whole, torch.cat(tensors))
    assert whole.data_ptr() != tensors[0].data_ptr()


def test_positions_have_the_gradients_of_unbind() -> None:
    x = torch.randn(3, 2, 4, requires_grad=True)
    weights = torch.randn(3, 2, 4)
    sum((p * w).sum() for p, w in zip(unbind_positions(x), weights, strict=True)).backward()
    assert torch.equal(x.grad, weights)


def test_the_graph_does_not_hold_the_product_that_holds_the_graph() -> None:
    weight, v = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3)
    product = DeferredProduct(weight, None, Backend())
    y = product(v)
    gone = weakref.ref(product)
    del product
    assert gone() is None  # at once, without Python's search for circles
    y.sum().backward()
    torch.testing.assert_close(weight.grad, v.sum(0).expand(3, 3))
