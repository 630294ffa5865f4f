"""Learning curves of a run, from its metrics."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nmt.errors import DataError, UsageError
from nmt.lab.curves import read_curves, read_events
from nmt.lab.figure import Curve


def write_run(run: Path, events: list[dict[str, Any]]) -> Path:
    run.mkdir()
    for name, lines in {
        "metrics.jsonl": events,
        "times.jsonl": [
            {"event": e["event"], "update": e["update"], "seconds": e["update"] / 2} for e in events
        ],
    }.items():
        (run / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return run


EVENTS = [
    {"event": "update", "update": 50, "epoch": 0.5, "loss": 4.0, "learning_rate": 1e-3},
    {"event": "update", "update": 100, "epoch": 1.0, "loss": None, "learning_rate": 1e-3},
    {"event": "validation", "update": 100, "epoch": 1.0, "loss": 3.5, "bleu": 10.0, "best": True},
]


def test_training_and_validation_are_lines_of_one_panel(tmp_path: Path) -> None:
    found = read_curves([write_run(tmp_path / "run", EVENTS)], [], "update")
    assert list(found) == ["loss", "bleu", "learning_rate"]
    validation, training = found["loss"]
    assert (training.variant, training.x, training.y[0]) == ("training", [50.0, 100.0], 4.0)
    assert math.isnan(training.y[1])
    assert validation == Curve(training.name, [100.0], [3.5], None, "validation")


def test_gates_have_one_axis_for_each_statistic(tmp_path: Path) -> None:
    gates = {f"decoder.1.forward.{gate}.{name}": 0.8 for gate in "fi" for name in ("mean", "open")}
    look = {"event": "gates", "update": 100, "epoch": 1.0, **gates}
    runs = [write_run(tmp_path / name, [*EVENTS, look]) for name in ("one", "two")]
    found = read_curves(runs[:1], [*gates], "epoch")
    paths = ["decoder.1.forward.f", "decoder.1.forward.i"]
    assert found == {
        f"{name} of gates": [Curve(path, [1.0], [0.8]) for path in paths] for name in ("mean", "open")
    }
    found = read_curves(runs, [*gates], "epoch")
    assert [(line.name, line.variant) for line in found["open of gates"]] == [
        (str(run), path) for path in paths for run in runs
    ]


def test_several_runs_keep_their_names(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, EVENTS) for name in ("one", "둘")]
    assert [line.name for line in read_curves(runs, ["bleu"], "epoch")["bleu"]] == list(map(str, runs))


def test_seconds_come_from_the_file_of_times(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    assert read_curves([run], ["bleu"], "seconds")["bleu"][0].x == [50.0]
    (run / "times.jsonl").write_text('{"event": "update", "update": 50}\n', encoding="utf-8")
    assert math.isnan(read_curves([run], ["bleu"], "seconds")["bleu"][0].x[0])
    (run / "times.jsonl").unlink()
    with pytest.raises(UsageError, match=r"no times\.jsonl; draw its curves against update or epoch"):
        read_curves([run], ["bleu"], "seconds")


@pytest.mark.parametrize(
    ("metric", "x", "said"),
    [
        ("blue", "update", "no metric 'blue' in these runs, did you mean 'bleu'?"),
        ("xyz", "update", "choose one of bleu, learning_rate, loss"),
        ("bleu", "hours", "expected one of update, epoch, seconds (got 'hours')"),
    ],
)
def test_what_is_unknown_is_refused_with_what_there_is(
    tmp_path: Path, metric: str, x: str, said: str
) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    with pytest.raises(UsageError) as refused:
        read_curves([run], [metric], x)
    assert said in str(refused.value)


def test_a_torn_last_line_is_passed_over_and_a_damaged_one_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    path = run / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event": "upd')
    assert len(read_events(run)) == 3
    for damaged in (b"\x00\x00", b'{"event": [], "update": 2}'):
        path.write_bytes(b'{"event": "update", "update": 1}\n' + damaged + b"\n")
        with pytest.raises(DataError, match="line 2"):
            read_events(run)


def test_a_folder_that_is_no_run_and_a_run_without_numbers_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        read_events(tmp_path)
    with pytest.raises(DataError, match="no metrics have been logged yet"):
        read_curves([write_run(tmp_path / "run", [])], [], "update")
