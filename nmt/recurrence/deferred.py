"""A matrix product that a loop over positions repeats, with its weight gradient computed once."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.recurrence.engine import (
    Backend,
    Engine,
    PositionStep,
    PreparedMatrix,
    multiplies_in_bfloat16,
    select_backend,
)

SUMMED_ROWS = 2048  # rows of operands and gradients in one product: enough for it to run at full speed


def summed_positions(batch: int) -> int:
    """Return the number of positions of a batch whose gradients are summed by one product."""
    return max(1, SUMMED_ROWS // batch)


def multiply(v: Tensor, weight: Tensor, bias: Tensor | None = None, add: Tensor | None = None) -> Tensor:
    """Compute `v Wᵀ (+ bias) (+ add)`: v [..., I] with W [O, I], or v [B, T, I] with W [B, O, I], no bias."""
    if weight.dim() == 3:
        product = torch.bmm(v, weight.transpose(1, 2))
    elif add is not None and bias is None and v.dim() == 2:
        return torch.addmm(add, v, weight.t())
    else:
        product = F.linear(v, weight, bias)
    return product if add is None else product + add


def multiply_rows(matrix: PreparedMatrix, v: Tensor, add: Tensor | None = None) -> Tensor:
    """Compute `v Wᵀ (+ add)` with a back end's matrix: v [..., I], add a bias [O] or [..., O]."""
    if v.dim() == 2:
        return matrix(v, add)
    rows = v.reshape(-1, v.shape[-1])
    if add is not None and add.dim() > 1:
        add = add.reshape(-1, add.shape[-1])
    return matrix(rows, add).view(*v.shape[:-1], -1)


