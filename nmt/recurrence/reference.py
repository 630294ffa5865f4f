"""A cell bound to one sequence: products merged, dropout masks drawn, ready to step."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nmt.cells.cell import Cell
from nmt.recurrence.deferred import DeferredProduct, concat_operands, multiply
from nmt.recurrence.engine import Engine, select_backend
from nmt.recurrence.state import NO_ZONEOUT, Zoneout, blend_states, map_tensors
from nmt.recurrence.trace.program import find_plan

BoundProduct = Callable[..., Tensor]


def bind_product(weight: Tensor, engine: Engine, bias: Tensor | None = None) -> BoundProduct:
    """Prepare `v ↦ v Wᵀ + b` for one sequence; the reference engine uses plain products."""
    if engine == "reference":
        return lambda v, add=None: multiply(concat_operands(v), weight, bias, add)
    return DeferredProduct(weight, bias, select_backend(engine, weight))


def draw_dropout_mask(shape: tuple[int, ...], p: float, like: Tensor) -> Tensor | None:
    """Draw a mask for all positions of a sequence (Gal & Ghahramani, 2016); None for p = 0."""
    return F.dropout(like.new_ones(shape), p) if p > 0 else None


def merge_products(
    cell: Cell, gates: tuple[str, ...], engine: Engine, mask: Tensor | None
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Make the recurrent products of gates that read one operand, computed together."""
    bias, gain = concat_recurrent_biases(cell, gates), select_gate_rows(cell, cell.gain_U, gates)
    product = bind_product(select_gate_rows(cell, cell.U, gates), engine, bias if gain is None else None)
    results: dict[str, Tensor] = {}
    operand: Tensor | None = None

    def multiply_gate(gate: str, v: Tensor) -> Tensor:
        nonlocal operand
        if v is not operand or gate not in results:
            u = product(v if mask is None else v * mask)
            if gain is not None:
                u = cell.normalise(u, gain)
                u = u if bias is None else u + bias  # added after the normalisation
            operand, parts = v, u.chunk(len(gates), dim=-1)
            results.update(zip(gates, parts, strict=True))
        result = results.pop(gate)  # results that were kept would keep their graph
        operand = operand if results else None
        return result

    return {gate: partial(multiply_gate, gate) for gate in gates}


def concat_recurrent_biases(cell: Cell, gates: tuple[str, ...]) -> Tensor | None:
    """Concatenate the biases inside the products of `gates`, with zeros for gates without one."""
    biases = [cell.find_recurrent_bias(gate) for gate in gates]
    if all(bias is None for bias in biases):
        return None
    zeros = cell.b.new_zeros(cell.hidden_size)
    return torch.cat([zeros if bias is None else bias for bias in biases])


def select_gate_rows(cell: Cell, parameter: Tensor | None, gates: tuple[str, ...]) -> Any:
    """Select the rows of `gates` in U or its gain: all, a view, or (gates that are not adjacent) a copy."""
    if parameter is None or gates == cell.recurrent:
        return parameter
    span = cell.recurrent_rows(gates[0], gates[-1])
    if span.stop - span.start == len(gates) * cell.hidden_size:
        return parameter[span]
    blocks = [cell.recurrent_rows(gate) for gate in gates]
    return parameter[[row for block in blocks for row in range(block.start, block.stop)]]


