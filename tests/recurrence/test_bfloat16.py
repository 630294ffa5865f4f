"""Products in bfloat16: their values, the order of their sums, and gradients through them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.cells import find_cell
from nmt.recurrence.c import bfloat16
from nmt.recurrence.engine import bfloat16_products, runs_in_c, select_backend
from nmt.recurrence.layer import Layer
from tests.recurrence.test_native import SIZES, check_rows_are_independent

OBSTACLE = bfloat16.find_bfloat16_obstacle()
pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=str(OBSTACLE))
LIBRARIES: dict[str, Callable[[], Any]] = {
    "best": bfloat16.load_product,
    "vectors": partial(bfloat16.load_product, tiles=False),
}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The product of this machine, and the one of machines without tiles."""
    loaded = LIBRARIES[request.param]()
    monkeypatch.setattr(bfloat16, "load_product", lambda: loaded)


def exact_product(v: Tensor, weight: Tensor) -> Tensor:
    """The product of rounded operands, summed in double precision."""
    return v.bfloat16().double() @ weight.bfloat16().double().t()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("turned", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("size", [*SIZES, (64, 64, 1100)])
def test_a_product_rounds_its_operands_and_nothing_else(size: tuple[int, int, int], turned: bool) -> None:
    torch.manual_seed(4)
    M, N, K = size
    v = torch.randn(K, M).t() if turned else torch.randn(M, K)
    for weight in (torch.randn(N, K), torch.randn(K, N).t(), torch.randn(N, 2 * K)[:, ::2]):
        product, exact = bfloat16.Bfloat16Backend().matrix(weight), exact_product(v, weight)
        for add in (None, torch.randn(N), torch.randn(M, N)):
            wanted = exact if add is None else exact + add
            torch.testing.assert_close(product(v, add).double(), wanted, rtol=1e-5, atol=1e-4)
        total, wide = torch.randn(M, N), torch.zeros(M, N + 9)
        wanted = exact + total
        product(v, total, out=total)
        torch.testing.assert_close(total.double(), wanted, rtol=1e-5, atol=1e-4)
        product(v, out=wide[:, :N])
        assert not wide[:, N:].any()  # it writes its own columns only


@pytest.mark.usefixtures("library")
def test_a_row_is_the_same_to_the_bit_among_any_others_and_with_any_threads() -> None:
    check_rows_are_independent(bfloat16.Bfloat16Backend().matrix)


def scan_gradients(layer: Layer, x: Tensor) -> list[Tensor]:
    """The output of a layer and the gradients of its input and weights."""
    x = x.clone().requires_grad_()
    hs = layer(x, None)[0]
    hs.backward(torch.ones_like(hs))
    gradients = [x.grad, *(parameter.grad for parameter in layer.parameters())]
    layer.zero_grad()
    return [hs.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("name", ["lstm", "gru", "mgu", "lstm-peephole"])
def test_values_and_gradients_of_a_scan_are_close_to_those_of_float32(name: str) -> None:
    torch.manual_seed(6)
    layer, x = Layer([find_cell(name)(40, 48)]), torch.randn(7, 20, 40)
    exact = scan_gradients(layer, x)
    with bfloat16_products():
        rounded, again = scan_gradients(layer, x), scan_gradients(layer, x)
    assert all(torch.equal(one, other) for one, other in zip(rounded, again, strict=True))
    for one, other in zip(rounded, exact, strict=True):
        assert one.dtype == torch.float32
        error = ((one - other).norm() / other.norm()).item()
        assert 0 < error < 0.02


def test_the_back_end_is_chosen_within_the_context_alone() -> None:
    like = torch.ones(2)
    with bfloat16_products():
        assert isinstance(select_backend("auto", like), bfloat16.Bfloat16Backend)
        assert runs_in_c("auto", like)
        assert not isinstance(select_backend("auto", like.double()), bfloat16.Bfloat16Backend)
    assert not isinstance(select_backend("auto", like), bfloat16.Bfloat16Backend)
