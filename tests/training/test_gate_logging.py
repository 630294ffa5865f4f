"""Numbers of gates that are known, because the weights were set so."""

import math

import pytest
import torch

from nmt.cells.cell import Cell
from nmt.data.batches import Batch
from nmt.data.vocabulary import BOS, EOS, PAD
from nmt.model.translator import TranslationModel
from nmt.recurrence.recording import record_values
from nmt.training.gate_logging import (
    CellStatistics,
    GateStatistics,
    StateStatistics,
    log_entry,
    measure_gates,
)
from nmt.training.validation import evaluation_mode
from tests.model.test_translator import build


def make_batch() -> Batch:
    src = torch.tensor([[5, 6, EOS], [7, EOS, PAD]])
    tgt = torch.tensor([[BOS, 4, 5, 6, EOS], [BOS, 9, EOS, PAD, PAD]])
    return Batch(src, torch.tensor([3, 2]), tgt, torch.tensor([4, 2]), torch.arange(2))


def with_gates(name: str, **bias: float) -> TranslationModel:
    """A model whose gates are σ of a bias at every position, its states beginning with zero."""
    stack = {"cell": name}
    model = build(stack, {**stack, "bridge": "zero"})
    for cell in model.modules():
        if isinstance(cell, Cell):
            with torch.no_grad():
                for parameter in cell.parameters():
                    parameter.zero_()
                for gate, value in bias.items():
                    cell.b[cell.rows(gate)] = value
    return model


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def gate(cell: CellStatistics, name: str) -> GateStatistics:
    return next(gate for gate in cell.gates if gate.name == name)


def part(cell: CellStatistics, name: str) -> StateStatistics:
    return next(part for part in cell.state if part.name == name)


def test_a_constant_forget_gate_has_the_time_scale_of_its_definition() -> None:
    model = with_gates("lstm", i=100.0, f=logit(0.8), g=math.atanh(0.5), o=-100.0)
    for cell in measure_gates(model, [make_batch()], positions=9):
        i, f, o = (gate(cell, name) for name in "ifo")
        assert [i.mean, f.mean, o.mean] == pytest.approx([1, 0.8, 0])
        assert [i.open, f.open, o.open] == [1, 0, 0]
        assert [i.closed, f.closed, o.closed] == [0, 0, 1]
        kept = part(cell, "c").kept
        assert kept is not None
        assert [kept.mean, kept.updated] == pytest.approx([0.8, 0.2])
        assert kept.time_scale == kept.longest == pytest.approx(-1 / math.log(0.8))
        assert part(cell, "h").kept is None
        assert part(cell, "h").mean_norm == pytest.approx(0)


def test_the_length_of_a_state_is_known_at_every_position() -> None:
    """c grows by 1/2 at each: with four units (eight in the decoder) |c| is √4 t/2 (√8 t/2)."""
    model = with_gates("lstm", i=100.0, f=100.0, g=math.atanh(0.5), o=100.0)
    forward, backward, decoder = measure_gates(model, [make_batch()], positions=3)
    assert part(forward, "c").norms == pytest.approx([1.0, 2.0, 3.0])
    assert part(backward, "c").norms == pytest.approx(
        [2.5, 1.5, 1.0]
    )  # three and two positions, from the end
    grown = [math.sqrt(2) * t for t in (1, 2, 3, 4)]
    assert part(decoder, "c").norms == pytest.approx(grown)
    assert part(decoder, "c").mean_norm == pytest.approx((2 * grown[0] + 2 * grown[1] + sum(grown[2:])) / 6)


@pytest.mark.parametrize(("bias", "kept", "scale"), [(100.0, 1.0, math.inf), (-800.0, 0.0, 0.0)])
def test_a_gate_that_is_always_open_or_shut_keeps_all_for_ever_or_nothing(
    bias: float, kept: float, scale: float
) -> None:
    for cell in measure_gates(with_gates("gru", z=bias), [make_batch()], positions=2):
        found = part(cell, "h").kept
        assert found is not None
        assert (found.mean, found.updated) == (kept, 1 - kept)
        assert (found.time_scale, found.longest) == (scale, scale)


