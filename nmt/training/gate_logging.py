"""Statistics of gates and states over a corpus, and their entries in the log of a run."""

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.data.batches import Batch, BatchPlan, BatchSettings, read_validation_batches
from nmt.data.store import TokenStore
from nmt.data.streams import StreamLayout, read_chunks
from nmt.model.translator import TranslationModel
from nmt.recurrence.recording import CellPath, CellRecord, record_values
from nmt.recurrence.state import detach_states
from nmt.training.update import to_device
from nmt.training.validation import ValidateFunction, ValidationResult, evaluation_mode

OPEN, CLOSED = 0.9, 0.1
QUANTILE = 0.9  # the share of the units whose time scale is at most the `longest`
SENTENCES, CHUNK = 8, 32
"""Sentences (or streams of a text) that are recorded at a validation, and tokens of each stream."""


class GateStatistics(NamedTuple):
    """One variable of the step, over all units and positions without padding."""

    name: str
    mean: float
    means: list[float]  # by position; the last is that of all positions beyond those requested
    open: float | None  # share above OPEN; None unless all values lie in [0, 1], as a gate's do
    closed: float | None  # share below CLOSED


class Retention(NamedTuple):
    """The share of its state that a unit keeps from one position to the next.

    A unit that keeps the shares k_t has the time scale τ = -1 / mean(ln |k_t|): after τ positions 1/e of the
    state is left, as after -1/ln f with a constant forget gate f. inf: nothing is forgotten.
    """

    mean: float
    updated: float  # 1 - mean: the update rate
    time_scale: float  # of the median unit, in positions
    longest: float  # not exceeded by QUANTILE of the units


class StateStatistics(NamedTuple):
    """One field of the state."""

    name: str
    mean_norm: float  # Euclidean
    norms: list[float]  # by position, as a gate's means
    kept: Retention | None  # None: the state is passed on by recurrent products only


