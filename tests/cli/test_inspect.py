"""Gate statistics as a table and as JSON."""

import json
import math

from nmt.cli.inspect import format_gate_tables
from nmt.cli.terminal import to_json
from nmt.recurrence.recording import CellPath
from nmt.training.gate_logging import CellStatistics, GateStatistics, Retention, StateStatistics

CELL = CellStatistics(
    CellPath("decoder", 2, "forward", "Own"),
    12_345,
    gates=[
        GateStatistics("a_valve_with_a_long_name", 0.5, [0.25, 0.75], 0.125, 0.25),
        GateStatistics("n", -0.5, [-0.5, -0.5], None, None),
    ],
    unnamed=("q", "k"),
    state=[
        StateStatistics("h", 2.0, [1.0, 3.0], Retention(1.0, 0.0, 1234.5, math.inf)),
        StateStatistics("c", 4.0, [4.0, 4.0], None),
    ],
)
TABLE = """\
decoder, layer 2, forward: Own, 12,345 tokens
  gate                            mean        open      closed
  a_valve_with_a_long_name       0.500       12.5%       25.0%
  n                             -0.500           -           -
  (the cell's step assigns no variable to q, k)
  state                 norm        kept     updated  time scale     longest
  h                     2.00       1.000       0.000     1234.50    infinite
  c                     4.00           -           -           -           -
  norm at             1     2-
  h                1.00   3.00
  c                4.00   4.00"""


def test_a_table_marks_values_that_are_not_gates_that_have_no_name_and_that_are_infinite() -> None:
    assert format_gate_tables([CELL], 1) == TABLE
    assert format_gate_tables([CELL, CELL], 1) == f"{TABLE}\n\n{TABLE}"


def test_a_sentence_shorter_than_the_positions_has_no_column_for_the_rest() -> None:
    assert format_gate_tables([CELL], 20).splitlines()[8].split() == ["norm", "at", "1", "2"]


def test_json_has_every_number_and_null_for_an_infinite_time_scale() -> None:
    (cell,) = json.loads(to_json([CELL.as_dict()]))
    assert cell["gates"][0] == {
        "name": "a_valve_with_a_long_name", "mean": 0.5, "means": [0.25, 0.75], "open": 0.125, "closed": 0.25
    }  # fmt: skip
    assert cell["state"][0]["kept"] == {"mean": 1.0, "updated": 0.0, "time_scale": 1234.5, "longest": None}
    assert cell["state"][1]["kept"] is None
    assert (cell["side"], cell["layer"], cell["unnamed"]) == ("decoder", 2, ["q", "k"])
