"""Products in 8-bit integers: exact, with every processor's instructions, and independent of other rows."""

import pytest
import torch
from torch import Tensor

from nmt.recurrence.c import compiler, int8
from nmt.recurrence.c.int8 import Int8Backend, Int8Matrix, load_product, name_instructions, quantize_matrix
from nmt.recurrence.c.native import PackedMatrix
from nmt.recurrence.engine import select_backend

pytestmark = pytest.mark.skipif(compiler.find_obstacle() is not None, reason=str(compiler.find_obstacle()))

# Lines that hide instructions of this machine; what it lacks is hidden already. The header comes first, since
# gcc's version of it defines the names again.
HEADER = "#if defined __x86_64__\n#include <immintrin.h>\n#endif\n"
LESS = ("__AMX_INT8__", "__AVX512VNNI__", "__AVXVNNI__", "__AVX2__")
HIDDEN = ["", *(HEADER + "".join(f"#undef {name}\n" for name in LESS[:n]) for n in range(1, len(LESS) + 1))]
SHAPES = [(1, 16, 1), (1, 64, 64), (2, 17, 3), (3, 63, 130), (4, 65, 5), (7, 130, 67), (97, 200, 129)]
SHAPES += [(33, 66, 512), (200, 16, 31)]


@pytest.fixture(params=HIDDEN, ids=["all", "no AMX", "no AVX-512 VNNI", "no AVX-VNNI", "no AVX2"])
def hidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Products compiled without some of the instructions of this machine."""
    library = load_product(request.param)
    monkeypatch.setattr(int8, "load_product", lambda: library)
    return str(request.param)


def expected(v: Tensor, weight: Tensor, add: Tensor | float) -> Tensor:
    """The same product by exact sums in double precision, made floats by the same operations."""
    integers, scales = quantize_matrix(weight, dim=1)
    largest = v.abs().amax(1, keepdim=True).clamp(min=1e-30)
    rounded = (v * (torch.tensor(127.0) / largest)).round()  # 127 / largest: two roundings
    return (rounded.double() @ integers.double().t()).float() * (largest / 127 * scales.t()) + add


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_sums_are_exact(hidden: str, shape: tuple[int, int, int]) -> None:
    M, N, K = shape
    torch.manual_seed(M)
    weight, bias = torch.randn(N, K) * torch.logspace(-3, 3, N).unsqueeze(1), torch.randn(N)
    v = torch.randn(M, K) * torch.logspace(-9, 9, M).unsqueeze(1)
    matrix = Int8Matrix(weight)
    assert torch.equal(matrix(v, bias), expected(v, weight, bias))
    assert torch.equal(matrix(v), expected(v, weight, 0.0))
    assert torch.equal(matrix(v.t().contiguous().t(), v @ weight.t()), expected(v, weight, v @ weight.t()))


@pytest.mark.parametrize(("left", "right"), [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_no_sum_saturates(hidden: str, left: int, right: int) -> None:
    v, weight = torch.full((9, 1030), 127.0 * left), torch.full((70, 1030), 127.0 * right)
    assert Int8Matrix(weight)(v).unique().tolist() == [left * right * 127**2 * 1030]


def test_a_row_does_not_depend_on_the_other_rows(hidden: str) -> None:
    torch.manual_seed(2)
    matrix, v, bias = Int8Matrix(torch.randn(150, 77)), torch.randn(131, 77), torch.randn(150)
    together = matrix(v, bias)
    for rows in (1, 2, 3, 5, 8, 16, 31, 40, 96, 130):
        assert torch.equal(matrix(v[-rows:], bias), together[-rows:])
        assert torch.equal(matrix(v[:rows], bias), together[:rows])


def test_zero_nan_and_infinite_values_affect_their_row_only(hidden: str) -> None:
    v = torch.ones(5, 20)
    v[1], v[2, 3], v[3, 4] = 0, torch.nan, torch.inf
    found = Int8Matrix(torch.ones(16, 20))(v)
    assert found[[0, 1, 4], 0].tolist() == [20, 0, 20]
    assert found[2].isnan().all()
    assert not found[3].isfinite().any()


def test_two_threads_give_the_same_bits(hidden: str) -> None:
    threads, matrix, v = torch.get_num_threads(), Int8Matrix(torch.randn(900, 300)), torch.randn(70, 300)
    try:
        torch.set_num_threads(1)
        alone = matrix(v)
        torch.set_num_threads(2)
        assert torch.equal(matrix(v), alone)
    finally:
        torch.set_num_threads(threads)


def test_positions_of_a_loop_are_read_and_written_where_they_are() -> None:
    torch.manual_seed(4)
    weight, v, out = torch.randn(32, 12), torch.randn(3, 5, 24)[:, :, :12], torch.randn(3, 5, 40)
    backend, add = Int8Backend(), out[..., 4:36].clone()
    step = backend.product(v, backend.matrix(weight), out[..., 4:36], out[..., 4:36])
    backend.loop([step], range(2, 0, -1))
    assert torch.equal(out[0, :, 4:36], add[0])
    for t in (1, 2):
        assert torch.equal(out[t, :, 4:36], expected(v[t], weight, add[t]))


def test_a_product_of_few_outputs_stays_in_floating_point() -> None:
    backend = select_backend("int8", torch.ones(1))
    assert type(backend.matrix(torch.ones(15, 4))) is PackedMatrix
    assert isinstance(backend.matrix(torch.ones(16, 4)), Int8Matrix)
    assert not isinstance(select_backend("auto", torch.ones(1)), Int8Backend)


def test_the_instructions_have_a_name() -> None:
    assert any(name in name_instructions() for name in ("AMX", "VNNI", "AVX2", "C without"))


def test_what_has_no_such_products_is_named() -> None:
    assert "float64" in str(Int8Backend.find_obstacle(torch.ones(1, dtype=torch.float64)))
    assert Int8Backend.find_obstacle(torch.ones(1)) is None


def test_instructions_are_hidden(hidden: str) -> None:
    names = ("AMX", "AVX-512 VNNI", "AVX-VNNI", "AVX2")
    assert not name_instructions().startswith(names[: hidden.count("#undef")])