def test_units_that_differ_have_a_middle_and_a_longest_time_scale() -> None:
    model = with_gates("gru")
    shares = torch.tensor([0.1, 0.2, 0.5, 0.9], dtype=torch.float64)
    cell = model.encoder.stack.layers[0].directions[0]
    with torch.no_grad():
        cell.b[cell.rows("z")] = shares.logit()
    kept = part(measure_gates(model, [make_batch()], positions=2)[0], "h").kept
    assert kept is not None
    assert kept.mean == pytest.approx(0.425)
    assert kept.time_scale == pytest.approx(-1 / math.log(0.2))
    assert kept.longest == pytest.approx(-1 / math.log(0.5))


def test_what_is_not_between_nothing_and_one_is_no_gate() -> None:
    cell = measure_gates(with_gates("lstm", g=-1.0), [make_batch()], positions=2)[0]
    assert (gate(cell, "g").open, gate(cell, "g").closed) == (None, None)
    assert gate(cell, "g").mean == pytest.approx(math.tanh(-1))


def test_padding_is_not_counted_and_many_batches_are_one() -> None:
    model, batch = build(), make_batch()
    whole = measure_gates(model, [batch], positions=2)
    rows = [batch.select_rows(slice(row, row + 1)) for row in range(2)]
    one_by_one = measure_gates(model, rows, positions=2)
    assert [cell.pieces for cell in whole] == [5, 5, 6]
    assert log_entry(one_by_one) == pytest.approx(log_entry(whole), rel=1e-9)
    for a, b in zip(whole, one_by_one, strict=True):
        for name in ("i", "f"):
            assert gate(a, name).means == pytest.approx(gate(b, name).means)
        assert part(a, "c").norms == pytest.approx(part(b, "c").norms)


@pytest.mark.parametrize(
    "decoder",
    [{"input_feeding": True}, {"conditional": True}, {"layer_norm": True, "layers": 2}, {"cell": "rnn"}],
)
def test_numbers_are_those_of_what_is_watched(decoder: dict[str, object]) -> None:
    model, batch = build(decoder=decoder), make_batch()
    with evaluation_mode(model), record_values(model.recurrent_cells()) as cells:
        model.unroll(model.encode(batch.src), batch.tgt[:, :-1])
    found = measure_gates(model, [batch], positions=1)
    for cell, seen in zip(found, cells, strict=True):
        lengths = (batch.src_lengths if cell.path.side == "encoder" else batch.tgt_lengths).tolist()
        for name, values in seen.values.items():
            rows = torch.cat([values[:length, row] for row, length in enumerate(lengths)])
            if name in seen.gates:
                assert gate(cell, name).mean == pytest.approx(rows.mean().item())
            else:
                assert part(cell, name).mean_norm == pytest.approx(rows.norm(dim=-1).mean().item())


def test_a_chunk_goes_on_from_the_state_of_the_one_before() -> None:
    model, batch = with_gates("lstm", i=100.0, f=100.0, g=math.atanh(0.5)), make_batch()
    first = batch._replace(is_continued=True)
    length = batch.tgt.shape[1] - 1
    norms = part(measure_gates(model, [first, batch, batch], positions=20)[-1], "c").norms
    assert norms[0] == pytest.approx(math.sqrt(2))
    assert norms[length] == pytest.approx(math.sqrt(2) * 5)  # its first position is not the first of the text


def test_the_log_has_flat_names() -> None:
    found = log_entry(measure_gates(with_gates("gru", z=logit(0.75)), [make_batch()], positions=2))
    assert found["decoder.1.forward.z.mean"] == pytest.approx(0.75)
    assert found["encoder.1.backward.h.updated"] == pytest.approx(0.25)
    assert found["encoder.1.forward.h.time_scale"] == pytest.approx(-1 / math.log(0.75))
    assert "encoder.1.forward.n.mean" in found
