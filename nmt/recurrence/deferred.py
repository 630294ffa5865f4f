"""A matrix product that a loop over positions repeats, with its weight gradient taken once."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.recurrence.engine import Backend, PreparedMatrix, select_backend

SUMMED_ROWS = (
    2048  # of operands and gradients are noted before their sum is taken: it then runs at full speed
)


def summed_positions(batch: int) -> int:
    """How many positions of a batch are noted before their sum is taken."""
    return max(1, SUMMED_ROWS // batch)


def multiply(v: Tensor, weight: Tensor, bias: Tensor | None = None, add: Tensor | None = None) -> Tensor:
    """`v Wᵀ (+ bias) (+ add)`: v [..., I] with W [O, I], or v [B, T, I] with W [B, O, I] and no bias."""
    if weight.dim() == 3:
        product = torch.bmm(v, weight.transpose(1, 2))
    elif add is not None and bias is None and v.dim() == 2:
        return torch.addmm(add, v, weight.t())
    else:
        product = F.linear(v, weight, bias)
    return product if add is None else product + add


def multiply_rows(matrix: PreparedMatrix, v: Tensor, add: Tensor | None = None) -> Tensor:
    """`v Wᵀ (+ add)` with a back end's matrix: v [..., I], add a bias [O] or [..., O]."""
    rows = v.reshape(-1, v.shape[-1])
    if add is not None and add.dim() > 1:
        add = add.reshape(-1, add.shape[-1])
    return matrix(rows, add).view(*v.shape[:-1], -1)