class BoundCell:
    """A cell prepared for one sequence of one batch.

    With the reference engine every product is computed separately, as in the equations, which is the
    definition. Otherwise products that read one operand are merged and each weight gradient is one product
    over all positions (`DeferredProduct`); values and gradients are the same.
    """

    is_reused = False  # for many sequences without gradients, while the weights stay the same

    def __init__(
        self,
        cell: Cell,
        batch: int,
        *,
        engine: Engine = "auto",
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        zoneout: Zoneout = NO_ZONEOUT,
    ) -> None:
        self.cell, self.engine, self.zoneout = cell, engine, zoneout
        self.input_mask = draw_dropout_mask((batch, cell.input_size), input_dropout, cell.b)
        self.state_mask = draw_dropout_mask((batch, cell.hidden_size), state_dropout, cell.b)
        self.bind_products()

    def bind_products(self) -> None:
        """Build `U` for the step."""
        cell = self.cell
        groups = [] if self.engine == "reference" else list(find_plan(cell))
        merged = {gate for gates in groups for gate in gates}
        groups += [(gate,) for gate in cell.recurrent if gate not in merged]
        products: dict[str, Callable[[Tensor], Tensor]] = {}
        for gates in groups:
            products |= merge_products(cell, gates, self.engine, self.state_mask)
        self.U = cell.product_tuple(**products)

    @cached_property
    def projection(self) -> BoundProduct:
        """The input product of all columns."""
        return self.input_product()

    def project(self, x: Tensor) -> Tensor:
        """Compute the input products of all gates at all positions: x [T, B, E] to [T, B, G*H]."""
        return self.cell.normalise_input(self.projection(x))

    def input_product(self) -> BoundProduct:
        """Prepare the input product for one position after the other."""
        [product] = self.input_products([self.cell.input_size])
        return product

    def input_products(self, sizes: Sequence[int]) -> list[BoundProduct]:
        """Prepare the input product in blocks of columns of these sizes, the first with the bias.

        The sum of the products of all blocks goes through `Cell.normalise_input`. The gradients of the blocks
        are concatenated; those of slices would be added up, each padded with zeros.
        """
        cell, products = self.cell, list[BoundProduct]()
        blocks = cell.W.split(sizes, 1) if len(sizes) > 1 else [cell.W]  # type: ignore[no-untyped-call]
        masks = [None] * len(sizes) if self.input_mask is None else self.input_mask.split(sizes, 1)  # type: ignore[no-untyped-call]
        for number, (W, mask) in enumerate(zip(blocks, masks, strict=True)):
            product = bind_product(W, self.engine, None if number else cell.input_bias())
            products.append(product if mask is None else partial(_multiply_masked, product, mask))
        return products

    def step(self, x: Tensor, s: Any) -> Any:
        """Compute the state after one position from a projected input [B, G*H], drawing its zones."""
        zones = self.zoneout.zones(self.cell, 1, x.shape[0])
        return self.advance(x, s, None if zones is None else zones[0])

    def advance(self, x: Tensor, s: Any, zone: Tensor | None) -> Any:
        """Compute the state after one position, given its zones [B, P*H]."""
        new = self.cell.step(self.cell.split_gates(x), s, self.U)
        return new if zone is None else blend_states(zone.chunk(len(s), -1), new, s)

    def scan(
        self, x: Tensor, s: Any, mask: Tensor | None = None, *, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        """Run all positions: projected input [T, B, G*H] and state to (every h [T, B, H], last state).

        Where `mask` [T, B] is False (padding) the state is kept. In reverse the last position
        comes first. `x` may be overwritten.
        """
        hs = []
        zones = self.zoneout.zones(self.cell, len(x), x.shape[1])
        for t in position_order(len(x), reverse):
            new = self.advance(x[t], s, None if zones is None else zones[t])
            s = new if mask is None else _keep_padding(mask[t].unsqueeze(-1), new, s)
            hs.append(s.h)
        return torch.stack(hs[::-1] if reverse else hs), s


def position_order(positions: int, reverse: bool) -> range:
    """Return the positions in the order of a scan."""
    return range(positions - 1, -1, -1) if reverse else range(positions)


def _multiply_masked(product: BoundProduct, mask: Tensor, v: Tensor, add: Tensor | None = None) -> Tensor:
    return product(v * mask, add)


def _keep_padding(mask: Tensor, new: Any, old: Any) -> Any:
    return map_tensors(lambda n, o: n.where(mask, o), new, old)
