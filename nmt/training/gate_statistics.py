"""What gates and states do over a corpus: how far open, how much is kept, for how many positions."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.model.translator import Translator
from nmt.recurrence.state import detach_states
from nmt.training.gate_recording import Watched, watching
from nmt.training.update import to_device

OPEN, CLOSED = 0.9, 0.1
LONGEST = 0.9
"""The share of the units that remember no longer than what is called the longest time scale."""


class Gate(NamedTuple):
    """A name of the step, over all units and real positions."""

    name: str
    mean: float
    means: list[float]  # by position; what lies beyond the positions asked for is the last
    open: float | None  # share above OPEN; None where not all values lie in [0, 1]: it is no gate
    closed: float | None  # share below CLOSED


class Kept(NamedTuple):
    """What a unit's part of the state takes over of itself from one position to the next.

    A unit that keeps the shares k_t has the time scale τ = -1 / mean(ln |k_t|): after τ positions 1/e of what
    it knew is left, as with a constant gate f it would be after -1/ln f. inf: it forgets nothing.
    """

    mean: float
    updated: float  # the rest, which is replaced: the update rate
    time_scale: float  # of the unit in the middle, in positions
    longest: float  # of the one that LONGEST of the units do not exceed


class Part(NamedTuple):
    """A field of the state."""

    name: str
    mean_norm: float  # Euclidean length
    norms: list[float]  # by position, as a gate's
    kept: Kept | None  # None: nothing goes on but through recurrent products


class CellGates(NamedTuple):
    """One cell of a model over a corpus."""

    side: str
    layer: int  # from 1
    direction: str
    cell: str
    pieces: int  # real positions
    gates: list[Gate]
    unnamed: tuple[str, ...]  # gates to whose value the step gives no name
    state: list[Part]

    @property
    def place(self) -> str:
        return f"{self.side} {self.layer} {self.direction}"


def gates(model: Translator, batches: Iterable[Batch], *, positions: int) -> list[CellGates]:
    """Numbers of every cell under teacher forcing, over real positions; beyond `positions` put together."""
    found: dict[tuple[str, int, str], _Sums] = {}
    device, carried, before = next(model.parameters()).device, None, 0
    for batch in batches:
        batch = to_device(batch, device)
        with watching(model) as cells:
            state = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], before=carried).state
        carried = detach_states(state) if batch.goes_on else None
        for watched in cells:
            place = watched.side, watched.layer, watched.direction
            lengths = batch.src_lengths if watched.side == "encoder" else batch.tgt_lengths
            found.setdefault(place, _Sums(watched, positions)).add(watched, lengths, before)
        before = before + batch.tgt.shape[1] - 1 if batch.goes_on else 0
    return [sums.found() for sums in found.values()]


def numbers(found: Iterable[CellGates]) -> dict[str, float]:
    """The same as flat names and numbers, for a log: `decoder.1.forward.f.mean`."""
    return {
        f"{cell.place.replace(' ', '.')}.{name}": value for cell in found for name, value in _numbers(cell)
    }


def _numbers(cell: CellGates) -> Iterator[tuple[str, float]]:
    for gate in cell.gates:
        yield f"{gate.name}.mean", gate.mean
        if gate.open is not None and gate.closed is not None:
            yield f"{gate.name}.open", gate.open
            yield f"{gate.name}.closed", gate.closed
    for part in cell.state:
        yield f"{part.name}.norm", part.mean_norm
        if part.kept is not None:
            yield f"{part.name}.updated", part.kept.updated
            yield f"{part.name}.time_scale", part.kept.time_scale


class _Sums:
    """What is added up of one cell, batch by batch, in float64."""

    def __init__(self, first: Watched, positions: int) -> None:
        self.first, self.positions = first, positions
        self.spread: dict[str, Tensor] = {}  # of a gate: values, open, closed, outside [0, 1]
        self.kept: dict[str, Tensor] = {}  # of a field, [3, H]: positions, sum, sum of ln |k|
        self.tracks: dict[str, Tensor] = {}  # means and norms, [2, positions + 1]: positions, sum

    def add(self, watched: Watched, lengths: Tensor, before: int) -> None:
        """Count a batch whose rows have so many real positions, and had others in the batches before."""
        steps = torch.arange(len(watched.values["h"]), device=lengths.device)
        real = steps.unsqueeze(1) < lengths  # [T, B]
        place = (before + real.nonzero()[:, 0]).clamp_max(self.positions)
        values = {name: value[real].double() for name, value in watched.values.items()}  # [N, H]
        for name, value in values.items():
            track = value.mean(-1) if name in watched.gates else value.norm(dim=-1)
            _add(self.tracks, name, self.by_position(track, place))
        for name in watched.gates:
            _add(self.spread, name, _spread(values[name]))
        for name, value in watched.kept.items():
            _add(self.kept, name, _shares(value[real].double()))

    def by_position(self, track: Tensor, place: Tensor) -> Tensor:
        counted = torch.stack([torch.ones_like(track), track])
        return track.new_zeros(2, self.positions + 1).index_add(1, place, counted)

    def found(self) -> CellGates:
        first, pieces = self.first, int(self.tracks["h"][0].sum())
        gates = [self.gate(name) for name in first.gates]
        state = [self.part(name) for name in first.values if name not in first.gates]
        return CellGates(*first[:4], pieces, gates, first.unnamed, state)

    def gate(self, name: str) -> Gate:
        count, opened, closed, outside = self.spread[name].tolist()
        shares = (None, None) if outside else (opened / count, closed / count)
        return Gate(name, *_means(self.tracks[name]), *shares)

    def part(self, name: str) -> Part:
        kept = _kept(self.kept[name]) if name in self.kept else None
        return Part(name, *_means(self.tracks[name]), kept)


def _add(sums: dict[str, Tensor], name: str, more: Tensor) -> None:
    sums[name] = sums[name] + more if name in sums else more


def _spread(values: Tensor) -> Tensor:
    """[N, H] to four sums."""
    outside = (values < 0) | (values > 1)
    parts = (torch.ones_like(values), values > OPEN, values < CLOSED, outside)
    return torch.stack([part.double().sum() for part in parts])


def _shares(kept: Tensor) -> Tensor:
    """[N, H] to [3, H]."""
    return torch.stack([torch.ones_like(kept).sum(0), kept.sum(0), kept.abs().log().sum(0)])


def _kept(sums: Tensor) -> Kept:
    count, total, logs = sums
    mean, mean_log = float(total.sum() / count.sum()), logs / count
    scales = torch.where(mean_log < 0, -1 / mean_log, math.inf).sort().values
    middle, longest = scales[(len(scales) - 1) // 2], scales[int(LONGEST * (len(scales) - 1))]
    return Kept(mean, 1 - mean, float(middle), float(longest))


def _means(track: Tensor) -> tuple[float, list[float]]:
    """Over all positions, and one by one as far as there are any."""
    count, total = track[:, track[0] > 0]
    return float(total.sum() / count.sum()), (total / count).tolist()
