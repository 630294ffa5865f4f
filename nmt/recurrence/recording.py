"""Recording of recurrent cells: the values of each step, by the variable names of its equations.

The forward pass that is recorded runs on the reference engine. Without a recording there is no overhead.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.cells.cell import Cell, read_equations
from nmt.recurrence.layer import Layer
from nmt.recurrence.reference import BoundCell
from nmt.recurrence.state import Zoneout, blend_states


class CellPath(NamedTuple):
    """The position of a cell in a model."""

    side: str  # "encoder" or "decoder"
    layer: int  # from 1
    direction: str  # "forward", "backward", or "conditional": the second cell of a conditional layer
    cell: str  # its name

    @property
    def title(self) -> str:
        return f"{self.side}, layer {self.layer}, {self.direction}"


class LayerCell(NamedTuple):
    """A cell of a model and the layer that runs it."""

    path: CellPath
    layer: Layer
    cell: Cell


class CellRecord(NamedTuple):
    """One cell over one batch.

    `values` [T, B, H] by name: the local variables of the step as it returned (`gates`; declared ones come
    first), then every field of the state after the step. Positions are those of the text in every direction;
    values at padding are undefined. `unnamed` are declared gates that the step assigns to no variable.

    `kept` [T, B, H] by field is the direct path ∂s'/∂s of a unit to itself, with the recurrent
    products held constant: an LSTM's f for c, the GRU's z for h. Fields without such a path are absent.
    """

    path: CellPath
    gates: tuple[str, ...]
    unnamed: tuple[str, ...]
    equations: str
    values: dict[str, Tensor]
    kept: dict[str, Tensor]


@contextmanager
def record_values(cells: Iterable[LayerCell]) -> Iterator[list[CellRecord]]:
    """Record the values of every step of one forward pass.

    The list is filled when the context exits, in the order of `cells`; cells that were not run are absent.
    """
    records: list[CellRecord] = []
    recorders = [_ValueRecorder(cell) for cell in cells]
    with _install(recorders):
        yield records
    records += [recorder.record() for recorder in recorders if recorder.steps]


@contextmanager
def record_states(
    cells: Iterable[LayerCell], only: Mapping[str, str | None]
) -> Iterator[dict[CellPath, list[Any]]]:
    """Record the states after every step with their graphs, in the order in which they are computed.

    On the sides for which `only` names a field, gradients flow back from step to step through it alone.
    """
    recorders = [_StateRecorder(cell, only.get(cell.path.side)) for cell in cells]
    with _install(recorders):
        yield {recorder.path: recorder.states for recorder in recorders}


@contextmanager
def _install(recorders: "Sequence[_Recorder]") -> Iterator[None]:
    """Replace the bound cells of the layers by the recorders."""
    before = {recorder.layer: recorder.layer.bound_cells for recorder in recorders}
    for layer in before:
        layer.bound_cells = {recorder.cell: recorder for recorder in recorders if recorder.layer is layer}
    try:
        yield
    finally:
        for layer, ready in before.items():
            layer.bound_cells = ready


class _Recorder(BoundCell):
    """A cell on the reference engine, without dropout and with the expectation of zoneout."""

    def __init__(self, of: LayerCell) -> None:
        self.path, self.layer = of.path, of.layer
        zoneout = Zoneout(of.layer.dropout.zoneout, drawn=False)
        super().__init__(of.cell, 1, engine="reference", zoneout=zoneout)


class _StateRecorder(_Recorder):
    def __init__(self, of: LayerCell, only: str | None) -> None:
        super().__init__(of)
        self.only, self.states = only, list[Any]()

    def advance(self, x: Tensor, s: Any, zone: Tensor | None) -> Any:
        read = s
        if self.only is not None:
            read = s._replace(**{name: getattr(s, name).detach() for name in s._fields if name != self.only})
        new = self.cell.step(self.cell.split_gates(x), read, self.U)
        self.states.append(new)  # before zoneout: h of an LSTM is computed from this c
        return new if zone is None else blend_states(zone.chunk(len(s), -1), new, s)


class _ValueRecorder(_Recorder):
    def __init__(self, of: LayerCell) -> None:
        super().__init__(of)
        # The code of the cell's step and of those of its bases, which it may call.
        kinds = [kind for kind in type(of.cell).__mro__ if "step" in vars(kind)]
        self.codes = {inspect.unwrap(vars(kind)["step"]).__code__ for kind in kinds}
        self.steps: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def bind_products(self) -> None:
        super().bind_products()
        constant = zip(self.cell.recurrent, map(_without_gradient, self.U), strict=True)
        self.U = self.cell.product_tuple(**dict(constant))

    def advance(self, x: Tensor, s: Any, zone: Tensor | None) -> Any:
        s = type(s)(*(field.detach().requires_grad_() for field in s))
        with torch.enable_grad(), _collect_locals(self.codes) as variables:
            new = super().advance(x.detach(), s, zone)
        paths = {name: _direct_path(getattr(new, name), getattr(s, name)) for name in s._fields}
        new = type(new)(*(field.detach() for field in new))
        values = {
            name: value.detach()
            for name in dict.fromkeys((*self.cell.gates, *variables))  # the declared gates first
            if isinstance(value := variables.get(name), Tensor)
            and value.shape == s.h.shape  # one value per unit
            and name not in s._fields
        }
        kept = {name: path for name, path in paths.items() if path is not None}
        self.steps.append((values | new._asdict(), kept))
        return new

    def record(self) -> CellRecord:
        """Return the steps stacked, in the order of the text."""
        steps = self.steps[::-1] if self.path.direction == "backward" else self.steps
        values, kept = (
            {name: torch.stack([step[part][name] for step in steps]) for name in steps[0][part]}
            for part in range(2)
        )
        gates = tuple(name for name in values if name not in self.cell.State._fields)
        unnamed = tuple(name for name in self.cell.gates if name not in values)
        return CellRecord(self.path, gates, unnamed, read_equations(self.cell), values, kept)


def _without_gradient(product: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda v: product(v.detach()).detach()


def _direct_path(new: Tensor, old: Tensor) -> Tensor | None:
    """Compute ∂new/∂old [B, H] of each unit, with the recurrent products held constant."""
    if not new.requires_grad:
        return None
    return torch.autograd.grad(new, old, torch.ones_like(new), retain_graph=True, allow_unused=True)[0]


@contextmanager
def _collect_locals(codes: set[CodeType]) -> Iterator[dict[str, Any]]:
    """Collect the local variables of functions with these codes as each returns; the outermost overrides."""
    variables: dict[str, Any] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code in codes:
            variables.update(frame.f_locals)

    profiler = sys.getprofile()
    sys.setprofile(note)
    try:
        yield variables
    finally:
        sys.setprofile(profiler)