class CellStatistics(NamedTuple):
    """One cell of a model over a corpus."""

    path: CellPath
    pieces: int  # positions without padding
    gates: list[GateStatistics]
    unnamed: tuple[str, ...]  # gates that the step assigns to no variable
    state: list[StateStatistics]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, those of the path among them."""
        fields = self._asdict()
        return {**fields.pop("path")._asdict(), **fields}


def measure_gates(
    model: TranslationModel, batches: Iterable[Batch], *, positions: int
) -> list[CellStatistics]:
    """Measure every cell under teacher forcing; positions beyond `positions` are combined."""
    sums: dict[CellPath, _CellSums] = {}
    device, carried, offset = next(model.parameters()).device, None, 0
    for batch in batches:
        batch = to_device(batch, device)
        with evaluation_mode(model), record_values(model.recurrent_cells()) as records:
            state = model.unroll(model.encode(batch.src), batch.tgt[:, :-1], state=carried).state
        carried = detach_states(state) if batch.is_continued else None
        for record in records:
            lengths = batch.src_lengths if record.path.side == "encoder" else batch.tgt_lengths
            sums.setdefault(record.path, _CellSums(record, positions)).add(record, lengths, offset)
        offset = offset + batch.tgt.shape[1] - 1 if batch.is_continued else 0
    return [of_cell.statistics() for of_cell in sums.values()]


def log_gates(
    validate: ValidateFunction, store: TokenStore, *, seed: int, chunked: bool = False
) -> ValidateFunction:
    """Add the gates over a few validation sentences (or the first chunk of a text) to each validation."""
    if chunked:
        batch = next(read_chunks(store, StreamLayout(SENTENCES, CHUNK)))
    else:
        batches = read_validation_batches(store, BatchPlan(BatchSettings(size=SENTENCES), seed))
        batch = next(islice(batches, len(store) // (2 * SENTENCES), None))  # of medium length

    def validate_with_gates(model: TranslationModel, name: str) -> ValidationResult:
        entry = log_entry(measure_gates(model, [batch], positions=1))
        return validate(model, name)._replace(gates=entry)

    return validate_with_gates


def log_entry(cells: Iterable[CellStatistics]) -> dict[str, float]:
    """Return the statistics as flat names and numbers: `decoder.1.forward.f.mean`."""
    entry: dict[str, float] = {}
    for cell in cells:
        prefix = f"{cell.path.side}.{cell.path.layer}.{cell.path.direction}"
        for gate in cell.gates:
            entry[f"{prefix}.{gate.name}.mean"] = gate.mean
            if gate.open is not None and gate.closed is not None:
                entry[f"{prefix}.{gate.name}.open"] = gate.open
                entry[f"{prefix}.{gate.name}.closed"] = gate.closed
        for field in cell.state:
            entry[f"{prefix}.{field.name}.norm"] = field.mean_norm
            if field.kept is not None:
                entry[f"{prefix}.{field.name}.updated"] = field.kept.updated
                entry[f"{prefix}.{field.name}.time_scale"] = field.kept.time_scale
    return entry


class _CellSums:
    """Sums of one cell over batches, in float64."""

    def __init__(self, first: CellRecord, positions: int) -> None:
        self.first, self.positions = first, positions
        self.shares: dict[str, Tensor] = {}  # by gate: values, open, closed, outside [0, 1]
        self.kept: dict[str, Tensor] = {}  # by field, [3, H]: positions, sum, sum of ln |k|
        self.tracks: dict[str, Tensor] = {}  # means and norms, [2, positions + 1]: positions, sum

    def add(self, record: CellRecord, lengths: Tensor, offset: int) -> None:
        """Add a batch with these lengths [B], whose first position is number `offset` of the text."""
        steps = torch.arange(len(record.values["h"]), device=lengths.device)
        mask = steps.unsqueeze(1) < lengths  # [T, B]
        index = (offset + mask.nonzero()[:, 0]).clamp_max(self.positions)
        for name, value in record.values.items():
            value = value[mask].double()  # [N, H]
            track = value.mean(-1) if name in record.gates else value.norm(dim=-1)
            counted = torch.stack([torch.ones_like(track), track])
            by_position = track.new_zeros(2, self.positions + 1).index_add(1, index, counted)
            _add(self.tracks, name, by_position)
            if name in record.gates:
                parts = (torch.ones_like(value), value > OPEN, value < CLOSED, (value < 0) | (value > 1))
                _add(self.shares, name, torch.stack([part.double().sum() for part in parts]))
        for name, value in record.kept.items():
            kept = value[mask].double()
            _add(self.kept, name, torch.stack([torch.ones_like(kept), kept, kept.abs().log()]).sum(1))

    def statistics(self) -> CellStatistics:
        first, gates, state = self.first, list[GateStatistics](), list[StateStatistics]()
        for name in first.values:
            track = self.tracks[name]
            count, total = track[:, track[0] > 0]  # of existing positions
            means = float(total.sum() / count.sum()), (total / count).tolist()
            if name in first.gates:
                values, opened, closed, outside = self.shares[name].tolist()
                shares = (None, None) if outside else (opened / values, closed / values)
                gates.append(GateStatistics(name, *means, *shares))
            else:
                kept = _retention(*self.kept[name]) if name in self.kept else None
                state.append(StateStatistics(name, *means, kept))
        return CellStatistics(first.path, int(self.tracks["h"][0].sum()), gates, first.unnamed, state)


def _add(sums: dict[str, Tensor], name: str, more: Tensor) -> None:
    sums[name] = sums[name] + more if name in sums else more


def _retention(count: Tensor, total: Tensor, logs: Tensor) -> Retention:
    """Compute statistics of the units [H] from the number of positions, and the sums of k and ln |k|."""
    mean, mean_log = float(total.sum() / count.sum()), logs / count
    scales = torch.where(mean_log < 0, -1 / mean_log, math.inf).sort().values
    median, longest = scales[(len(scales) - 1) // 2], scales[int(QUANTILE * (len(scales) - 1))]
    return Retention(mean, 1 - mean, float(median), float(longest))