def concat_operands(v: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Operands that lie side by side as one."""
    if isinstance(v, Tensor):
        return v
    return v[0] if len(v) == 1 else torch.cat(v, -1)


class DeferredProduct:
    """`v Wᵀ + b` at many positions of one sequence: the same value and gradients as `multiply`, sooner.

    Back-propagation through a loop would add a small matrix to the weight's gradient at every
    position. Here each position only notes its operand and its gradient; when the last of them is
    done, or `SUMMED_ROWS` rows have been noted, the weight gradient is one large product over them all:

        dW = Σ_t du_tᵀ v_t = [du_1; …; du_T]ᵀ [v_1; …; v_T]        db = Σ_t du_t

    W is [O, I], or [B, O, I] where each sentence has a matrix of its own (attention's keys).
    An object serves one sequence: make a new one for the next. Gradients of gradients are refused.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, backend: Backend) -> None:
        self.notes = _GradientSum(weight.detach(), None if bias is None else bias.detach(), backend)
        self.token: Tensor | None = None
        if torch.is_grad_enabled():
            self.token = _SumFunction.apply(weight, bias, self.notes)  # type: ignore[no-untyped-call]

    def __call__(self, v: Tensor | tuple[Tensor, ...], add: Tensor | None = None) -> Tensor:
        """`v Wᵀ + b (+ add)`; several v lie side by side, and are kept as they are."""
        if self.token is None:
            return self.notes.multiply(concat_operands(v), add)
        vs = v if isinstance(v, tuple) else (v,)
        return _ProductFunction.apply(add, self.token, self.notes, *vs)  # type: ignore[no-any-return, no-untyped-call]


class PackableLinear(nn.Linear):
    """torch.nn.Linear; once made ready, by the back end's product, whose rows do not depend on each other."""

    matrix: PreparedMatrix | None = None

    def prepare_for_inference(self) -> None:
        """The weights will not change any more, and no gradient is wanted."""
        self.matrix = select_backend("auto", self.weight).matrix(self.weight)

    def forward(self, v: Tensor) -> Tensor:
        if self.matrix is None:
            return super().forward(v)
        return multiply_rows(self.matrix, v, self.bias)


class _GradientSum:
    """The weight as the back end multiplies with it, and what the positions of a product have noted.

    The graph refers to this and not to the product, which holds a piece of the graph: a circle would keep
    both, and all that the graph has saved, until Python looks for circles.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, backend: Backend) -> None:
        self.weight, self.bias, self.backend = weight, bias, backend
        self.operands: list[Tensor] = []
        self.gradients: list[Tensor] = []
        self.rows = 0
        self.dW: Tensor | None = None
        self.db: Tensor | None = None

    def note(self, v: Tensor, du: Tensor) -> None:
        """One position's operand and gradient."""
        self.operands.append(v)
        self.gradients.append(du)
        rows = du[..., 0].numel()
        self.rows += rows
        if self.rows + rows > SUMMED_ROWS:
            self.add_up()

    @cached_property
    def matrix(self) -> PreparedMatrix:
        return self.backend.matrix(self.weight)  # type: ignore[no-any-return]

    @cached_property
    def turned(self) -> PreparedMatrix:
        return self.backend.matrix(self.weight.t())  # type: ignore[no-any-return]

    def multiply(self, v: Tensor, add: Tensor | None) -> Tensor:
        """`v Wᵀ + b + add`."""
        if self.weight.dim() == 3:
            return multiply(v, self.weight, None, add)
        first, second = (self.bias, add) if add is None or self.bias is not None else (add, None)
        u = multiply_rows(self.matrix, v, first)
        return u if second is None else u + second

    def multiply_back(self, du: Tensor) -> Tensor:
        """`du W`."""
        if self.weight.dim() == 3:
            return torch.bmm(du, self.weight)
        return multiply_rows(self.turned, du)

    def gradients_of_weight_and_bias(self) -> tuple[Tensor | None, Tensor | None]:
        """The two sums over all positions, which are then forgotten."""
        if self.operands:
            self.add_up()
        sums, self.dW, self.db = (self.dW, self.db), None, None
        return sums

    def add_up(self) -> None:
        """The noted positions join the sums."""
        # Noted from the last position to the first: turned round, places of a Strip lie side by side.
        gradients, operands = self.gradients[::-1], self.operands[::-1]
        if self.weight.dim() == 3:
            du, v = torch.cat(gradients, 1), torch.cat(operands, 1)
            turned = du.transpose(1, 2)
            self.dW = torch.bmm(turned, v) if self.dW is None else self.dW.baddbmm_(turned, v)
        else:
            du, v = (concat_rows([n.flatten(0, -2) for n in noted]) for noted in (gradients, operands))
            self.dW = self.backend.matrix(v.t())(du.t(), self.dW, self.dW)
            if self.bias is not None:
                self.db = du.sum(0) if self.db is None else self.db.add_(du.sum(0))
        self.operands.clear()
        self.gradients.clear()
        self.rows = 0


class GradientBuffer:
    """Places for gradients that come position by position, the last position first.

    As many as are noted together lie side by side, so that they need not be copied together.
    """

    def __init__(self) -> None:
        self.positions = 0
        self.free: list[Tensor] = []

    def reserve(self) -> Callable[[Tensor], Tensor]:
        """For the next position of the forward pass: what gives its place, when the backward pass asks."""
        self.positions += 1
        return self.take

    def take(self, like: Tensor) -> Tensor:
        """The place before the one that was given last."""
        if not self.free:
            count = min(self.positions, summed_positions(len(like)))
            self.free = list(like.new_empty(count, *like.shape).unbind(0))
        return self.free.pop()


def concat_rows(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors [N, I] on top of each other: a view where they already lie so in memory, else a copy."""
    first = tensors[0]
    storage, start, size = first.untyped_storage().data_ptr(), first.storage_offset(), first.numel()
    for i, tensor in enumerate(tensors):
        alike = tensor.shape == first.shape and tensor.is_contiguous()
        if not (
            alike
            and tensor.untyped_storage().data_ptr() == storage
            and tensor.storage_offset() == start + i * size
        ):
            return torch.cat(list(tensors))
    return first.as_strided((len(tensors) * len(first), *first.shape[1:]), first.stride())


def unbind_positions(x: Tensor) -> tuple[Tensor, ...]:
    """[T, B, I] position by position, as `unbind`; gradients that lie side by side are not copied."""
    return _UnbindFunction.apply(x)  # type: ignore[no-any-return, no-untyped-call]


class _UnbindFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, ...]:
        ctx.shape = x.shape
        return x.unbind(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return concat_rows(gradients).view(ctx.shape)


def refuse_second_derivatives() -> None:
    """A backward pass runs with gradients on only where somebody wants to differentiate it again."""
    if torch.is_grad_enabled():
        raise RuntimeError("the fused scan has no second derivatives; use `engine: reference`")


class _SumFunction(torch.autograd.Function):
    """The weight's place in the graph: its backward runs after that of every `_ProductFunction`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, notes: _GradientSum) -> Tensor:
        ctx.notes = notes
        ctx.set_materialize_grads(False)
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        refuse_second_derivatives()
        return *ctx.notes.gradients_of_weight_and_bias(), None


class _ProductFunction(torch.autograd.Function):
    """One position's product."""

    @staticmethod
    def forward(ctx: Any, add: Tensor | None, token: Tensor, notes: _GradientSum, *vs: Tensor) -> Tensor:
        ctx.save_for_backward(*vs)
        ctx.notes = notes
        return notes.multiply(concat_operands(vs), add)

    @staticmethod
    def backward(ctx: Any, du: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        notes: _GradientSum = ctx.notes
        vs = ctx.saved_tensors
        if ctx.needs_input_grad[1]:
            notes.note(concat_operands(vs).detach(), du)  # or they would hold the graph of a pass that fails
        dvs: tuple[Tensor | None, ...] = (None,) * len(vs)
        if any(ctx.needs_input_grad[3:]):
            dvs = torch.split(notes.multiply_back(du), [v.shape[-1] for v in vs], -1)
        return (du if ctx.needs_input_grad[0] else None), None, None, *dvs
