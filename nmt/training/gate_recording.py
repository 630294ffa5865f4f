"""Watching a forward pass: what the step of every cell computed, by the names that the step gives."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.cells import cell_name
from nmt.cells.cell import Cell, read_equations
from nmt.model.translator import Translator
from nmt.recurrence.layer import Layer
from nmt.recurrence.reference import BoundCell
from nmt.recurrence.state import Zoneout
from nmt.training.validation import measuring


class Watched(NamedTuple):
    """One cell over one batch.

    `values` [T, B, H] by name: first what the step calls by a name, as it was when the step returned
    (`gates`; those that the cell declares come first), then every field of the state after the step. A
    position is that of the text, in every direction; where there is padding the values say nothing.
    `unnamed` are gates that the cell declares and its step does not name; `equations` is the step itself.

    `kept` [T, B, H] by field is the direct path ∂s'/∂s of a unit to itself, what goes through recurrent
    products held constant: an LSTM's f for c, the GRU's z for h. A field without such a path is not there.
    """

    side: str  # "encoder" or "decoder"
    layer: int  # from 1
    direction: str  # "forward", "backward", or "conditional": the second cell of a conditional layer
    cell: str
    gates: tuple[str, ...]
    unnamed: tuple[str, ...]
    equations: str
    values: dict[str, Tensor]
    kept: dict[str, Tensor]


@contextmanager
def watching(model: Translator) -> Iterator[list[Watched]]:
    """Watch one forward pass: `encode` and `unroll` of one batch, in evaluation mode, without gradients.

    The list is filled when the pass is over and the context left: encoder before decoder, layer by layer.
    Meanwhile every position is computed by the plain step, whatever the engine. Nothing stays behind.
    """
    found: list[Watched] = []
    watchers = list(_watchers(model))
    layers = {watcher.layer: watcher.layer.ready for watcher in watchers}
    for layer in layers:
        layer.ready = {w.bound.cell: w.bound for w in watchers if w.layer is layer}
    try:
        with measuring(model):
            yield found
    finally:
        for layer, ready in layers.items():
            layer.ready = ready
    found += [watcher.watched() for watcher in watchers if watcher.bound.steps]


class _Watcher(NamedTuple):
    """A cell in its place, and the binding that watches it."""

    side: str
    depth: int
    direction: str
    layer: Layer
    bound: "_WatchedBound"

    def watched(self) -> Watched:
        cell, steps = self.bound.cell, self.bound.steps
        if self.direction == "backward":
            steps = steps[::-1]
        values, kept = (
            {name: torch.stack([step[part][name] for step in steps]) for name in steps[0][part]}
            for part in range(2)
        )
        gates = tuple(name for name in values if name not in cell.State._fields)
        unnamed = tuple(name for name in cell.gates if name not in values)
        place = (self.side, self.depth, self.direction, cell_name(type(cell)))
        return Watched(*place, gates, unnamed, read_equations(cell), values, kept)


def _watchers(model: Translator) -> Iterator[_Watcher]:
    for side, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        layers = [module for module in part.modules() if isinstance(module, Layer)]
        for depth, layer in enumerate(layers, 1):
            cells = dict(zip(("forward", "backward"), layer.directions, strict=False))
            if part is model.decoder and depth == 1 and model.decoder.conditional is not None:
                cells["conditional"] = model.decoder.conditional
            for direction, cell in cells.items():
                zoneout = Zoneout(layer.zoneout, drawn=False)
                bound = _WatchedBound(cell, 1, engine="reference", zoneout=zoneout)
                yield _Watcher(side, depth, direction, layer, bound)


class _WatchedBound(BoundCell):
    """A cell bound for any batch, which notes of every step its values and what of the state is kept."""

    def bind_products(self) -> None:
        super().bind_products()
        held = zip(self.cell.recurrent, map(_held, self.U), strict=True)
        self.U = self.cell.by_product(**dict(held))
        self.codes, self.fields = _steps(type(self.cell)), self.cell.State._fields
        self.steps: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def next(self, x: Tensor, s: Any, zone: Tensor | None) -> Any:
        s = type(s)(*(part.detach().requires_grad_() for part in s))
        with torch.enable_grad(), _locals(self.codes) as named:
            new = super().next(x.detach(), s, zone)
        kept = {name: _direct(getattr(new, name), getattr(s, name)) for name in s._fields}
        new = type(new)(*(part.detach() for part in new))
        values = self.chosen(named, s.h.shape) | new._asdict()
        self.steps.append((values, {name: path for name, path in kept.items() if path is not None}))
        return new

    def chosen(self, named: dict[str, Any], shape: torch.Size) -> dict[str, Tensor]:
        """Of a step's variables those that have a number for each unit, the declared gates first."""
        order = [name for name in dict.fromkeys((*self.cell.gates, *named)) if name not in self.fields]
        units = {name: named[name] for name in order if isinstance(named.get(name), Tensor)}
        return {name: value.detach() for name, value in units.items() if value.shape == shape}


def _held(product: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda v: product(v.detach()).detach()


def _direct(new: Tensor, old: Tensor) -> Tensor | None:
    """∂new/∂old [B, H] of a unit; what a unit sees of others comes through products, which are held."""
    if not new.requires_grad:
        return None
    return torch.autograd.grad(new, old, torch.ones_like(new), retain_graph=True, allow_unused=True)[0]


def _steps(kind: type[Cell]) -> set[CodeType]:
    """The code of a cell's step, and of those of its bases, which it may call."""
    steps = [inspect.unwrap(vars(base)["step"]) for base in kind.__mro__ if "step" in vars(base)]
    return {step.__code__ for step in steps}


@contextmanager
def _locals(codes: set[CodeType]) -> Iterator[dict[str, Any]]:
    """The variables of functions with these codes, as each returns; the outermost has the last word."""
    found: dict[str, Any] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code in codes:
            found.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)