def concat_operands(v: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Concatenate operands that are given as a tuple."""
    if isinstance(v, Tensor):
        return v
    return v[0] if len(v) == 1 else torch.cat(v, -1)


class DeferredProduct:
    """`v Wᵀ + b` at many positions of one sequence: the values and gradients of `multiply`, faster.

    Backpropagation through a loop would add a small matrix to the weight's gradient at every position. Here
    each position only keeps its operand and its gradient; after the last of them, or after `max_rows` rows,
    the weight gradient is one large product over them all:

        dW = Σ_t du_tᵀ v_t = [du_1; …; du_T]ᵀ [v_1; …; v_T]        db = Σ_t du_t

    W is [O, I], or [B, O, I] with one matrix per sentence (attention's keys). An object serves one
    sequence. Second derivatives are not supported.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, backend: Backend, max_rows: int = SUMMED_ROWS
    ) -> None:
        detached_bias = None if bias is None else bias.detach()
        self.gradient = WeightGradient(weight.detach(), detached_bias, backend, max_rows)
        self.token: Tensor | None = None
        if torch.is_grad_enabled():
            self.token = _WeightFunction.apply(weight, bias, self.gradient)  # type: ignore[no-untyped-call]

    def __call__(self, v: Tensor | tuple[Tensor, ...], add: Tensor | None = None) -> Tensor:
        """Compute `v Wᵀ + b (+ add)`; a tuple v is concatenated, but its tensors are saved separately."""
        if self.token is None:
            return self.gradient.multiply(concat_operands(v), add)
        vs = v if isinstance(v, tuple) else (v,)
        return _ProductFunction.apply(add, self.token, self.gradient, *vs)  # type: ignore[no-any-return, no-untyped-call]

    def bind(self, v: Tensor, out: Tensor, add: Tensor | None = None) -> PositionStep:
        """Bind `out = v Wᵀ + b`, or `add` instead of b, at one position [1, B, ...] without gradients."""
        gradient = self.gradient
        return gradient.backend.product(v, gradient.matrix, out, gradient.bias if add is None else add)


class PackableLinear(nn.Linear):
    """torch.nn.Linear; for inference a product of the back end, whose rows do not depend on each other."""

    matrix: PreparedMatrix | None = None

    def prepare_for_inference(self, engine: Engine = "auto") -> None:
        """Pack the weight, which must not change afterwards; there are no gradients."""
        self.matrix = select_backend(engine, self.weight).matrix(self.weight)

    def forward(self, v: Tensor) -> Tensor:
        if self.matrix is not None:
            return multiply_rows(self.matrix, v, self.bias)
        if multiplies_in_bfloat16():
            product: Tensor = DeferredProduct(self.weight, self.bias, select_backend("auto", self.weight))(v)
            return product
        return super().forward(v)


class WeightGradient:
    """The weight of a product, and the operands and gradients of its positions.

    The graph refers to this and not to the product, which holds a part of the graph: a reference cycle would
    keep both, and all that the graph has saved, until the garbage collector runs.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, backend: Backend, max_rows: int) -> None:
        self.weight, self.bias, self.backend, self.max_rows = weight, bias, backend, max_rows
        self.operands: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self.rows = 0
        self.dW: Tensor | None = None
        self.db: Tensor | None = None

    @cached_property
    def matrix(self) -> PreparedMatrix:
        return self.backend.matrix(self.weight)  # type: ignore[no-any-return]

    @cached_property
    def transposed(self) -> PreparedMatrix:
        return self.backend.matrix(self.weight.t())  # type: ignore[no-any-return]

    def multiply(self, v: Tensor, add: Tensor | None) -> Tensor:
        """Compute `v Wᵀ + b + add`."""
        if self.weight.dim() == 3:
            return multiply(v, self.weight, None, add)
        first, second = (self.bias, add) if add is None or self.bias is not None else (add, None)
        u = multiply_rows(self.matrix, v, first)
        return u if second is None else u + second

    def add(self, v: Tensor, du: Tensor) -> None:
        """Add one position's operand and gradient."""
        self.operands.append(v)
        self.gradients.append(du)
        rows = du[..., 0].numel()
        self.rows += rows
        if self.rows + rows > self.max_rows:
            self.flush()

    def flush(self) -> None:
        """Add the stored positions to the sums, and clear them."""
        # The last position came first; in reverse order those of a GradientBuffer are adjacent in memory.
        gradients, operands = self.gradients[::-1], self.operands[::-1]
        if self.weight.dim() == 3:
            du, v = torch.cat(gradients, 1).transpose(1, 2), torch.cat(operands, 1)
            self.dW = torch.bmm(du, v) if self.dW is None else self.dW.baddbmm_(du, v)
        else:
            du, v = (concat_rows([t.flatten(0, -2) for t in tensors]) for tensors in (gradients, operands))
            self.dW = self.backend.matrix(v.t())(du.t(), self.dW, self.dW)
            if self.bias is not None:
                self.db = du.sum(0) if self.db is None else self.db.add_(du.sum(0))
        self.operands.clear()
        self.gradients.clear()
        self.rows = 0

    def take(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of weight and bias; clear them, and the prepared weights."""
        if self.operands:
            self.flush()
        for name in ("matrix", "transposed"):
            self.__dict__.pop(name, None)
        sums, self.dW, self.db = (self.dW, self.db), None, None
        return sums


class GradientBuffer:
    """Memory for gradients that are computed position by position, from last to first.

    Those that are summed together are adjacent, so that they need not be copied together.
    """

    def __init__(self) -> None:
        self.positions = 0
        self.free: list[Tensor] = []

    def reserve(self) -> Callable[[Tensor], Tensor]:
        """Reserve a position in the forward pass; the result allocates its gradient in the backward pass."""
        self.positions += 1
        return self.allocate

    def allocate(self, like: Tensor) -> Tensor:
        """Return the memory that precedes the last one returned."""
        if not self.free:
            count = min(self.positions, summed_positions(len(like)))
            self.free = list(like.new_empty(count, *like.shape).unbind(0))
        return self.free.pop()


def concat_rows(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors [N, I]: a view if they are adjacent in memory, else a copy."""
    first = tensors[0]
    storage, start, size = first.untyped_storage().data_ptr(), first.storage_offset(), first.numel()
    for i, tensor in enumerate(tensors):
        if not (
            tensor.shape == first.shape
            and tensor.is_contiguous()
            and tensor.untyped_storage().data_ptr() == storage
            and tensor.storage_offset() == start + i * size
        ):
            return torch.cat(list(tensors))
    return first.as_strided((len(tensors) * len(first), *first.shape[1:]), first.stride())


def unbind_positions(x: Tensor) -> tuple[Tensor, ...]:
    """Unbind [T, B, I] as `unbind` does, without copying gradients that are adjacent in memory."""
    return _UnbindFunction.apply(x)  # type: ignore[no-any-return, no-untyped-call]


class _UnbindFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, ...]:
        ctx.shape = x.shape
        return x.unbind(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return concat_rows(gradients).view(ctx.shape)


def reject_second_derivatives() -> None:
    """Raise in a backward pass with gradients enabled, which is to be differentiated again."""
    if torch.is_grad_enabled():
        raise RuntimeError("the fused scan has no second derivatives; use `engine: reference`")


class _WeightFunction(torch.autograd.Function):
    """The weight in the graph: its backward runs after that of every `_ProductFunction`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, gradient: WeightGradient) -> Tensor:
        ctx.gradient = gradient
        ctx.set_materialize_grads(False)
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        reject_second_derivatives()
        return *ctx.gradient.take(), None


class _ProductFunction(torch.autograd.Function):
    """One position's product."""

    @staticmethod
    def forward(ctx: Any, add: Tensor | None, token: Tensor, gradient: WeightGradient, *vs: Tensor) -> Tensor:
        ctx.save_for_backward(*vs)
        ctx.gradient = gradient
        return gradient.multiply(concat_operands(vs), add)

    @staticmethod
    def backward(ctx: Any, du: Tensor) -> tuple[Tensor | None, ...]:
        reject_second_derivatives()
        gradient: WeightGradient = ctx.gradient
        vs = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            gradient.add(concat_operands(vs).detach(), du)  # detached, or a failing pass would keep its graph
        dvs: tuple[Tensor | None, ...] = (None,) * len(vs)
        if any(ctx.needs_input_grad[3:]):
            W = gradient.weight
            dv = torch.bmm(du, W) if W.dim() == 3 else multiply_rows(gradient.transposed, du)
            dvs = torch.split(dv, [v.shape[-1] for v in vs], -1)
        return (du if ctx.needs_input_grad[0] else None), None, None, *dvs
